//! The serving machine: a target whose logical units are volumes.

use super::super::machine::Serving;
use super::super::plan::{Plan, SERVER_BUFFER_BYTES, key};
use super::{Terms, initiator, node_name};
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use block::device::{Crypt, File, Geometry, Keeping, Partition, Ram};
use block::{BlockDevice, Identity, Volume};
use scsi::iscsi::target::{
    Access, AddressPattern, AuthGroup, ChapPolicy, InitiatorGroup, InitiatorPattern, Node,
    NodeAuthentication, PortalGroup, Registry, Server,
};
use scsi::target::{DeviceConfig, DeviceKey, PortConfig, Protocol, Target, UnitConfig};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, Event, OpenFile, Owner};
use stdx::mem::MemoryLimits;
use stdx::time::{Time, earliest};

/// See the module.
pub(in super::super) struct IscsiServer {
    target: Target,
    server: Server,
    device: DeviceKey,
    block_size: u32,
    base: Rc<dyn BlockDevice>,
    own: Rc<dyn BlockDevice>,
    /// Those served, by logical unit number.
    volumes: BTreeMap<u32, Rc<dyn BlockDevice>>,
    events: Vec<Event>,
}

impl IscsiServer {
    /// Starts the machine, and has it serve its logical units.
    pub(in super::super) fn boot(
        world: &SharedWorld,
        plan: &Plan,
        terms: &Terms,
        extras: &BTreeMap<u32, u64>,
    ) -> (NodeEnv, Self) {
        let mut env = NodeEnv::boot(world, Plan::SERVER, MemoryLimits { buffer_bytes: SERVER_BUFFER_BYTES });
        let base = base(&mut env, plan);
        let own = part(&base, plan.own_place(), 1, 254);
        let mut target = Target::default();
        let name = node_name().as_str().to_owned();
        let config = DeviceConfig { name: name.clone(), protocol: Protocol::Iscsi };
        let device = target.add_device(config).expect("a device");
        let port = PortConfig { relative_id: TAG, name: format!("{name},t,0x{TAG:04x}"), group: 1 };
        target.add_port(device, port).expect("a port");
        let server = Server::new(&mut env, TRANSPORT, terms.transport).expect("memory");
        let (volumes, events) = (BTreeMap::new(), Vec::new());
        let block_size = plan.block_size;
        let mut machine = Self { target, server, device, block_size, base, own, volumes, events };
        for number in 1..=plan.namespaces {
            let blocks = plan.namespace_blocks();
            let volume = part(&machine.base, u64::from(number - 1) * blocks, blocks, number as u8);
            machine.add(number, volume);
        }
        for (&number, &blocks) in extras {
            machine.serve(&mut env, number, blocks);
        }
        machine.register(plan, terms);
        machine.server.listen(&mut env, Plan::address()).expect("an address to listen on");
        (env, machine)
    }

    fn register(&mut self, plan: &Plan, terms: &Terms) {
        let registry = self.server.registry_mut();
        let portals = vec![Plan::address()];
        registry.add_portal_group(PortalGroup::new(TAG, portals)).expect("a group");
        let (initiators, networks) = (vec![InitiatorPattern::Any], vec![AddressPattern::Any]);
        registry.add_initiator_group(InitiatorGroup { tag: 1, initiators, networks }).expect("a group");
        let authentication = authenticate(registry, terms, plan.clients);
        let node = Node {
            name: node_name(),
            alias: String::new(),
            device: self.device,
            access: vec![Access { portal_group: TAG, initiator_group: 1 }],
            authentication,
            queue_depth: terms.queue_depth,
            limits: terms.limits.clone(),
            redirects: BTreeMap::new(),
        };
        registry.add_node(node).expect("a node");
    }

    fn add(&mut self, number: u32, volume: Rc<dyn BlockDevice>) {
        let uuid = [number as u8; 16];
        let config = UnitConfig { lun: Some(number as u16), uuid, ..UnitConfig::default() };
        let channel = volume.open();
        self.target.add_unit(self.device, config, Rc::clone(&volume), channel).expect("a logical unit");
        self.volumes.insert(number, volume);
    }
}

impl Serving for IscsiServer {
    fn turn(&mut self, env: &mut NodeEnv) {
        let mut events = core::mem::take(&mut self.events);
        env.poll(&mut events, self.deadline());
        for event in events.drain(..) {
            if event.owner == DISK {
                self.base.handle_event(env, &event);
            } else {
                self.server.handle_event(env, &mut self.target, &event);
            }
        }
        self.events = events;
        if self.deadline().is_some_and(|deadline| deadline <= env.now()) {
            self.base.handle_timeout(env);
            self.server.handle_timeout(env, &mut self.target);
        }
        self.server.poll(env, &mut self.target);
        self.target.check();
    }

    fn deadline(&self) -> Option<Time> {
        earliest(self.server.deadline(), self.base.deadline())
    }

    fn own(&self) -> Rc<dyn BlockDevice> {
        Rc::clone(&self.own)
    }

    fn serve(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        let geometry = Geometry::new(self.block_size, blocks).expect("a size");
        let ram = Ram::new(env, geometry).expect("memory");
        self.add(number, Rc::new(Volume::new(Rc::new(ram), Identity([number as u8; 16]))));
    }

    fn withdraw(&mut self, env: &mut NodeEnv, number: u32) {
        self.target.remove_unit(env, self.device, number as u16).expect("it is there");
        self.volumes.remove(&number).expect("it is there").close(env);
    }

    fn resize(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        self.volumes[&number].resize(env, blocks).expect("memory can be resized");
        self.target.unit_changed(self.device, number as u16).expect("it is there");
    }

    fn associations_of(&self, client: u32) -> usize {
        let name = initiator(client);
        self.server.sessions().filter(|session| session.initiator == name).count()
    }

    fn drain(&mut self, env: &mut NodeEnv) {
        self.server.drain(env, &mut self.target);
    }

    fn is_drained(&self) -> bool {
        self.server.is_drained()
    }
}

/// What initiators must prove.
pub(super) fn authenticate(registry: &mut Registry, terms: &Terms, clients: u32) -> NodeAuthentication {
    let Some(accounts) = terms.accounts(clients) else { return NodeAuthentication::default() };
    registry.add_auth_group(AuthGroup { tag: 1, accounts }).expect("a group");
    NodeAuthentication { chap: ChapPolicy::Required, mutual: true, group: Some(1) }
}

/// What all volumes but those in memory lie on.
fn base(env: &mut NodeEnv, plan: &Plan) -> Rc<dyn BlockDevice> {
    let (block_size, blocks) = (plan.block_size, plan.vault_place());
    let device: Rc<dyn BlockDevice> = if plan.file {
        let create = Some(blocks * u64::from(block_size));
        let open = OpenFile { create, ..OpenFile::existing(Path::new("disk")) };
        Rc::new(File::open(env, DISK, &open, Some(block_size)).expect("a file"))
    } else {
        Rc::new(Ram::new(env, Geometry::new(block_size, blocks).expect("a size")).expect("memory"))
    };
    let volume = Rc::new(Volume::new(device, Identity([255; 16])));
    if !plan.encrypted {
        return volume;
    }
    let encrypted = Crypt::new(volume, &key(), Keeping::Nobody);
    Rc::new(Volume::new(Rc::new(encrypted), Identity([253; 16])))
}

/// A part of it.
fn part(base: &Rc<dyn BlockDevice>, first: u64, blocks: u64, number: u8) -> Rc<dyn BlockDevice> {
    let part = Partition::new(Rc::clone(base), first, blocks).expect("a place on it");
    Rc::new(Volume::new(Rc::new(part), Identity([number; 16])))
}

/// The portal group, and its port.
pub(super) const TAG: u16 = 1;
/// Whom events of the disk go to.
const DISK: Owner = Owner(2 << 32);
/// Whom events of the transport go to: the upper half.
const TRANSPORT: u64 = 1 << 32;
