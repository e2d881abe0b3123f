//! Properties, enabling, shutdown, reset, keep alive, and the end of a controller.

use super::slow::Slow;
use super::world::{World, connect, host_nqn, reading, subsystem_nqn};
use std::time::Duration;
use wire::nvme::admin::{FeatureSelect, GetFeatures, SetFeatures};
use wire::nvme::fabrics::{
    Capabilities, Connect, ConnectData, ControllerStatus, Property, PropertyGet, PropertySet, ShutdownStatus,
    Version, disconnect,
};
use wire::nvme::features::Feature;
use wire::nvme::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry};

fn keep_alive() -> SubmissionQueueEntry {
    SubmissionQueueEntry::new(AdminOpcode::KeepAlive.code(), 9)
}

fn admin_with_keep_alive(world: &mut World, keep_alive_ms: u32) -> super::world::Client {
    let data = ConnectData::new([1; 16], 0xffff, &subsystem_nqn(), &host_nqn(1));
    let connect = Connect { keep_alive_ms, ..connect(0) };
    let (connection, connected) = world.connect(&connect, &data).unwrap();
    let queue = connected.queue;
    let client = super::world::Client { connection, queue, controller_id: connected.controller_id, host: 1 };
    world.run(client, PropertySet::command(Property::Configuration, 0x0046_0001, 1), &[]);
    client
}

#[test]
fn properties_tell_what_hosts_expect() {
    let mut world = World::new();
    let admin = world.admin(1);
    let mut get = |property| world.run(admin, PropertyGet::command(property, 1), &[]);
    let capabilities = Capabilities::from_bits(get(Property::Capabilities).result);
    assert_eq!(capabilities.queue_entries_max_zero_based, 127);
    assert!(capabilities.command_sets & 1 == 1 && capabilities.contiguous_queues);
    assert!(capabilities.ready_timeout > 0 && capabilities.ready_with_media);
    assert_eq!(get(Property::Version).result, u64::from(Version::V2_0.bits()));
    assert_eq!(get(Property::Configuration).result, 0x0046_0001);
    assert!(ControllerStatus::from_bits(get(Property::Status).result as u32).ready);
    assert_eq!(get(Property::SubsystemReset).status, Status::INVALID_FIELD.with_do_not_retry());
    let mut narrow = PropertyGet::command(Property::Capabilities, 1);
    narrow.cdw10 = 0.into();
    assert_eq!(world.run(admin, narrow, &[]).status.kind(), Status::INVALID_FIELD);
    let set = PropertySet::command(Property::Capabilities, 0, 1);
    assert_eq!(world.run(admin, set, &[]).status.kind(), Status::INVALID_FIELD);
}

const SHUT_DOWN: [u64; 2] = [0x0046_4001, 0x0046_8001];

fn shutdown_status(world: &mut World, admin: super::world::Client) -> Option<ShutdownStatus> {
    let bits = world.run(admin, PropertyGet::command(Property::Status, 2), &[]).result;
    ControllerStatus::from_bits(bits as u32).shutdown
}

#[test]
fn a_shutdown_is_complete_when_caches_are_flushed() {
    for notification in SHUT_DOWN {
        let mut world = World::new();
        let slow = [2, 3].map(|name| {
            let slow = Slow::new(1, 64);
            world.add_device(slow.clone(), name);
            slow
        });
        let admin = world.admin(1);
        assert_eq!(shutdown_status(&mut world, admin), Some(ShutdownStatus::Normal));
        world.run(admin, PropertySet::command(Property::Configuration, notification, 3), &[]);
        for (slow, status) in slow.iter().zip([block::Status::WriteError, block::Status::Ok]) {
            assert_eq!(shutdown_status(&mut world, admin), Some(ShutdownStatus::Occurring));
            assert_eq!(slow.complete(status).op, block::Op::Flush);
            world.settle();
        }
        assert_eq!(shutdown_status(&mut world, admin), Some(ShutdownStatus::Complete));
        // Said again, it is as it was.
        world.run(admin, PropertySet::command(Property::Configuration, notification, 3), &[]);
        assert_eq!(shutdown_status(&mut world, admin), Some(ShutdownStatus::Complete));
    }
}

#[test]
fn a_shutdown_that_nobody_waits_for_flushes_all_the_same() {
    let mut world = World::new();
    let slow = [2, 3].map(|name| {
        let slow = Slow::new(1, 64);
        world.add_device(slow.clone(), name);
        slow
    });
    let admin = world.admin(1);
    world.run(admin, PropertySet::command(Property::Configuration, SHUT_DOWN[0], 3), &[]);
    world.disconnect(admin);
    for slow in &slow {
        slow.complete(block::Status::Ok);
        world.settle();
    }
}

#[test]
fn a_reset_ends_a_shutdown() {
    let mut world = World::new();
    let slow = Slow::new(1, 64);
    world.add_device(slow.clone(), 2);
    let admin = world.admin(1);
    world.run(admin, PropertySet::command(Property::Configuration, SHUT_DOWN[0], 3), &[]);
    world.run(admin, PropertySet::command(Property::Configuration, 0x0046_0000, 3), &[]);
    slow.complete(block::Status::Ok);
    world.settle();
    assert_eq!(shutdown_status(&mut world, admin), Some(ShutdownStatus::Normal), "the flush was of before");
}

#[test]
fn a_controller_that_cannot_run_like_that_is_fatal() {
    for bits in [0x0046_0081, 0x0046_0801, 0x0046_0011, 0x0045_0001, 0x0036_0001, 1] {
        let mut world = World::new();
        let data = ConnectData::new([1; 16], 0xffff, &subsystem_nqn(), &host_nqn(1));
        let (connection, connected) = world.connect(&connect(0), &data).unwrap();
        let queue = connected.queue;
        let client = super::world::Client { connection, queue, controller_id: 1, host: 1 };
        world.run(client, PropertySet::command(Property::Configuration, bits, 1), &[]);
        let status = world.run(client, PropertyGet::command(Property::Status, 2), &[]).result;
        let status = ControllerStatus::from_bits(status as u32);
        assert!(status.fatal && !status.ready, "CC {bits:#x}");
        assert_eq!(world.run(client, keep_alive(), &[]).status.kind(), Status::COMMAND_SEQUENCE_ERROR);
    }
}

#[test]
fn a_reset_ends_io_queues_and_forgets_settings() {
    let mut world = World::new();
    let admin = world.admin(1);
    let io = world.io(admin, 1);
    let set = SetFeatures { feature: Feature::VolatileWriteCache.code(), save: false, dword11: 0 };
    assert_eq!(world.run(admin, set.command(1), &[]).status, Status::SUCCESS);
    let event = SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), 5);
    let parked = world.send(admin, event, &[]).unwrap();
    assert!(world.answer(parked).is_none());
    world.run(admin, PropertySet::command(Property::Configuration, 0x0046_0000, 1), &[]);
    assert_eq!(world.answer(parked).unwrap().status, Status::ABORTED_QUEUE_DELETION);
    assert_eq!(world.target.poll_disconnect(), Some(io.connection));
    let flush = SubmissionQueueEntry::new(NvmOpcode::Flush.code(), 1).with_namespace(1);
    assert_eq!(world.run(io, flush, &[]).status.kind(), Status::COMMAND_SEQUENCE_ERROR);
    world.disconnect(io);
    let status = world.run(admin, PropertyGet::command(Property::Status, 2), &[]).result;
    assert_eq!(status, 0);
    world.run(admin, PropertySet::command(Property::Configuration, 0x0046_0001, 1), &[]);
    let cache = GetFeatures::command(Feature::VolatileWriteCache.code(), FeatureSelect::Current, 0, 1);
    assert_eq!(world.run(admin, cache, &[]).result, 1);
    world.io(admin, 1);
}

#[test]
fn a_shutdown_completes() {
    let mut world = World::new();
    let admin = world.admin(1);
    world.run(admin, PropertySet::command(Property::Configuration, 0x0046_4001, 1), &[]);
    let status = world.run(admin, PropertyGet::command(Property::Status, 2), &[]).result;
    let status = ControllerStatus::from_bits(status as u32);
    assert_eq!(status.shutdown, Some(ShutdownStatus::Complete));
}

#[test]
fn silence_ends_a_controller_and_any_command_breaks_it() {
    let mut world = World::new();
    let admin = admin_with_keep_alive(&mut world, 1000);
    let io = world.io(admin, 1);
    world.advance(Duration::from_millis(900));
    assert_eq!(world.run(admin, keep_alive(), &[]).status, Status::SUCCESS);
    world.advance(Duration::from_millis(900));
    assert_eq!(world.target.poll_disconnect(), None);
    let flush = SubmissionQueueEntry::new(NvmOpcode::Flush.code(), 1).with_namespace(1);
    assert_eq!(world.run(io, flush, &[]).status, Status::SUCCESS);
    world.advance(Duration::from_millis(200));
    assert_eq!(world.target.poll_disconnect(), None, "traffic counts");
    world.advance(Duration::from_millis(1100));
    assert_eq!(world.target.poll_disconnect(), Some(admin.connection));
    assert_eq!(world.target.poll_disconnect(), Some(io.connection));
    assert_eq!(world.target.poll_disconnect(), None);
    world.disconnect(admin);
    world.disconnect(io);
    assert!(world.target.controllers(&subsystem_nqn()).unwrap().is_empty());
    assert_eq!(world.target.deadline(), None);
}

#[test]
fn keep_alive_can_be_switched_on_and_off() {
    let mut world = World::new();
    let admin = world.admin(1);
    assert_eq!(world.target.deadline(), None);
    let set =
        |dword11| SetFeatures { feature: Feature::KeepAliveTimer.code(), save: false, dword11 }.command(1);
    world.run(admin, set(150), &[]);
    let get = GetFeatures::command(Feature::KeepAliveTimer.code(), FeatureSelect::Current, 0, 1);
    assert_eq!(world.run(admin, get, &[]).result, 150);
    assert!(world.target.deadline().is_some());
    world.run(admin, set(0), &[]);
    world.advance(Duration::from_secs(10));
    assert_eq!(world.target.poll_disconnect(), None);
}

#[test]
fn the_admin_queue_takes_its_controller_along() {
    let mut world = World::new();
    let slow = Slow::new(4, 1024);
    let id = world.add_device(slow.clone(), 2);
    let admin = world.admin(1);
    let io = world.io(admin, 1);
    let flush = SubmissionQueueEntry::new(NvmOpcode::Flush.code(), 1).with_namespace(id);
    let waiting = world.send(io, flush, &[]).unwrap();
    let event = SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), 5);
    let parked = world.send(admin, event, &[]).unwrap();
    world.disconnect(admin);
    assert_eq!(world.answer(parked).unwrap().status, Status::ABORTED_QUEUE_DELETION);
    assert_eq!(world.target.poll_disconnect(), Some(io.connection));
    assert_eq!(world.run(io, flush, &[]).status.kind(), Status::ABORTED_QUEUE_DELETION);
    world.disconnect(io);
    assert!(world.answer(waiting).is_none(), "the volume still has it");
    slow.complete(block::Status::Ok);
    world.settle();
    assert_eq!(world.answer(waiting).unwrap().status, Status::ABORTED_QUEUE_DELETION);
}

#[test]
fn commands_that_do_not_exist_say_so() {
    let mut world = World::new();
    let admin = world.admin(1);
    let io = world.io(admin, 1);
    for opcode in [0x00, 0x01, 0x0d, 0x10, 0x14, 0x80, 0x84, 0xc0] {
        let command = reading(SubmissionQueueEntry::new(opcode, 1), 4096);
        assert_eq!(world.run(admin, command, &[]).status.kind(), Status::INVALID_OPCODE, "{opcode:#x}");
    }
    for opcode in [0x03, 0x10, 0x7d, 0xff] {
        let command = SubmissionQueueEntry::new(opcode, 1).with_namespace(1);
        assert_eq!(world.run(io, command, &[]).status.kind(), Status::INVALID_OPCODE, "{opcode:#x}");
    }
    assert_eq!(world.run(io, disconnect(1), &[]).status.kind(), Status::INVALID_OPCODE);
    let again = connect(0).command(1);
    assert_eq!(world.run(admin, again, &[]).status.kind(), Status::COMMAND_SEQUENCE_ERROR);
    let property = PropertyGet::command(Property::Version, 1);
    assert_eq!(world.run(io, property, &[]).status.kind(), Status::INVALID_OPCODE);
}
