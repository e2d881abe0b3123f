//! The commands of the NVM command set over a RAM volume.

use super::slow::Slow;
use super::world::{Answer, BLOCK, BLOCKS, Client, World, reading, writing};
use crate::target::{Options, SubsystemConfig, Transfer};
use block::Op;
use wire::nvme::admin::SetFeatures;
use wire::nvme::copy::{CopyCommand, CopyRange};
use wire::nvme::dsm::{DatasetAttributes, DatasetManagement, DatasetRange};
use wire::nvme::features::Feature;
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::{Fuse, NAMESPACE_ALL, NvmOpcode, Sgl, Status, SubmissionQueueEntry};
use zerocopy::IntoBytes;

pub(super) fn command(opcode: NvmOpcode, first_block: u64, blocks: u32) -> SubmissionQueueEntry {
    controlled(opcode, first_block, blocks, Control::NONE)
}

fn controlled(opcode: NvmOpcode, first_block: u64, blocks: u32, control: Control) -> SubmissionQueueEntry {
    let mut command = SubmissionQueueEntry::new(opcode.code(), 7).with_namespace(1);
    BlockCommand { first_block, blocks, control }.write(&mut command);
    command
}

pub(super) fn write(world: &mut World, client: Client, first_block: u64, byte: u8, blocks: u32) -> Status {
    let data = vec![byte; blocks as usize * BLOCK];
    world.run(client, command(NvmOpcode::Write, first_block, blocks), &data).status
}

pub(super) fn read(world: &mut World, client: Client, first_block: u64, blocks: u32) -> Answer {
    let len = blocks as usize * BLOCK;
    world.run(client, reading(command(NvmOpcode::Read, first_block, blocks), len), &[])
}

fn dataset(
    world: &mut World,
    client: Client,
    attributes: DatasetAttributes,
    ranges: &[DatasetRange],
) -> Status {
    let command = DatasetManagement { ranges: ranges.len() as u16, attributes }.command(3, 1);
    world.run(client, command, ranges.as_bytes()).status
}

fn copy(world: &mut World, client: Client, destination: u64, ranges: &[CopyRange]) -> Status {
    let command = CopyCommand {
        destination,
        ranges: ranges.len() as u16,
        format: 0,
        read_protection: 0,
        control: Control::NONE,
    };
    world.run(client, command.command(4, 1), ranges.as_bytes()).status
}

#[test]
fn what_is_written_is_read() {
    let mut world = World::new();
    let client = world.host(1);
    assert_eq!(write(&mut world, client, 10, 0xaa, 8), Status::SUCCESS);
    assert_eq!(write(&mut world, client, 12, 0xbb, 1), Status::SUCCESS);
    let answer = read(&mut world, client, 10, 8);
    assert_eq!(answer.status, Status::SUCCESS);
    assert_eq!(answer.data.len(), 8 * BLOCK);
    for (index, block) in answer.data.chunks(BLOCK).enumerate() {
        assert!(block.iter().all(|&byte| byte == if index == 2 { 0xbb } else { 0xaa }));
    }
    assert_eq!(world.buffers_taken(), 0);
    let lent = reading(command(NvmOpcode::Read, 0, 8), 8 * BLOCK);
    let transfer = Transfer::FromController { len: 4096, lent: true };
    assert_eq!(world.transfer(client, &lent), Ok(transfer));
}

#[test]
fn a_read_into_a_buffer_is_a_copy() {
    let mut world = World::new();
    let client = world.host(1);
    write(&mut world, client, 0, 0x5a, 8);
    let command = reading(command(NvmOpcode::Read, 0, 8), 4096);
    let buffered = Transfer::FromController { len: 4096, lent: false };
    let slot = world.submit(client, command, buffered, &[]);
    assert_eq!(world.answer(slot).unwrap().data, vec![0x5a; 4096]);
}

#[test]
fn ranges_past_the_end_are_refused_before_any_byte_moves() {
    let mut world = World::new();
    let client = world.host(1);
    for (first, blocks) in [(BLOCKS, 1), (BLOCKS - 7, 8), (u64::MAX, 1), (u64::MAX - 7, 8)] {
        for opcode in [NvmOpcode::Read, NvmOpcode::Write, NvmOpcode::Compare] {
            let command = writing(command(opcode, first, blocks), blocks as usize * BLOCK);
            let refused = Err(Status::LBA_OUT_OF_RANGE.with_do_not_retry());
            assert_eq!(world.transfer(client, &command), refused);
        }
        for opcode in [NvmOpcode::WriteZeroes, NvmOpcode::Verify, NvmOpcode::WriteUncorrectable] {
            let status = world.run(client, command(opcode, first, blocks), &[]).status;
            assert_eq!(status.kind(), Status::LBA_OUT_OF_RANGE);
        }
    }
    assert_eq!(read(&mut world, client, BLOCKS - 8, 8).status, Status::SUCCESS);
}

#[test]
fn lengths_must_agree_and_stay_below_the_limit() {
    let options = Options { max_io_size: 64 << 10, ..Options::default() };
    let mut world = World::with(options, SubsystemConfig::new(super::world::subsystem_nqn()));
    let client = world.host(1);
    let read = |blocks, len| reading(command(NvmOpcode::Read, 0, blocks), len);
    let status = |world: &mut World, command| world.transfer(client, &command).unwrap_err().kind();
    assert_eq!(status(&mut world, read(8, 4095)), Status::DATA_SGL_LENGTH_INVALID);
    assert_eq!(status(&mut world, read(8, 8192)), Status::DATA_SGL_LENGTH_INVALID);
    assert_eq!(status(&mut world, read(129, 129 * 512)), Status::INVALID_FIELD);
    assert!(world.transfer(client, &read(128, 128 * 512)).is_ok());
    let capsule = command(NvmOpcode::Write, 0, 8).with_data(Sgl::InCapsule { offset: 8192, length: 4096 });
    assert_eq!(status(&mut world, capsule), Status::SGL_OFFSET_INVALID);
}

#[test]
fn namespaces_that_are_not_there() {
    let mut world = World::new();
    let client = world.host(1);
    let at = |id| command(NvmOpcode::Verify, 0, 1).with_namespace(id);
    for id in [0, 33, NAMESPACE_ALL] {
        assert_eq!(world.run(client, at(id), &[]).status.kind(), Status::INVALID_NAMESPACE_OR_FORMAT);
    }
    assert_eq!(world.run(client, at(2), &[]).status.kind(), Status::INVALID_FIELD);
}

#[test]
fn flush_reaches_one_volume_or_all() {
    let mut world = World::new();
    let client = world.host(1);
    let slow = [Slow::new(1, 8), Slow::new(1, 8)];
    slow.iter().zip(2..).for_each(|(device, name)| {
        world.add_device(device.clone(), name);
    });
    let flush = command(NvmOpcode::Flush, 0, 1).with_namespace(NAMESPACE_ALL);
    let slot = world.send(client, flush, &[]).unwrap();
    assert_eq!((slow[0].load(), slow[1].load()), (1, 0), "one after the other, the first was RAM");
    assert_eq!(slow[0].complete(block::Status::Ok).op, Op::Flush);
    world.settle();
    assert!(world.answer(slot).is_none());
    assert_eq!(slow[1].complete(block::Status::WriteError).op, Op::Flush);
    world.settle();
    assert_eq!(world.answer(slot).unwrap().status.kind(), Status::WRITE_FAULT);
    assert_eq!(world.run(client, command(NvmOpcode::Flush, 0, 1), &[]).status, Status::SUCCESS);
}

#[test]
fn zeroes_deallocation_and_verify() {
    let mut world = World::new();
    let client = world.host(1);
    write(&mut world, client, 0, 1, 64);
    let zero = controlled(NvmOpcode::WriteZeroes, 8, 8, Control::DEALLOCATE);
    assert_eq!(world.run(client, zero, &[]).status, Status::SUCCESS);
    let ranges = [DatasetRange::new(16, 0), DatasetRange::new(24, 8), DatasetRange::new(40, 8)];
    assert_eq!(dataset(&mut world, client, DatasetAttributes::DEALLOCATE, &ranges), Status::SUCCESS);
    let data = read(&mut world, client, 0, 64).data;
    let zeroed = |at: usize| data[at * BLOCK..(at + 8) * BLOCK].iter().all(|&byte| byte == 0);
    assert_eq!([0, 8, 16, 24, 32, 40].map(zeroed), [false, true, false, true, false, true]);
    assert_eq!(world.run(client, command(NvmOpcode::Verify, 0, 64), &[]).status, Status::SUCCESS);
    let hints = dataset(&mut world, client, DatasetAttributes::INTEGRAL_READ, &[DatasetRange::new(0, 8)]);
    assert_eq!(hints, Status::SUCCESS);
    assert_eq!(read(&mut world, client, 0, 1).data, vec![1; BLOCK]);
    let past = [DatasetRange::new(0, 8), DatasetRange::new(BLOCKS, 1)];
    let status = dataset(&mut world, client, DatasetAttributes::DEALLOCATE, &past);
    assert_eq!(status.kind(), Status::LBA_OUT_OF_RANGE);
    assert_eq!(read(&mut world, client, 0, 1).data, vec![1; BLOCK], "none was touched");
}

#[test]
fn a_host_may_send_room_for_all_ranges() {
    let mut world = World::new();
    let client = world.host(1);
    let attributes = DatasetAttributes::DEALLOCATE;
    let command = DatasetManagement { ranges: 1, attributes }.command(3, 1);
    let mut data = vec![0xff; 4096];
    data[..16].copy_from_slice(DatasetRange::new(0, 8).as_bytes());
    assert_eq!(world.run(client, command, &data).status, Status::SUCCESS);
    let short = writing(DatasetManagement { ranges: 2, attributes }.command(3, 1), 16);
    assert_eq!(world.transfer(client, &short).unwrap_err().kind(), Status::DATA_SGL_LENGTH_INVALID);
    let long = writing(command, 4097);
    assert_eq!(world.transfer(client, &long).unwrap_err().kind(), Status::DATA_SGL_LENGTH_INVALID);
}

#[test]
fn compare_finds_a_difference() {
    let mut world = World::new();
    let client = world.host(1);
    write(&mut world, client, 3, 9, 2);
    let compare = command(NvmOpcode::Compare, 3, 2);
    let mut data = vec![9; 2 * BLOCK];
    assert_eq!(world.run(client, compare, &data).status, Status::SUCCESS);
    data[1000] = 8;
    let status = world.run(client, compare, &data).status;
    assert_eq!(status, Status::COMPARE_FAILURE.with_do_not_retry());
}

#[test]
fn uncorrectable_blocks_fail_until_written() {
    let mut world = World::new();
    let client = world.host(1);
    let mark = command(NvmOpcode::WriteUncorrectable, 5, 2);
    assert_eq!(world.run(client, mark, &[]).status, Status::SUCCESS);
    assert_eq!(read(&mut world, client, 0, 6).status.kind(), Status::UNRECOVERED_READ_ERROR);
    let verify = world.run(client, command(NvmOpcode::Verify, 6, 1), &[]).status;
    assert_eq!(verify.kind(), Status::UNRECOVERED_READ_ERROR);
    assert_eq!(read(&mut world, client, 7, 1).status, Status::SUCCESS);
    write(&mut world, client, 5, 1, 2);
    assert_eq!(read(&mut world, client, 0, 8).status, Status::SUCCESS);
}

#[test]
fn copy_gathers_ranges_within_its_limits() {
    let mut world = World::new();
    let client = world.host(1);
    for block in 0..8 {
        write(&mut world, client, block, block as u8 + 1, 1);
    }
    let ranges = [CopyRange::new(6, 2), CopyRange::new(0, 1), CopyRange::new(3, 1)];
    assert_eq!(copy(&mut world, client, 100, &ranges), Status::SUCCESS);
    let data = read(&mut world, client, 100, 5).data;
    assert_eq!(data.chunks(BLOCK).map(|block| block[0]).collect::<Vec<_>>(), [7, 8, 1, 4, 0]);
    let kind = |world: &mut World, to, ranges: &[CopyRange]| copy(world, client, to, ranges).kind();
    assert_eq!(kind(&mut world, BLOCKS - 1, &ranges), Status::LBA_OUT_OF_RANGE);
    assert_eq!(kind(&mut world, 0, &[CopyRange::new(BLOCKS, 1)]), Status::LBA_OUT_OF_RANGE);
    assert_eq!(kind(&mut world, 0, &[CopyRange::new(0, 4097)]), Status::COMMAND_SIZE_LIMIT_EXCEEDED);
    let many = vec![CopyRange::new(0, 1); 129];
    assert_eq!(kind(&mut world, 0, &many), Status::COMMAND_SIZE_LIMIT_EXCEEDED);
    let long = vec![CopyRange::new(0, 4096); 17];
    assert_eq!(kind(&mut world, 0, &long), Status::COMMAND_SIZE_LIMIT_EXCEEDED);
    let mut other =
        CopyCommand { destination: 0, ranges: 1, format: 1, read_protection: 0, control: Control::NONE };
    let status = world.run(client, other.command(1, 1), ranges[..1].as_bytes()).status;
    assert_eq!(status.kind(), Status::INVALID_FIELD);
    other.format = 0;
    assert_eq!(world.run(client, other.command(1, 1), ranges[..1].as_bytes()).status, Status::SUCCESS);
}

#[test]
fn force_unit_access_reaches_the_volume_and_so_does_a_cache_switched_off() {
    let mut world = World::new();
    let slow = Slow::new(8, 1024);
    let id = world.add_device(slow.clone(), 2);
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    let fua_of = |world: &mut World, control| {
        let command = controlled(NvmOpcode::Write, 0, 1, control).with_namespace(id);
        let slot = world.send(client, writing(command, BLOCK), &[0; BLOCK]).unwrap();
        let io = slow.complete(block::Status::Ok);
        world.settle();
        assert_eq!(world.answer(slot).unwrap().status, Status::SUCCESS);
        io.fua
    };
    assert!(!fua_of(&mut world, Control::NONE));
    assert!(fua_of(&mut world, Control::FORCE_UNIT_ACCESS));
    let off = SetFeatures { feature: Feature::VolatileWriteCache.code(), save: false, dword11: 0 };
    world.run(admin, off.command(1), &[]);
    assert!(fua_of(&mut world, Control::NONE));
}

#[test]
fn a_request_longer_than_the_volume_takes_goes_in_pieces() {
    let mut world = World::new();
    let slow = Slow::new(8, 16);
    let id = world.add_device(slow.clone(), 2);
    let client = world.host(1);
    let command = command(NvmOpcode::Read, 100, 40).with_namespace(id);
    let slot = world.send(client, reading(command, 40 * BLOCK), &[]).unwrap();
    let mut pieces = Vec::new();
    while slow.load() > 0 {
        let io = slow.complete(block::Status::Ok);
        pieces.push((io.lba, io.blocks, io.data.len()));
        world.settle();
    }
    assert_eq!(pieces, [(100, 16, 16 * BLOCK), (116, 16, 16 * BLOCK), (132, 8, 8 * BLOCK)]);
    let answer = world.answer(slot).unwrap();
    assert_eq!((answer.status, answer.data.len()), (Status::SUCCESS, 40 * BLOCK));
}

#[test]
fn statuses_of_volumes_become_statuses_of_commands() {
    use block::Status as Volume;
    let cases = [
        (Volume::ReadError, Status::UNRECOVERED_READ_ERROR, true),
        (Volume::WriteError, Status::WRITE_FAULT, false),
        (Volume::NoSpace, Status::CAPACITY_EXCEEDED, true),
        (Volume::ReadOnly, Status::NAMESPACE_WRITE_PROTECTED, true),
        (Volume::Gone, Status::NAMESPACE_NOT_READY, true),
        (Volume::TimedOut, Status::COMMAND_INTERRUPTED, false),
        (Volume::Aborted, Status::ABORT_REQUESTED, false),
        (Volume::Reserved, Status::RESERVATION_CONFLICT, true),
        (Volume::Unsupported, Status::INVALID_OPCODE, true),
        (Volume::OutOfRange, Status::LBA_OUT_OF_RANGE, true),
    ];
    let mut world = World::new();
    let slow = Slow::new(8, 1024);
    let id = world.add_device(slow.clone(), 2);
    let client = world.host(1);
    for (volume, status, final_) in cases {
        let slot = world.send(client, command(NvmOpcode::Flush, 0, 1).with_namespace(id), &[]).unwrap();
        slow.complete(volume);
        world.settle();
        let answer = world.answer(slot).unwrap();
        assert_eq!((answer.status.kind(), answer.status.do_not_retry()), (status, final_), "{volume:?}");
    }
}

#[test]
fn fuse_bits_mean_nothing_elsewhere() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    let mut odd = command(NvmOpcode::Flush, 0, 1);
    odd.flags |= 3;
    assert_eq!(world.run(client, odd, &[]).status.kind(), Status::INVALID_FIELD);
    let flush = command(NvmOpcode::Flush, 0, 1).with_fuse(Fuse::First);
    assert_eq!(world.run(client, flush, &[]).status.kind(), Status::INVALID_FIELD);
    let keep_alive = SubmissionQueueEntry::new(0x18, 1).with_fuse(Fuse::First);
    assert_eq!(world.run(admin, keep_alive, &[]).status.kind(), Status::INVALID_FIELD);
}
