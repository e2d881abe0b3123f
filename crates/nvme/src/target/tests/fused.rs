//! Compare and Write, fused: success, and each way the halves can miss each other.

use super::io::{command, read, write};
use super::slow::Slow;
use super::world::{BLOCK, Client, World, writing};
use crate::target::Transfer;
use wire::nvme::{Fuse, NvmOpcode, Status, SubmissionQueueEntry};

const DATA: Transfer = Transfer::ToController { len: BLOCK as u32 };

fn half(opcode: NvmOpcode, fuse: Fuse, id: u16, block: u64) -> SubmissionQueueEntry {
    let mut command = writing(command(opcode, block, 1), BLOCK).with_fuse(fuse);
    command.command_id = id.into();
    command
}

fn compare(id: u16, block: u64) -> SubmissionQueueEntry {
    half(NvmOpcode::Compare, Fuse::First, id, block)
}

fn second(id: u16, block: u64) -> SubmissionQueueEntry {
    half(NvmOpcode::Write, Fuse::Second, id, block)
}

/// Both halves, in order: their statuses.
fn both(world: &mut World, client: Client, expected: u8, new: u8) -> (Status, Status) {
    let first = world.send(client, compare(1, 4), &[expected; BLOCK]).unwrap();
    let second = world.send(client, second(2, 4), &[new; BLOCK]).unwrap();
    (world.answer(first).unwrap().status, world.answer(second).unwrap().status)
}

#[test]
fn writes_if_equal_and_only_then() {
    let mut world = World::new();
    let client = world.host(1);
    write(&mut world, client, 4, 1, 1);
    assert_eq!(both(&mut world, client, 1, 2), (Status::SUCCESS, Status::SUCCESS));
    assert_eq!(read(&mut world, client, 4, 1).data, [2; BLOCK]);
    let failed = (Status::COMPARE_FAILURE.with_do_not_retry(), Status::ABORTED_FAILED_FUSED);
    assert_eq!(both(&mut world, client, 1, 3), failed);
    assert_eq!(read(&mut world, client, 4, 1).data, [2; BLOCK]);
    assert_eq!(world.buffers_taken(), 0);
}

#[test]
fn the_data_of_the_second_half_may_come_first() {
    let mut world = World::new();
    let client = world.host(1);
    let (first, second) = (compare(1, 4), second(2, 4));
    assert_eq!(world.transfer(client, &first), Ok(DATA));
    assert_eq!(world.transfer(client, &second), Ok(DATA));
    let write = world.submit(client, second, DATA, &[7; BLOCK]);
    assert!(world.answer(write).is_none());
    let compare = world.submit(client, first, DATA, &[0; BLOCK]);
    assert_eq!(world.answer(compare).unwrap().status, Status::SUCCESS);
    assert_eq!(world.answer(write).unwrap().status, Status::SUCCESS);
    assert_eq!(read(&mut world, client, 4, 1).data, [7; BLOCK]);
}

#[test]
fn a_first_without_its_second_is_aborted_and_the_other_command_is_not() {
    let mut world = World::new();
    let client = world.host(1);
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    assert!(world.answer(first).is_none());
    assert_eq!(write(&mut world, client, 4, 9, 1), Status::SUCCESS);
    assert_eq!(world.answer(first).unwrap().status, Status::ABORTED_MISSING_FUSED);
    let lone = world.send(client, second(2, 4), &[0; BLOCK]);
    assert_eq!(lone, Err(Status::ABORTED_MISSING_FUSED));
    let again = world.send(client, compare(1, 4), &[9; BLOCK]).unwrap();
    let next = world.send(client, compare(2, 4), &[9; BLOCK]).unwrap();
    assert_eq!(world.answer(again).unwrap().status, Status::ABORTED_MISSING_FUSED);
    let last = world.send(client, second(3, 4), &[1; BLOCK]).unwrap();
    assert_eq!(world.answer(next).unwrap().status, Status::SUCCESS);
    assert_eq!(world.answer(last).unwrap().status, Status::SUCCESS);
}

#[test]
fn a_first_still_waiting_for_its_data_is_aborted_when_that_is_there() {
    let mut world = World::new();
    let client = world.host(1);
    let first = compare(1, 4);
    assert_eq!(world.transfer(client, &first), Ok(DATA));
    assert_eq!(write(&mut world, client, 4, 9, 1), Status::SUCCESS);
    let slot = world.submit(client, first, DATA, &[0; BLOCK]);
    assert_eq!(world.answer(slot).unwrap().status, Status::ABORTED_MISSING_FUSED);
}

#[test]
fn a_refused_half_takes_the_other_along() {
    let mut world = World::new();
    let client = world.host(1);
    let out = Status::LBA_OUT_OF_RANGE.with_do_not_retry();
    assert_eq!(world.send(client, compare(1, 1 << 40), &[0; BLOCK]), Err(out));
    assert_eq!(world.send(client, second(2, 4), &[0; BLOCK]), Err(Status::ABORTED_FAILED_FUSED));
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    assert_eq!(world.send(client, second(2, 1 << 40), &[0; BLOCK]), Err(out));
    assert_eq!(world.answer(first).unwrap().status, Status::ABORTED_FAILED_FUSED);
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    let invalid = Err(Status::INVALID_FIELD.with_do_not_retry());
    assert_eq!(world.send(client, half(NvmOpcode::Compare, Fuse::Second, 2, 4), &[0; BLOCK]), invalid);
    assert_eq!(world.answer(first).unwrap().status, Status::ABORTED_FAILED_FUSED);
    assert_eq!(world.send(client, half(NvmOpcode::Write, Fuse::First, 1, 4), &[0; BLOCK]), invalid);
}

#[test]
fn both_halves_name_the_same_blocks() {
    let mut world = World::new();
    let client = world.host(1);
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    let other = world.send(client, second(2, 5), &[1; BLOCK]).unwrap();
    for slot in [first, other] {
        assert_eq!(world.answer(slot).unwrap().status.kind(), Status::INVALID_FIELD);
    }
    assert_eq!(read(&mut world, client, 4, 2).data, [0; 2 * BLOCK]);
}

#[test]
fn halves_that_wait_end_with_their_queue_and_by_abort() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    let abort = wire::nvme::admin::AbortRequest { queue_id: 1, command_id: 1 };
    assert_eq!(world.run(admin, abort.command(9), &[]).result, 0);
    assert_eq!(world.answer(first).unwrap().status, Status::ABORT_REQUESTED);
    let write = world.send(client, second(2, 4), &[1; BLOCK]).unwrap();
    assert_eq!(world.answer(write).unwrap().status, Status::ABORTED_FAILED_FUSED);
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    world.disconnect(client);
    assert_eq!(world.answer(first).unwrap().status, Status::ABORTED_QUEUE_DELETION);
    assert_eq!(world.buffers_taken(), 0);
}

#[test]
fn a_failed_write_is_the_second_halfs() {
    let mut world = World::new();
    let slow = Slow::new(4, 64);
    let namespace = {
        let channel = block::BlockDevice::open(&*slow);
        let config = crate::target::NamespaceConfig::default();
        let nqn = super::world::subsystem_nqn();
        world.target.add_namespace(&nqn, config, slow.clone(), channel).unwrap()
    };
    let client = world.host(1);
    let (first, other) = (compare(1, 4).with_namespace(namespace), second(2, 4).with_namespace(namespace));
    let first = world.send(client, first, &[0; BLOCK]).unwrap();
    let other = world.send(client, other, &[0; BLOCK]).unwrap();
    slow.complete(block::Status::WriteError);
    world.settle();
    assert_eq!(world.answer(first).unwrap().status, Status::SUCCESS);
    assert_eq!(world.answer(other).unwrap().status.kind(), Status::WRITE_FAULT);
}

#[test]
fn a_half_whose_data_is_lost_fails_the_other() {
    let mut world = World::new();
    let client = world.host(1);
    let lost = Status::TRANSIENT_TRANSPORT_ERROR;
    // The first is lost before the second arrives.
    assert_eq!(world.transfer(client, &compare(1, 4)), Ok(DATA));
    world.target.abandon(client.queue, &compare(1, 4), lost);
    assert_eq!(world.send(client, second(2, 4), &[0; BLOCK]), Err(Status::ABORTED_FAILED_FUSED));
    // The second is lost while the first waits.
    let first = world.send(client, compare(1, 4), &[0; BLOCK]).unwrap();
    assert_eq!(world.transfer(client, &second(2, 4)), Ok(DATA));
    world.target.abandon(client.queue, &second(2, 4), lost);
    world.settle();
    assert_eq!(world.answer(first).unwrap().status, Status::ABORTED_FAILED_FUSED);
    // The first is lost when both have arrived, before the data of the second.
    assert_eq!(world.transfer(client, &compare(1, 4)), Ok(DATA));
    assert_eq!(world.transfer(client, &second(2, 4)), Ok(DATA));
    world.target.abandon(client.queue, &compare(1, 4), lost);
    let write = world.submit(client, second(2, 4), DATA, &[0; BLOCK]);
    assert_eq!(world.answer(write).unwrap().status, Status::ABORTED_FAILED_FUSED);
    // Nothing is left behind: the next pair succeeds.
    assert_eq!(both(&mut world, client, 0, 1), (Status::SUCCESS, Status::SUCCESS));
    world.disconnect(client);
}
