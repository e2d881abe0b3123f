//! What the tests of the iSCSI target share: a server over the real target with a RAM volume, and initiators that say what
//! a test wants them to.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod initiator;
pub mod rdma;

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use initiator::{Answer, Initiator};
use scsi::iscsi::IscsiName;
use scsi::iscsi::login;
use scsi::iscsi::target::{
    Access, AddressPattern, InitiatorGroup, InitiatorPattern, Limits, Node, NodeAuthentication, PortalGroup,
    Server,
};
use scsi::target::{DeviceConfig, DeviceKey, PortConfig, Protocol, Target, UnitConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::testing::TestEnv;

/// A server, the target behind it, and the world around them.
pub struct World {
    pub env: TestEnv,
    pub server: Server,
    pub target: Target,
    pub device: DeviceKey,
    pub volume: Rc<dyn BlockDevice>,
}

/// What a world is made with.
pub struct Settings {
    pub limits: Limits,
    pub login: login::Limits,
    pub queue_depth: u32,
    pub buffer_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            login: login::Limits { max_connections: 4, ..login::Limits::default() },
            queue_depth: 32,
            buffer_bytes: 20 << 20,
        }
    }
}

impl World {
    /// A volume of 4 MiB and the usual limits.
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// A volume of 4 MiB.
    pub fn with(settings: Settings) -> Self {
        let mut env = TestEnv::new(settings.buffer_bytes);
        let mut target = Target::default();
        let config = DeviceConfig { name: TARGET.to_owned(), protocol: Protocol::Iscsi };
        let device = target.add_device(config).unwrap();
        let port = PortConfig { relative_id: 1, name: format!("{TARGET},t,0x0001"), group: 1 };
        target.add_port(device, port).unwrap();
        let ram = Ram::new(&mut env, Geometry::new(512, 8192).unwrap()).unwrap();
        let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(Rc::new(ram), Identity([1; 16])));
        let channel = volume.open();
        let config = UnitConfig { uuid: [1; 16], ..UnitConfig::default() };
        target.add_unit(device, config, Rc::clone(&volume), channel).unwrap();
        let mut server = Server::new(&mut env, 5 << 32, settings.limits).unwrap();
        let registry = server.registry_mut();
        let group = PortalGroup::new(1, vec![address()]);
        registry.add_portal_group(group).unwrap();
        let (initiators, networks) = (vec![InitiatorPattern::Any], vec![AddressPattern::Any]);
        registry.add_initiator_group(InitiatorGroup { tag: 1, initiators, networks }).unwrap();
        let node = Node {
            name: IscsiName::parse(TARGET).unwrap(),
            alias: String::new(),
            device,
            access: vec![Access { portal_group: 1, initiator_group: 1 }],
            authentication: NodeAuthentication::default(),
            queue_depth: settings.queue_depth,
            limits: settings.login,
            redirects: BTreeMap::new(),
        };
        registry.add_node(node).unwrap();
        server.listen(&mut env, address()).unwrap();
        Self { env, server, target, device, volume }
    }

    /// Handles all events, and turns until nothing is left to do.
    pub fn run(&mut self) {
        loop {
            while let Some(event) = self.env.next_event() {
                self.server.handle_event(&mut self.env, &mut self.target, &event);
            }
            self.server.handle_timeout(&mut self.env, &mut self.target);
            self.server.poll(&mut self.env, &mut self.target);
            self.server.check(&mut self.env, 0);
            let idle = self.server.deadline().is_none_or(|time| time > stdx::env::Env::now(&self.env));
            if idle && self.env.is_quiet() {
                return;
            }
        }
    }

    /// Sends bytes, and says what the server answered.
    pub fn exchange(&mut self, initiator: &mut Initiator, bytes: &[u8]) -> Vec<Answer> {
        self.env.deliver(initiator.stream, bytes);
        self.run();
        self.answers(initiator)
    }

    /// What the server has sent since it was last asked.
    pub fn answers(&mut self, initiator: &mut Initiator) -> Vec<Answer> {
        let sent = std::mem::take(&mut self.env.stream(initiator.stream).sent);
        initiator.read(&sent)
    }

    /// A new connection that has not said anything.
    pub fn arrive(&mut self) -> Initiator {
        let stream = self.env.arrive();
        self.run();
        Initiator::new(stream)
    }

    /// A session that was logged in with these keys beside the names.
    pub fn log_in(&mut self, keys: &str) -> Initiator {
        let mut initiator = self.arrive();
        self.log_in_as(&mut initiator, keys);
        initiator
    }

    /// Logs a connection in.
    pub fn log_in_as(&mut self, initiator: &mut Initiator, keys: &str) {
        let login = initiator.login(keys);
        let answers = self.exchange(initiator, &login);
        initiator.take_login(&answers);
    }

    /// Whether the server has closed a stream.
    pub fn is_closed(&mut self, initiator: &Initiator) -> bool {
        self.env.stream(initiator.stream).closed.is_some()
    }
}

/// So many bytes that differ from their neighbours.
pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}

/// Where the server listens.
pub fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 3260))
}

/// The target's name.
pub const TARGET: &str = "iqn.2026-01.io.weft:disk";

/// The initiator's name.
pub const INITIATOR: &str = "iqn.2026-01.io.weft:tester";
