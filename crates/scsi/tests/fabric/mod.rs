//! An initiator and a target with iSER between them, on one loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

use super::world::{self, Settings, TARGET, World};
use block::device::{Geometry, Ram};
use block::{Channel, Done, Identity, Io, Op, Volume};
use core::time::Duration;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{Disk, Initiator, InitiatorEvent, InitiatorOptions, Transport as Carrier};
use scsi::iscsi::target::iser::{Limits, Transport};
use scsi::target::UnitConfig;
use std::net::IpAddr;
use std::rc::Rc;
use stdx::env::{Env, Owner};
use stdx::mem::Span;
use stdx::time::{Time, earliest};
use verbs::loopback::Loopback;
use verbs::{Connections, Provider};

const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;

/// Everything, on one shard.
pub struct Fabric {
    pub world: World,
    pub device: Loopback,
    pub transport: Transport,
    pub initiator: Option<Initiator>,
    /// What the initiator told.
    pub events: Vec<InitiatorEvent>,
}

impl Fabric {
    pub fn new(settings: Settings, limits: Limits) -> Self {
        let mut world = World::with(settings);
        let address: IpAddr = world::address().ip();
        let mut device = Loopback::new(verbs::Limits::default(), address);
        let mut transport = Transport::new(&mut world.env, &mut device, THEIRS, 1, limits).unwrap();
        transport.listen(&mut device, world::address()).unwrap();
        Self { world, device, transport, initiator: None, events: Vec::new() }
    }

    /// With an initiator that is let in.
    pub fn connected(options: InitiatorOptions) -> Self {
        let mut fabric = Self::new(settings(), Limits::default());
        fabric.connect(options);
        fabric
    }

    /// Begins to connect, and lets happen what happens at once.
    pub fn begin(&mut self, options: InitiatorOptions) {
        self.initiator = Some(Initiator::connect(&mut self.world.env, Owner(OURS), options).unwrap());
        self.settle();
    }

    pub fn connect(&mut self, options: InitiatorOptions) {
        self.begin(options);
        assert_eq!(self.events, [InitiatorEvent::DiskAdded(0), InitiatorEvent::Connected]);
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
        initiator.close(&mut self.world.env);
        self.initiator = Some(initiator);
        self.settle();
        let initiator = self.initiator.take().unwrap();
        assert!(initiator.is_quiet());
        initiator.free(&mut self.world.env, &mut self.device);
        self.events.clear();
    }

    /// Another volume takes the place of the one there is, all zeros.
    pub fn replace_volume(&mut self, block_size: u32, blocks: u64, uuid: u8) {
        let World { env, target, device, volume, .. } = &mut self.world;
        target.remove_unit(env, *device, 0).unwrap();
        let ram = Ram::new(env, Geometry::new(block_size, blocks).unwrap()).unwrap();
        *volume = Rc::new(Volume::new(Rc::new(ram), Identity([uuid; 16])));
        let config = UnitConfig { uuid: [uuid; 16], ..UnitConfig::default() };
        target.add_unit(*device, config, Rc::clone(volume), volume.open()).unwrap();
    }

    /// The target ends its sessions without a word.
    pub fn cut(&mut self) {
        let World { env, server, target, .. } = &mut self.world;
        let ended = server.end_sessions(env, target, &IscsiName::parse(TARGET).unwrap());
        assert!(ended > 0);
        self.settle();
    }

    /// Lets happen what happens without time going by.
    pub fn settle(&mut self) {
        let now = self.world.env.now();
        for _ in 0..2000 {
            self.turn();
            if self.deadline().is_none_or(|deadline| deadline > now) {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Lets time go by.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.world.env.now() + time;
        self.settle();
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= until) {
            self.world.env.now = deadline.max(self.world.env.now);
            self.settle();
        }
        self.world.env.now = until;
        self.settle();
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Time> {
        let initiator = self.initiator.as_ref().and_then(Initiator::deadline);
        let target = earliest(self.world.server.deadline(), self.world.target.deadline());
        earliest(earliest(initiator, target), self.device.deadline())
    }

    /// Hands everything over once, as a shard does.
    pub fn turn(&mut self) {
        self.device.turn(&mut self.world.env);
        self.dispatch();
        let Self { world: World { env, .. }, device, initiator, events, .. } = self;
        if let Some(initiator) = initiator {
            if initiator.deadline().is_some_and(|at| at <= env.now()) {
                initiator.handle_timeout(env);
            }
            initiator.drive(env, device);
            while let Some(event) = initiator.poll_event() {
                events.push(event);
            }
            initiator.check();
        }
        self.turn_target();
    }

    /// Lets the target do what there is to do.
    pub fn turn_target(&mut self) {
        let Self { world: World { env, server, target, .. }, device, transport, .. } = self;
        server.handle_timeout(env, target);
        server.poll(env, target);
        transport.poll(env, device, server, target);
        transport.check();
    }

    /// Hands out what the device tells.
    pub fn dispatch(&mut self) {
        let Self { world, device, transport, initiator, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff {
                OURS => initiator.iter().for_each(|it| it.handle_device_event(device, &event)),
                _ => transport.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff {
                OURS => initiator.iter().for_each(|it| it.handle_connection(&mut world.env, device, &event)),
                _ => transport.handle_connection(&mut world.env, device, &event),
            }
        }
    }

    /// Submits a request and waits for its end.
    pub fn run(&mut self, channel: &mut dyn Channel, io: Io) -> Done {
        channel.submit(&mut self.world.env, io).unwrap();
        let mut done = Vec::new();
        for _ in 0..100 {
            self.settle();
            channel.poll(&mut self.world.env, &mut done);
            if let [done] = done[..] {
                assert_eq!(done.tag, io.tag);
                return done;
            }
        }
        panic!("{io:?} never ends");
    }

    /// Memory of a request, filled.
    pub fn memory(&mut self, len: usize, seed: u8) -> Span {
        let span = self.world.env.mem().take(len).unwrap();
        self.world.env.mem().write(span, &world::pattern(len, seed));
        span
    }

    pub fn bytes(&mut self, span: Span) -> Vec<u8> {
        let mut bytes = vec![0; span.len()];
        self.world.env.mem().read(span, &mut bytes);
        bytes
    }
}

pub fn io(tag: u64, op: Op, lba: u64, data: Span) -> Io {
    Io { tag, op, lba, blocks: (data.len() / 512) as u32, fua: false, lend: false, data }
}

/// A target with room for large requests.
pub fn settings() -> Settings {
    Settings { buffer_bytes: 256 << 20, ..Settings::default() }
}

pub fn options() -> InitiatorOptions {
    let name = |text: &str| IscsiName::parse(text).unwrap();
    let options = InitiatorOptions::new(world::address(), name(TARGET), name(world::INITIATOR));
    InitiatorOptions { transport: Carrier::Rdma, ..options }
}
