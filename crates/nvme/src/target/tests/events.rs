//! Asynchronous events: namespaces that come, go and grow, access states, and the requests that wait for them.

use super::io::{command, read, write};
use super::settings::log;
use super::slow::Slow;
use super::world::{Client, World, portal, subsystem_nqn};
use crate::target::{AnaState, ConfigError, Options, SubsystemConfig};
use block::BlockDevice;
use block::device::{Error, Geometry, Injection, Ram, Target};
use std::rc::Rc;
use wire::nvme::admin::{AbortRequest, SetFeatures};
use wire::nvme::aer::{AsyncEvent, AsyncEventResult};
use wire::nvme::features::Feature;
use wire::nvme::identify::{AsyncEvents, NamespaceList};
use wire::nvme::log::{AnaGroups, LogPage};
use wire::nvme::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry};

fn event_request(id: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), id)
}

fn enable(world: &mut World, admin: Client, events: AsyncEvents) {
    let feature = Feature::AsynchronousEventConfiguration.code();
    let set = SetFeatures { feature, save: false, dword11: events.bits() };
    assert_eq!(world.run(admin, set.command(1), &[]).status, Status::SUCCESS);
}

fn told(world: &mut World, slot: u32) -> Option<AsyncEvent> {
    world.settle();
    let answer = world.answer(slot)?;
    assert_eq!(answer.status, Status::SUCCESS);
    AsyncEventResult::from_dword(answer.result as u32).event()
}

fn changed(world: &mut World, admin: Client) -> Vec<u32> {
    let data = log(world, admin, LogPage::ChangedNamespaceList, 0, 4096).data;
    NamespaceList::view(&data).unwrap().iter().collect()
}

#[test]
fn namespaces_come_grow_and_go() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    enable(&mut world, admin, AsyncEvents::NAMESPACE_ATTRIBUTE);
    let slot = world.send(admin, event_request(1), &[]).unwrap();
    let id = world.add_ram(64, 2);
    assert_eq!(id, 2);
    assert_eq!(told(&mut world, slot), Some(AsyncEvent::NamespaceAttributeChanged));
    let slot = world.send(admin, event_request(2), &[]).unwrap();
    world.ram.resize(&mut world.env, 8192).unwrap();
    world.target.namespace_changed(&subsystem_nqn(), 1).unwrap();
    assert_eq!(told(&mut world, slot), None, "masked until the list is read");
    assert_eq!(changed(&mut world, admin), [1, 2]);
    assert_eq!(changed(&mut world, admin), []);
    assert_eq!(read(&mut world, client, 8184, 8).status, Status::SUCCESS);
    world.target.namespace_changed(&subsystem_nqn(), 1).unwrap();
    assert_eq!(told(&mut world, slot), None, "nothing changed");
    world.target.remove_namespace(&subsystem_nqn(), 2).unwrap();
    assert_eq!(told(&mut world, slot), Some(AsyncEvent::NamespaceAttributeChanged));
    assert_eq!(changed(&mut world, admin), [2]);
    let gone = world.run(client, command(NvmOpcode::Flush, 0, 1).with_namespace(2), &[]);
    assert_eq!(gone.status.kind(), Status::INVALID_FIELD);
}

#[test]
fn an_event_that_happens_before_the_request_waits_for_it() {
    let mut world = World::new();
    let admin = world.admin(1);
    world.add_ram(64, 2);
    enable(&mut world, admin, AsyncEvents::NAMESPACE_ATTRIBUTE);
    let slot = world.send(admin, event_request(1), &[]).unwrap();
    assert_eq!(told(&mut world, slot), None, "it was not enabled then");
    world.add_ram(64, 3);
    assert!(told(&mut world, slot).is_some());
    changed(&mut world, admin);
    world.add_ram(64, 4);
    let slot = world.send(admin, event_request(1), &[]).unwrap();
    assert!(told(&mut world, slot).is_some());
}

#[test]
fn requests_are_limited_and_can_be_aborted() {
    let mut world = World::new();
    let admin = world.admin(1);
    let slots: Vec<u32> = (1..=4).map(|id| world.send(admin, event_request(id), &[]).unwrap()).collect();
    let status = world.run(admin, event_request(5), &[]).status;
    assert_eq!(status.kind(), Status::ASYNC_EVENT_LIMIT_EXCEEDED);
    let abort = |queue_id, command_id| AbortRequest { queue_id, command_id }.command(9);
    assert_eq!(world.run(admin, abort(0, 2), &[]).result, 0);
    assert_eq!(world.answer(slots[1]).unwrap().status, Status::ABORT_REQUESTED);
    assert_eq!(world.run(admin, abort(0, 2), &[]).result, 1, "there is none any more");
    assert_eq!(world.run(admin, abort(3, 2), &[]).status.kind(), Status::INVALID_QUEUE_ID);
}

#[test]
fn abort_takes_back_what_the_volume_has_not_seen() {
    let mut world = World::new();
    let slow = Slow::new(1, 64);
    let id = world.add_device(slow.clone(), 2);
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    let flush = |command_id: u16| {
        let mut flush = command(NvmOpcode::Flush, 0, 1).with_namespace(id);
        flush.command_id = command_id.into();
        flush
    };
    let [first, second] = [1, 2].map(|id| world.send(client, flush(id), &[]).unwrap());
    let mut abort =
        |id| world.run(admin, AbortRequest { queue_id: 1, command_id: id }.command(9), &[]).result;
    assert_eq!((abort(1), abort(2)), (1, 0));
    assert_eq!(world.answer(second).unwrap().status, Status::ABORT_REQUESTED);
    slow.complete(block::Status::Ok);
    world.settle();
    assert_eq!(world.answer(first).unwrap().status, Status::SUCCESS);
}

#[test]
fn abort_takes_back_what_the_volume_gives_back() {
    let mut world = World::new();
    let ram = Ram::new(&mut world.env, Geometry::new(512, 64).unwrap()).unwrap();
    let hangs = Rc::new(Error::new(Rc::new(ram)));
    hangs.inject(Target::Flush, Injection::Pending, 1);
    let id = world.add_device(hangs, 2);
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    let slot = world.send(client, command(NvmOpcode::Flush, 0, 1).with_namespace(id), &[]).unwrap();
    let command_id = command(NvmOpcode::Flush, 0, 1).command_id.get();
    let abort = AbortRequest { queue_id: 1, command_id }.command(9);
    assert_eq!(world.run(admin, abort, &[]).result, 0);
    assert_eq!(world.answer(slot).unwrap().status, Status::ABORT_REQUESTED);
    assert_eq!(world.run(admin, abort, &[]).result, 1, "it is gone");
}

#[test]
fn a_namespace_removed_during_io_completes_it() {
    let mut world = World::new();
    let slow = Slow::new(1, 64);
    let id = world.add_device(slow.clone(), 2);
    let client = world.host(1);
    let flush = command(NvmOpcode::Flush, 0, 1).with_namespace(id);
    let [first, second] = [(); 2].map(|()| world.send(client, flush, &[]).unwrap());
    world.target.remove_namespace(&subsystem_nqn(), id).unwrap();
    world.settle();
    for slot in [first, second] {
        slow.complete(block::Status::Ok);
        world.settle();
        assert_eq!(world.answer(slot).unwrap().status, Status::SUCCESS);
    }
    assert_eq!(world.add_ram(8, 2), id, "the identifier is free again");
}

#[test]
fn access_states_are_told_and_kept() {
    let mut config = SubsystemConfig::new(subsystem_nqn());
    config.ana_reporting = true;
    let mut world = World::with(Options::default(), config);
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    enable(&mut world, admin, AsyncEvents::ANA_CHANGE);
    let slot = world.send(admin, event_request(1), &[]).unwrap();
    let cases = [
        (AnaState::NonOptimized, Status::SUCCESS),
        (AnaState::Inaccessible, Status::ASYMMETRIC_ACCESS_INACCESSIBLE),
        (AnaState::PersistentLoss, Status::ASYMMETRIC_ACCESS_PERSISTENT_LOSS),
        (AnaState::Change, Status::ASYMMETRIC_ACCESS_TRANSITION),
        (AnaState::Optimized, Status::SUCCESS),
    ];
    for (state, status) in cases {
        world.target.listener_set_ana_state(&subsystem_nqn(), &portal(), state, Some(1)).unwrap();
        assert_eq!(write(&mut world, client, 0, 1, 1), status);
        let data = log(&mut world, admin, LogPage::AsymmetricNamespaceAccess, 0, 64).data;
        let groups: Vec<_> = AnaGroups::new(&data).unwrap().map(Result::unwrap).collect();
        assert_eq!(groups.len(), 1);
        assert_eq!((groups[0].header.state(), groups[0].header.group_id.get()), (Some(state), 1));
        assert_eq!(groups[0].namespaces().collect::<Vec<_>>(), [1]);
    }
    assert_eq!(told(&mut world, slot), Some(AsyncEvent::AnaChange));
    let group = world.target.listener_set_ana_state(&subsystem_nqn(), &portal(), AnaState::Change, Some(33));
    assert_eq!(group, Err(ConfigError::AnaGroup));
}

#[test]
fn configuration_that_cannot_be_changes_nothing() {
    let mut world = World::new();
    let nqn = subsystem_nqn();
    let target = &mut world.target;
    let config = SubsystemConfig::new(nqn);
    assert_eq!(target.create_subsystem(config.clone()), Err(ConfigError::SubsystemExists));
    let other = wire::nvme::Nqn::from_uuid(&[7; 16]);
    let mut bad = SubsystemConfig { nqn: other, serial: "x".repeat(21), ..config.clone() };
    assert_eq!(target.create_subsystem(bad.clone()), Err(ConfigError::Text));
    bad = SubsystemConfig { nqn: other, min_cntlid: 9, max_cntlid: 8, ..config.clone() };
    assert_eq!(target.create_subsystem(bad), Err(ConfigError::ControllerIds));
    let none = SubsystemConfig { nqn: other, max_namespaces: 0, ..config };
    assert_eq!(target.create_subsystem(none), Err(ConfigError::MaxNamespaces));
    assert_eq!(target.add_listener(&nqn, portal()), Err(ConfigError::ListenerExists));
    assert_eq!(target.remove_namespace(&nqn, 9), Err(ConfigError::UnknownNamespace));
    let discovery = wire::nvme::Nqn::discovery();
    assert_eq!(target.delete_subsystem(&discovery), Err(ConfigError::Discovery));
    let channel = world.ram.open();
    let again = crate::target::NamespaceConfig { uuid: [1; 16], ..Default::default() };
    let twice = world.target.add_namespace(&nqn, again, world.ram.clone(), channel);
    assert_eq!(twice, Err(ConfigError::IdentifierTaken));
    assert_eq!(world.target.subsystem(&nqn).unwrap().namespaces.len(), 1);
}

#[test]
fn a_deleted_subsystem_ends_its_controllers() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    world.target.delete_subsystem(&subsystem_nqn()).unwrap();
    assert_eq!(world.target.poll_disconnect(), Some(admin.connection));
    assert_eq!(world.target.poll_disconnect(), Some(client.connection));
    assert!(!read(&mut world, client, 0, 1).status.is_success());
    world.disconnect(client);
    world.disconnect(admin);
    assert_eq!(world.target.totals().queues, 0);
}
