//! An SRP initiator and a target of ours on one loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

use block::device::{Delay, Geometry, Latencies, Ram};
use block::{BlockDevice, Channel, Done, Identity, Io, Op, Volume};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use scsi::srp::initiator::{Disk, Initiator, InitiatorEvent, InitiatorOptions};
use scsi::srp::target::{Access, Limits, Server, TargetPort};
use scsi::target::{DeviceConfig, DeviceKey, PortConfig, Protocol, Target, UnitConfig};
use std::rc::Rc;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::Span;
use stdx::time::{Time, earliest};
use verbs::loopback::Loopback;
use verbs::{Connections, Provider};
use wire::srp::PortId;

pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5555);
pub const PORT: PortId = PortId { extension: 0x0505, guid: 0x0a0b };
pub const INITIATOR: PortId = PortId { extension: 0, guid: 0x5054 };
const HOST: u64 = 1 << 32;
const SERVER: u64 = 2 << 32;
/// The tag of the server's keys.
const TAG: u8 = 1;

/// Everything, on one shard.
pub struct World {
    pub env: StillEnv,
    pub device: Loopback,
    pub initiator: Option<Initiator>,
    pub server: Option<Server>,
    pub target: Target,
    pub scsi_device: DeviceKey,
    /// What the initiator told.
    pub events: Vec<InitiatorEvent>,
    slow: Vec<Rc<Delay>>,
    limits: Limits,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let mut env = StillEnv::with_buffers(1, 256 << 20);
        let device = Loopback::new(verbs::Limits::default(), ADDRESS.ip());
        let mut target = Target::new();
        let config = DeviceConfig { name: "srp.disk".to_owned(), protocol: Protocol::Srp };
        let scsi_device = target.add_device(config).unwrap();
        let port = PortConfig { relative_id: 1, name: PORT.to_string(), group: 1 };
        target.add_port(scsi_device, port).unwrap();
        let _ = env.entropy();
        let (initiator, server, events, slow) = (None, None, Vec::new(), Vec::new());
        let mut world = Self { env, device, initiator, server, target, scsi_device, events, slow, limits };
        world.serve();
        world
    }

    /// With a volume of 2 MiB, and an initiator that is connected.
    pub fn connected(options: InitiatorOptions) -> Self {
        let mut world = Self::new(Limits::default());
        world.add_volume(512, 4096, 1);
        world.connect(options);
        world
    }

    /// The target listens.
    pub fn serve(&mut self) {
        let mut server = Server::new(&mut self.env, &mut self.device, SERVER, TAG, self.limits).unwrap();
        let port = TargetPort { id: PORT, device: self.scsi_device, relative_id: 1, access: Access::Any };
        server.registry_mut().add_port(port).unwrap();
        server.listen(&mut self.device, ADDRESS).unwrap();
        self.server = Some(server);
    }

    /// The target's connections all end, and nobody listens any more.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.close(&mut self.env, &mut self.device, &mut self.target);
        self.server = Some(server);
        self.settle();
        let server = self.server.take().unwrap();
        server.free(&mut self.env, &mut self.device);
    }

    pub fn add_volume(&mut self, block_size: u32, blocks: u64, uuid: u8) -> u16 {
        let ram = Ram::new(&mut self.env, Geometry::new(block_size, blocks).unwrap()).unwrap();
        self.add_device(Rc::new(ram), uuid)
    }

    /// A volume that takes as long as is said later.
    pub fn add_slow_volume(&mut self, uuid: u8) -> Rc<Delay> {
        let ram = Ram::new(&mut self.env, Geometry::new(512, 4096).unwrap()).unwrap();
        let delay = Rc::new(Delay::new(Rc::new(ram), Latencies::default(), 7));
        self.add_device(Rc::clone(&delay) as Rc<dyn BlockDevice>, uuid);
        self.slow.push(Rc::clone(&delay));
        delay
    }

    fn add_device(&mut self, base: Rc<dyn BlockDevice>, uuid: u8) -> u16 {
        let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(base, Identity([uuid; 16])));
        let channel = volume.open();
        let config = UnitConfig { uuid: [uuid; 16], ..UnitConfig::default() };
        self.target.add_unit(self.scsi_device, config, volume, channel).unwrap()
    }

    /// Begins to connect, and lets happen what happens at once.
    pub fn begin(&mut self, options: InitiatorOptions) {
        self.initiator = Some(Initiator::connect(&mut self.env, Owner(HOST), options).unwrap());
        self.settle();
    }

    pub fn connect(&mut self, options: InitiatorOptions) {
        self.begin(options);
        assert_eq!(self.events.last(), Some(&InitiatorEvent::Connected), "{:?}", self.events);
        self.events.clear();
    }

    pub fn initiator(&self) -> &Initiator {
        self.initiator.as_ref().unwrap()
    }

    pub fn disk(&self) -> Disk {
        self.initiator().disk(0).unwrap()
    }

    /// Closes the initiator, and gives back what it had.
    pub fn close(&mut self) {
        let Some(initiator) = self.initiator.take() else { return };
        initiator.close();
        self.initiator = Some(initiator);
        self.settle();
        let initiator = self.initiator.take().unwrap();
        assert!(initiator.is_quiet());
        initiator.free(&mut self.env, &mut self.device);
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
        let initiator = self.initiator.as_ref().and_then(Initiator::deadline);
        let volumes = self.slow.iter().map(|delay| delay.deadline()).fold(self.target.deadline(), earliest);
        earliest(initiator, earliest(self.device.deadline(), volumes))
    }

    /// Hands everything over once, as a shard does.
    pub fn turn(&mut self) {
        self.device.turn(&mut self.env);
        self.turn_ends();
    }

    /// The same without the device.
    pub fn turn_ends(&mut self) {
        self.dispatch();
        if let Some(initiator) = &self.initiator {
            if initiator.deadline().is_some_and(|at| at <= self.env.now()) {
                initiator.handle_timeout(&mut self.env);
            }
            initiator.drive(&mut self.env, &mut self.device);
            while let Some(event) = initiator.poll_event() {
                self.events.push(event);
            }
            initiator.check();
        }
        for delay in &self.slow {
            delay.handle_timeout(&mut self.env);
        }
        if let Some(server) = &mut self.server {
            server.poll(&mut self.env, &mut self.device, &mut self.target);
            server.check();
        }
        self.target.check();
    }

    fn dispatch(&mut self) {
        let Self { env, device, initiator, server, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff {
                HOST => initiator.iter().for_each(|it| it.handle_device_event(device, &event)),
                _ => server.iter_mut().for_each(|it| it.handle_event(device, &event)),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff {
                HOST => initiator.iter().for_each(|it| it.handle_connection(env, device, &event)),
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

pub const fn options() -> InitiatorOptions {
    InitiatorOptions::new(ADDRESS, PORT, INITIATOR)
}

/// Everything takes so long.
pub const fn latencies(time: Duration) -> Latencies {
    Latencies { read_average: time, read_p99: time, write_average: time, write_p99: time }
}
