//! A host and a target, each with a simulated node of its own, and the network between them.
#![allow(dead_code, reason = "each test binary uses its part")]

use block::conformance::{Promises, Setting};
use block::device::{Geometry, Null, Ram};
use block::{BlockDevice, Identity, Volume};
use core::time::Duration;
use nvme::host::{Host, HostEvent, HostOptions, Namespace};
use nvme::target::tcp::{Limits, Server};
use nvme::target::{NamespaceConfig, Options, Portal, SubsystemConfig, Target, Transport};
use sim::env::NodeEnv;
use sim::faults::Faults;
use sim::network::NodeId;
use sim::world::{SharedWorld, Step, World};
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::mem::MemoryLimits;
use stdx::time::{Time, earliest};
use wire::nvme::Nqn;

pub const TARGET: NodeId = NodeId(1);
pub const HOST: NodeId = NodeId(2);
const LIMITS: MemoryLimits = MemoryLimits { buffer_bytes: 160 << 20 };

/// The target's node: one subsystem on one portal.
pub struct TargetNode {
    pub env: NodeEnv,
    pub target: Target,
    pub server: Option<Server>,
    events: Vec<Event>,
}

impl TargetNode {
    fn boot(world: &SharedWorld) -> Self {
        let mut env = NodeEnv::boot(world, TARGET, LIMITS);
        let mut target = Target::new(Options::default());
        let config = SubsystemConfig {
            max_namespaces: 2048,
            ana_reporting: true,
            ..SubsystemConfig::new(subsystem())
        };
        target.create_subsystem(config).unwrap();
        target.add_listener(&subsystem(), portal()).unwrap();
        let server = Some(serve(&mut env));
        Self { env, target, server, events: Vec::new() }
    }

    /// A new volume in memory behind a namespace; what it is, and its identifier.
    pub fn add_volume(&mut self, block_size: u32, blocks: u64, uuid: u8) -> (Rc<dyn BlockDevice>, u32) {
        let ram = Ram::new(&mut self.env, Geometry::new(block_size, blocks).unwrap()).unwrap();
        let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(Rc::new(ram), Identity([uuid; 16])));
        let channel = volume.open();
        let config = NamespaceConfig { uuid: [uuid; 16], ..Default::default() };
        let id = self.target.add_namespace(&subsystem(), config, volume.clone(), channel).unwrap();
        (volume, id)
    }

    /// A volume that keeps nothing, behind a namespace.
    pub fn add_null(&mut self) -> u32 {
        let null: Rc<dyn BlockDevice> = Rc::new(Null::new(Geometry::new(512, 8).unwrap()));
        let channel = null.open();
        self.target.add_namespace(&subsystem(), NamespaceConfig::default(), null, channel).unwrap()
    }

    /// All connections break; nobody listens any more.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.close(&mut self.env, &mut self.target);
            server.poll(&mut self.env, &mut self.target);
            server.free(&mut self.env);
        }
    }

    /// Listens again.
    pub fn start(&mut self) {
        self.server = Some(serve(&mut self.env));
    }

    fn turn(&mut self) {
        self.events.clear();
        let deadline = self.server.as_ref().and_then(Server::deadline);
        self.env.poll(&mut self.events, earliest(deadline, self.target.deadline()));
        self.target.handle_timeout(&mut self.env);
        let Some(server) = &mut self.server else { return };
        for event in &self.events {
            server.handle_event(&mut self.env, &mut self.target, event);
        }
        server.handle_timeout(&mut self.env, &mut self.target);
        server.poll(&mut self.env, &mut self.target);
    }
}

fn serve(env: &mut NodeEnv) -> Server {
    let mut server = Server::new(env, 5 << 32, Limits::default()).unwrap();
    server.listen(env, address()).unwrap();
    server
}

/// Both nodes.
pub struct Pair {
    pub world: SharedWorld,
    pub target: TargetNode,
    pub env: NodeEnv,
    pub host: Option<Host>,
    events: Vec<Event>,
}

impl Pair {
    pub fn new(seed: u64, faults: Faults) -> Self {
        let world = World::new(seed, faults);
        let target = TargetNode::boot(&world);
        let env = NodeEnv::boot(&world, HOST, LIMITS);
        Self { world, target, env, host: None, events: Vec::new() }
    }

    /// A host that is connected.
    pub fn connect(&mut self, options: HostOptions) {
        self.host = Some(Host::connect(&mut self.env, Owner(77), options).unwrap());
        assert_eq!(self.run_until_event(), HostEvent::NamespaceAdded(1));
        while self.run_until_event() != HostEvent::Connected {}
    }

    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("connected")
    }

    /// Closes the host; it is still there to be asked.
    pub fn close(&mut self) {
        if let Some(host) = &self.host {
            host.close(&mut self.env);
        }
    }

    pub fn namespace(&self) -> Namespace {
        self.host().namespace(1).expect("namespace 1")
    }

    /// Lets the world go on until the host had something to do, `until` at the latest. False if it had nothing.
    pub fn turn(&mut self, until: Time) -> bool {
        loop {
            self.events.clear();
            let deadline = self.host.as_ref().and_then(Host::deadline);
            self.env.poll(&mut self.events, deadline);
            let due = deadline.is_some_and(|deadline| deadline <= self.env.now());
            if let Some(host) = &self.host
                && (due || !self.events.is_empty())
            {
                for event in &self.events {
                    host.handle_event(&mut self.env, event);
                }
                if due {
                    host.handle_timeout(&mut self.env);
                }
                return true;
            }
            if !self.step_until(until) {
                self.env.poll(&mut self.events, None);
                return false;
            }
        }
    }

    /// One step of the world. The host's turn, if it is that, is the caller's.
    pub fn step(&mut self) {
        assert!(self.step_until(Time::NEVER), "nothing ever happens");
    }

    fn step_until(&mut self, until: Time) -> bool {
        let step = self.world.borrow_mut().step(until);
        match step {
            Step::Turn(TARGET) => self.target.turn(),
            Step::Turn(_) => {}
            Step::Idle => return false,
        }
        true
    }

    /// Goes on until the host tells something.
    pub fn run_until_event(&mut self) -> HostEvent {
        let limit = self.env.now() + Duration::from_secs(3600);
        loop {
            if let Some(event) = self.host().poll_event() {
                return event;
            }
            assert!(self.turn(limit), "nothing ever happens");
        }
    }

    /// Goes on for some time.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.env.now() + time;
        while self.env.now() < until {
            self.turn(until);
        }
    }
}

/// The volume of a host, to be examined. Each one made is a new association with a namespace of its own.
pub struct Remote {
    pub pair: Pair,
    options: HostOptions,
    made: u32,
}

impl Remote {
    pub fn new(seed: u64, faults: Faults, options: HostOptions) -> Self {
        Self { pair: Pair::new(seed, faults), options, made: 0 }
    }
}

impl Setting for Remote {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.pair.env
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        if let Some(host) = self.pair.host.take() {
            host.close(&mut self.pair.env);
            self.pair.target.target.remove_namespace(&subsystem(), 1).unwrap();
            self.pair.run_for(Duration::from_secs(10));
        }
        self.made += 1;
        let block_size = if self.made.is_multiple_of(2) { 512 } else { 4096 };
        self.pair.target.add_volume(block_size, 4096, self.made as u8);
        self.pair.connect(self.options.clone());
        Rc::new(self.pair.namespace())
    }

    fn promises(&self) -> Promises {
        Promises { keeps: true, grows: false, composes: false }
    }

    fn turn(&mut self, _device: &dyn BlockDevice, until: Time) {
        self.pair.turn(until);
    }
}

pub fn subsystem() -> Nqn {
    Nqn::parse("nqn.2026-01.test.weft:pair").unwrap()
}

pub fn portal() -> Portal {
    Portal { transport: Transport::Tcp, address: address() }
}

pub fn address() -> SocketAddr {
    (World::address(TARGET), 4420).into()
}

pub fn options() -> HostOptions {
    HostOptions::new(address(), subsystem(), Nqn::from_uuid(&[9; 16]), [9; 16])
}
