//! Task attributes, task management, contingent allegiance.

use super::world::{Opened, World};
use crate::target::{Executor, Function, ManagementOutcome, NexusKey, TaskAttribute};
use wire::scsi::{Sense, Status};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// The same with NACA.
const WRITE_NACA: [u8; 10] = [0x2a, 0x20, 0, 0, 0, 0, 0, 0, 1, 4];

/// A WRITE that waits for its data, as any attribute.
fn open(world: &mut World, nexus: NexusKey, attribute: TaskAttribute) -> Opened {
    world.begin_as(nexus, 0, attribute, &WRITE, 512)
}

#[test]
fn an_ordered_task_waits_and_makes_wait() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let first = open(&mut world, nexus, TaskAttribute::Simple);
    let ordered = open(&mut world, nexus, TaskAttribute::Ordered);
    let last = open(&mut world, nexus, TaskAttribute::Simple);
    for task in [last, ordered] {
        world.submit(task, &[1; 512]);
    }
    assert!(world.answer(ordered).is_none() && world.answer(last).is_none());
    world.submit(first, &[1; 512]);
    for task in [first, ordered, last] {
        world.answer(task).unwrap().good();
    }
}

#[test]
fn the_head_of_the_queue_does_not_wait() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let ordered = open(&mut world, nexus, TaskAttribute::Ordered);
    let head = open(&mut world, nexus, TaskAttribute::HeadOfQueue);
    world.submit(head, &[1; 512]);
    world.answer(head).unwrap().good();
    world.submit(ordered, &[1; 512]);
    world.answer(ordered).unwrap().good();
}

#[test]
fn an_aborted_task_ends_without_a_word() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let task = open(&mut world, nexus, TaskAttribute::Simple);
    let tag = u64::from(task.slot);
    assert_eq!(world.manage(nexus, Function::QueryTask { tag }), Some(ManagementOutcome::Succeeded));
    assert_eq!(world.manage(nexus, Function::AbortTask { tag }), Some(ManagementOutcome::Complete));
    assert_eq!(world.answer(task).unwrap().status, None);
    assert_eq!(world.manage(nexus, Function::AbortTask { tag }), Some(ManagementOutcome::NoSuchTask));
    assert_eq!(world.manage(nexus, Function::QueryTask { tag }), Some(ManagementOutcome::Complete));
}

#[test]
fn an_abort_of_one_nexus_is_no_business_of_another() {
    let mut world = World::new();
    let (ours, theirs) = (world.nexus(1), world.nexus(2));
    let task = open(&mut world, ours, TaskAttribute::Simple);
    let tag = u64::from(task.slot);
    assert_eq!(world.manage(theirs, Function::AbortTask { tag }), Some(ManagementOutcome::NoSuchTask));
    assert_eq!(world.manage(theirs, Function::AbortTaskSet), Some(ManagementOutcome::Complete));
    assert!(world.answer(task).is_none());
    assert_eq!(world.manage(ours, Function::QueryTaskSet), Some(ManagementOutcome::Succeeded));
    assert_eq!(world.manage(theirs, Function::ClearTaskSet), Some(ManagementOutcome::Complete));
    assert_eq!(world.answer(task).unwrap().status, None);
    assert_eq!(world.run(ours, &TEST_UNIT_READY, &[]).fault(), Sense::COMMANDS_CLEARED);
    world.run(theirs, &TEST_UNIT_READY, &[]).good();
}

#[test]
fn a_task_at_its_volume_ends_before_the_request_does() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let task = open(&mut world, nexus, TaskAttribute::Simple);
    world.submit(task, &[1; 512]);
    assert_eq!(world.manage(nexus, Function::AbortTaskSet), Some(ManagementOutcome::Complete));
    assert_eq!(world.answer(task).unwrap().status, None);
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

#[test]
fn a_reset_is_told_to_everyone() {
    let mut world = World::new();
    let (ours, theirs) = (world.nexus(1), world.nexus(2));
    let task = open(&mut world, theirs, TaskAttribute::Simple);
    assert_eq!(world.manage(ours, Function::LogicalUnitReset), Some(ManagementOutcome::Complete));
    assert_eq!(world.answer(task).unwrap().status, None);
    for nexus in [ours, theirs] {
        let waiting = world.manage(nexus, Function::QueryAsynchronousEvent);
        assert_eq!(waiting, Some(ManagementOutcome::Succeeded));
        assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).fault(), Sense::BUS_DEVICE_RESET);
    }
    assert_eq!(world.manage(ours, Function::TargetReset), Some(ManagementOutcome::Complete));
    assert_eq!(world.run(ours, &TEST_UNIT_READY, &[]).fault(), Sense::BUS_DEVICE_RESET);
}

#[test]
fn a_lost_nexus_takes_its_tasks() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let waiting = open(&mut world, nexus, TaskAttribute::Ordered);
    let dormant = open(&mut world, nexus, TaskAttribute::Simple);
    world.target.lose(&mut world.env, nexus);
    for task in [waiting, dormant] {
        assert_eq!(world.answer(task).unwrap().status, None);
    }
    let again = world.nexus(1);
    world.run(again, &TEST_UNIT_READY, &[]).good();
}

#[test]
fn naca_makes_an_allegiance_until_it_is_cleared() {
    let mut world = World::new();
    let (ours, theirs) = (world.nexus(1), world.nexus(2));
    assert_eq!(world.run(ours, &WRITE_NACA, &[1; 512]).fault(), Sense::INVALID_FIELD_IN_CDB);
    assert_eq!(world.run(ours, &TEST_UNIT_READY, &[]).status, Some(Status::AcaActive));
    assert_eq!(world.run(theirs, &TEST_UNIT_READY, &[]).status, Some(Status::Busy));
    assert_eq!(world.run(theirs, &[0, 0, 0, 0, 0, 4], &[]).status, Some(Status::AcaActive));
    let within = world.begin_as(ours, 0, TaskAttribute::Aca, &TEST_UNIT_READY, 0);
    world.submit(within, &[]);
    world.answer(within).unwrap().good();
    assert_eq!(world.manage(theirs, Function::ClearAca), Some(ManagementOutcome::Complete));
    assert_eq!(world.run(ours, &TEST_UNIT_READY, &[]).status, Some(Status::AcaActive), "not theirs to clear");
    assert_eq!(world.manage(ours, Function::ClearAca), Some(ManagementOutcome::Complete));
    world.run(ours, &TEST_UNIT_READY, &[]).good();
    let outside = world.begin_as(ours, 0, TaskAttribute::Aca, &TEST_UNIT_READY, 0);
    assert_eq!(world.answer(outside).unwrap().fault(), Sense::INVALID_MESSAGE);
}

#[test]
fn tasks_wait_while_there_is_an_allegiance() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let ordered = open(&mut world, nexus, TaskAttribute::Ordered);
    let dormant = open(&mut world, nexus, TaskAttribute::Simple);
    world.submit(dormant, &[1; 512]);
    assert_eq!(world.run(nexus, &WRITE_NACA, &[1; 512]).fault(), Sense::INVALID_FIELD_IN_CDB);
    world.submit(ordered, &[1; 512]);
    assert!(world.answer(dormant).is_none());
    world.manage(nexus, Function::ClearAca);
    world.answer(dormant).unwrap().good();
}
