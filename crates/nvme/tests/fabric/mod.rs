//! A host and a target on one loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

use block::device::{Geometry, Ram};
use block::{BlockDevice, Channel, Done, Identity, Io, Op, Volume};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use nvme::host::{Host, HostEvent, HostOptions, Namespace, Transport};
use nvme::target::rdma::{Limits, Server};
use nvme::target::{self, Lanes, NamespaceConfig, Portal, SubsystemConfig, Target};
use std::rc::Rc;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::Span;
use stdx::time::{Time, earliest};
use verbs::loopback::Loopback;
use verbs::{Connections, Provider};
use wire::nvme::Nqn;

pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HOST: u64 = 1 << 32;
const SERVER: u64 = 2 << 32;
/// The tag of the server's keys.
const TAG: u8 = 1;

/// Everything, on one shard.
pub struct World {
    pub env: StillEnv,
    pub device: Loopback,
    pub host: Option<Host>,
    pub server: Option<Server>,
    pub target: Target,
    lanes: Lanes,
    /// What the host told.
    pub events: Vec<HostEvent>,
    options: target::Options,
    limits: Limits,
}

impl World {
    pub fn new(options: target::Options) -> Self {
        Self::with(options, Limits::default())
    }

    /// With a server that allows this.
    pub fn with(options: target::Options, limits: Limits) -> Self {
        let mut env = StillEnv::with_buffers(1, 256 << 20);
        let device = Loopback::new(verbs::Limits::default(), ADDRESS);
        let mut target = Target::new(options);
        target.create_subsystem(SubsystemConfig::new(subsystem())).unwrap();
        let portal = Portal { transport: Transport::Rdma, address: address() };
        target.add_listener(&subsystem(), portal).unwrap();
        let _ = env.entropy();
        let mut world = Self {
            env,
            device,
            host: None,
            server: None,
            target,
            lanes: Lanes::default(),
            events: Vec::new(),
            options,
            limits,
        };
        world.serve();
        world
    }

    /// With a volume, and a host that is connected.
    pub fn connected(options: HostOptions) -> Self {
        Self::connected_with(options, Limits::default())
    }

    /// The same with a server that allows this.
    pub fn connected_with(options: HostOptions, limits: Limits) -> Self {
        let mut world = Self::with(target::Options::default(), limits);
        world.add_volume(512, 4096, 1);
        world.connect(options);
        world
    }

    /// The target listens.
    pub fn serve(&mut self) {
        let mut server =
            Server::new(&mut self.env, &mut self.device, SERVER, TAG, &self.target, self.limits).unwrap();
        server.listen(&mut self.device, address()).unwrap();
        self.server = Some(server);
    }

    /// The target's connections all end, and nobody listens any more.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let lane = &mut self.lanes.of(&mut self.target, TAG);
        server.close(&mut self.env, &mut self.device, lane);
        self.server = Some(server);
        self.settle();
        let server = self.server.take().unwrap();
        server.free(&mut self.env, &mut self.device);
    }

    pub fn add_volume(&mut self, block_size: u32, blocks: u64, uuid: u8) -> u32 {
        let ram = Ram::new(&mut self.env, Geometry::new(block_size, blocks).unwrap()).unwrap();
        let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(Rc::new(ram), Identity([uuid; 16])));
        let channel = volume.open();
        let config = NamespaceConfig { uuid: [uuid; 16], ..Default::default() };
        self.target.add_namespace(&subsystem(), config, volume, channel).unwrap()
    }

    /// Begins to connect, and lets happen what happens at once.
    pub fn begin(&mut self, options: HostOptions) {
        self.host = Some(Host::connect(&mut self.env, Owner(HOST), options).unwrap());
        self.settle();
    }

    pub fn connect(&mut self, options: HostOptions) {
        self.begin(options);
        assert_eq!(self.events.last(), Some(&HostEvent::Connected), "{:?}", self.events);
        self.events.clear();
    }

    pub fn host(&self) -> &Host {
        self.host.as_ref().unwrap()
    }

    pub fn namespace(&self) -> Namespace {
        self.host().namespace(1).unwrap()
    }

    /// Closes the host, and gives back what it had.
    pub fn close(&mut self) {
        let Some(host) = self.host.take() else { return };
        host.close(&mut self.env);
        self.host = Some(host);
        self.settle();
        let host = self.host.take().unwrap();
        assert!(host.is_quiet());
        host.free(&mut self.env, &mut self.device);
    }

    /// Lets happen what happens without time going by.
    pub fn settle(&mut self) {
        let now = self.env.now();
        for _ in 0..1000 {
            self.turn();
            if self.deadline().is_none_or(|deadline| deadline > now) {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Lets time go by.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.env.now() + time;
        self.settle();
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= until) {
            self.env.set_now(deadline);
            self.settle();
        }
        self.env.set_now(until);
        self.settle();
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Time> {
        let host = self.host.as_ref().and_then(Host::deadline);
        let server = self.server.as_ref().and_then(Server::deadline);
        earliest(earliest(host, server), earliest(self.device.deadline(), self.target.deadline()))
    }

    /// Hands everything over once, as a shard does.
    pub fn turn(&mut self) {
        self.device.turn(&mut self.env);
        self.turn_ends();
    }

    /// The same without the device.
    pub fn turn_ends(&mut self) {
        self.dispatch();
        let due = |deadline: Option<Time>, env: &StillEnv| deadline.is_some_and(|at| at <= env.now());
        if let Some(host) = &self.host {
            if due(host.deadline(), &self.env) {
                host.handle_timeout(&mut self.env);
            }
            host.drive(&mut self.env, &mut self.device);
            while let Some(event) = host.poll_event() {
                self.events.push(event);
            }
            host.check();
        }
        self.target.handle_timeout(&mut self.env);
        if let Some(server) = &mut self.server {
            let lane = &mut self.lanes.of(&mut self.target, TAG);
            server.handle_timeout(&mut self.env, &mut self.device, lane);
            server.poll(&mut self.env, &mut self.device, lane);
            server.check();
        }
        self.target.check();
    }

    fn dispatch(&mut self) {
        let Self { env, device, host, server, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff {
                HOST => host.iter().for_each(|it| it.handle_device_event(device, &event)),
                _ => server.iter_mut().for_each(|it| it.handle_event(device, &event)),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff {
                HOST => host.iter().for_each(|it| it.handle_connection(env, device, &event)),
                _ => server.iter_mut().for_each(|it| it.handle_connection(env, device, &event)),
            }
        }
    }

    /// Submits a request and waits for its end.
    pub fn run(&mut self, channel: &mut dyn Channel, io: Io) -> Done {
        channel.submit(&mut self.env, io).unwrap();
        let mut done = Vec::new();
        for _ in 0..100 {
            self.settle();
            channel.poll(&mut self.env, &mut done);
            if let [done] = done[..] {
                assert_eq!(done.tag, io.tag);
                return done;
            }
        }
        panic!("{io:?} never ends");
    }

    /// Memory of a request, filled.
    pub fn memory(&mut self, len: usize, byte: u8) -> Span {
        let span = self.env.mem().take(len).unwrap();
        let bytes: Vec<u8> = (0..len).map(|at| byte.wrapping_add((at / 512) as u8)).collect();
        self.env.mem().write(span, &bytes);
        span
    }

    pub fn bytes(&mut self, span: Span) -> Vec<u8> {
        let mut bytes = vec![0; span.len()];
        self.env.mem().read(span, &mut bytes);
        bytes
    }
}

pub fn io(tag: u64, op: Op, lba: u64, data: Span) -> Io {
    Io { tag, op, lba, blocks: (data.len() / 512) as u32, fua: false, lend: false, data }
}

pub fn subsystem() -> Nqn {
    Nqn::parse("nqn.2026-01.test.weft:fabric").unwrap()
}

pub fn address() -> SocketAddr {
    SocketAddr::new(ADDRESS, 4420)
}

pub fn options() -> HostOptions {
    let options = HostOptions::new(address(), subsystem(), Nqn::from_uuid(&[9; 16]), [9; 16]);
    HostOptions { transport: Transport::Rdma, ..options }
}
