//! An initiator over iSER against a target over iSER: what a volume promises, loss, refusals, discovery.

mod fabric;
mod world;

use block::conformance::{self, Promises, Setting};
use block::{BlockDevice, Op, Status};
use core::time::Duration;
use fabric::{Fabric, io, options, settings};
use scsi::iscsi::initiator::{ConnectionEnd, Discovery, Failure, InitiatorEvent, InitiatorOptions, RdmaEnd};
use scsi::iscsi::login::chap::{ChapAccount, ChapAccounts, ChapAlgorithm, ChapOptions};
use scsi::iscsi::login::{self, LoginError, Secret};
use scsi::iscsi::target::iser::Limits;
use scsi::iscsi::target::{AuthGroup, ChapPolicy, NodeAuthentication};
use std::rc::Rc;
use stdx::env::{Env, Owner};
use stdx::time::Time;
use verbs::{Connections, Provider};
use wire::iscsi::LoginStatus;
use world::{Settings, TARGET};

/// The disk of an initiator, to be examined.
struct Remote {
    fabric: Fabric,
    options: InitiatorOptions,
    made: u32,
}

impl Setting for Remote {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.fabric.world.env
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        self.fabric.close();
        self.made += 1;
        let block_size = if self.made.is_multiple_of(2) { 512 } else { 4096 };
        self.fabric.replace_volume(block_size, 4096, self.made as u8);
        self.fabric.run_for(Duration::from_secs(1));
        self.fabric.connect(self.options.clone());
        Rc::new(self.fabric.disk())
    }

    fn promises(&self) -> Promises {
        Promises { keeps: true, grows: false, composes: false }
    }

    fn turn(&mut self, _device: &dyn BlockDevice, until: Time) {
        let next = self.fabric.deadline().map_or(until, |deadline| deadline.min(until));
        self.fabric.world.env.now = next.max(self.fabric.world.env.now);
        self.fabric.turn();
    }
}

fn examine(seed: u64, options: InitiatorOptions, settings: Settings) {
    let fabric = Fabric::new(settings, Limits::default());
    if let Err(fault) = conformance::run(&mut Remote { fabric, options, made: 0 }, seed) {
        panic!("seed {seed}: {fault}");
    }
}

#[test]
fn a_remote_disk_is_a_volume() {
    examine(1, options(), settings());
}

#[test]
fn so_it_is_by_several_connections_with_few_commands_and_nothing_in_messages() {
    let login = login::Limits { immediate_data: false, max_connections: 4, ..login::Limits::default() };
    let options = InitiatorOptions { sessions: 2, connections: 2, commands_max: 3, ..options() };
    examine(2, options, Settings { login, ..settings() });
}

#[test]
fn bytes_go_both_ways_in_messages_and_by_keys() {
    let mut fabric = Fabric::connected(options());
    let mut channel = fabric.disk().open();
    for (tag, len) in [512, 4096, 8192, 64 << 10, 512 << 10].into_iter().enumerate() {
        let data = fabric.memory(len, tag as u8);
        assert_eq!(fabric.run(channel.as_mut(), io(1, Op::Write, 0, data)).status, Status::Ok);
        let place = fabric.memory(len, 200);
        let read = fabric.run(channel.as_mut(), io(2, Op::Read, 0, place));
        assert_eq!((read.status, fabric.bytes(read.data)), (Status::Ok, fabric.bytes(data)));
        fabric.world.env.mem().give(data);
        fabric.world.env.mem().give(place);
    }
}

#[test]
fn requests_outlive_a_connection() {
    let mut fabric = Fabric::connected(options());
    let mut channel = fabric.disk().open();
    let data = fabric.memory(8192, 7);
    assert_eq!(fabric.run(channel.as_mut(), io(1, Op::Write, 8, data)).status, Status::Ok);
    let place = fabric.memory(8192, 0);
    channel.submit(&mut fabric.world.env, io(2, Op::Read, 8, place)).unwrap();
    fabric.cut();
    fabric.run_for(Duration::from_secs(20));
    let lost = InitiatorEvent::ConnectionLost(Failure::Connection(ConnectionEnd::ByPeer));
    assert_eq!(fabric.events, [lost, InitiatorEvent::Reconnected]);
    let mut done = Vec::new();
    channel.poll(&mut fabric.world.env, &mut done);
    assert_eq!((done[0].status, fabric.bytes(done[0].data)), (Status::Ok, fabric.bytes(data)));
}

#[test]
fn who_refuses_says_why() {
    let refusal = |options: InitiatorOptions| {
        let mut fabric = Fabric::new(settings(), Limits::default());
        fabric.begin(options);
        fabric.events.clone()
    };
    let failed = |why: ConnectionEnd| [InitiatorEvent::Failed(Failure::Connection(why))];
    let address = (world::address().ip(), 3261).into();
    let nobody = InitiatorOptions { address, ..options() };
    assert_eq!(refusal(nobody), failed(RdmaEnd::NoListener.into()));
    let target = scsi::iscsi::IscsiName::parse("iqn.2026-01.io.weft:none").unwrap();
    let unknown = InitiatorOptions { target, ..options() };
    assert_eq!(refusal(unknown), failed(LoginError::Refused(LoginStatus::NotFound).into()));
}

#[test]
fn chap_proves_both_ends() {
    let secret = |text: &str| Secret::new(text.as_bytes()).unwrap();
    let mutual = Some(("target".to_owned(), secret("the other one")));
    let account = ChapAccount { name: "user".to_owned(), secret: secret("one secret"), mutual };
    let accounts = ChapAccounts {
        accounts: vec![account],
        algorithms: ChapAlgorithm::ALL.to_vec(),
        mutual_required: true,
    };
    let mut fabric = Fabric::new(settings(), Limits::default());
    let registry = fabric.world.server.registry_mut();
    registry.add_auth_group(AuthGroup { tag: 1, accounts: Rc::new(accounts) }).unwrap();
    let node = registry.node_mut(&scsi::iscsi::IscsiName::parse(TARGET).unwrap()).unwrap();
    node.authentication = NodeAuthentication { chap: ChapPolicy::Required, mutual: true, group: Some(1) };
    let with = |ours: &str, theirs: &str| {
        let one_way = ChapOptions::one_way("user".to_owned(), secret(ours));
        let chap = ChapOptions { mutual: Some((None, secret(theirs))), ..one_way };
        InitiatorOptions { chap: Some(chap), ..options() }
    };
    fabric.connect(with("one secret", "the other one"));
    fabric.close();
    for wrong in [options(), with("two secrets", "the other one"), with("one secret", "one of others")] {
        fabric.begin(wrong);
        assert!(matches!(fabric.events[..], [InitiatorEvent::Failed(_)]), "{:?}", fabric.events);
        fabric.close();
    }
    assert_eq!(fabric.world.server.sessions().count(), 0);
}

#[test]
fn a_closed_initiator_leaves_nothing_behind() {
    let mut fabric = Fabric::connected(options());
    let before = fabric.world.env.mem().buffers_taken();
    let mut channel = fabric.disk().open();
    let data = fabric.memory(64 << 10, 7);
    channel.submit(&mut fabric.world.env, io(1, Op::Read, 8, data)).unwrap();
    fabric.close();
    let mut done = Vec::new();
    channel.poll(&mut fabric.world.env, &mut done);
    assert_eq!(done[0].status, Status::Gone);
    fabric.world.env.mem().give(data);
    fabric.run_for(Duration::from_secs(1));
    assert_eq!(fabric.world.env.mem().buffers_taken(), before);
    assert!(fabric.transport.is_drained(), "it logged out");
    // Again, on the same device, as if nothing had been.
    fabric.connect(options());
}

#[test]
fn an_idle_session_lives() {
    let mut fabric = Fabric::connected(InitiatorOptions { watch_interval: Duration::ZERO, ..options() });
    fabric.run_for(Duration::from_secs(120));
    assert!(fabric.events.is_empty(), "{:?}", fabric.events);
    assert!(fabric.initiator().is_live());
}

#[test]
fn a_portal_says_what_it_has() {
    let mut fabric = Fabric::new(settings(), Limits::default());
    let mut discovery = Discovery::connect(&mut fabric.world.env, Owner(3 << 32), &options()).unwrap();
    let mut told = None;
    for _ in 0..100 {
        let Fabric { world, device, transport, .. } = &mut fabric;
        device.turn(&mut world.env);
        while let Some(event) = device.poll_event() {
            match event.owner.0 >> 32 {
                3 => discovery.handle_device_event(device, &event),
                _ => transport.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 >> 32 {
                3 => discovery.handle_connection(&mut world.env, device, &event),
                _ => transport.handle_connection(&mut world.env, device, &event),
            }
        }
        discovery.drive(&mut world.env, device);
        world.server.poll(&mut world.env, &mut world.target);
        transport.poll(&mut world.env, device, &mut world.server, &mut world.target);
        if let Some(targets) = discovery.poll(&mut world.env) {
            told = Some(targets.unwrap());
            discovery.close(&mut world.env);
        }
    }
    let told = told.expect("an answer");
    assert_eq!(told.iter().map(|one| one.target.to_string()).collect::<Vec<_>>(), [TARGET]);
    assert!(discovery.is_quiet());
    discovery.free(&mut fabric.world.env, &mut fabric.device);
    assert!(fabric.transport.is_drained(), "it logged out");
}
