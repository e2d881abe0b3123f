//! Commands of SRP whose data goes both ways: blocks are written, and what tells them from those that were there comes back.

mod srp;

use srp::*;
use stdx::slab::Key;
use wire::scsi::Status;
use wire::srp::{Command, Descriptor, DescriptorTable, LoginFlags, MemoryDescriptor, ResponseFlags};

const BLOCKS: u16 = 32;
const LEN: usize = BLOCKS as usize * BLOCK;
/// Where data comes from and goes to, and where tables lie.
const FROM: usize = 0;
const TO: usize = 1 << 20;
const TABLES: usize = 2 << 20;

/// A channel, and a volume whose first blocks have a pattern.
fn ready() -> (World, Key, Vec<u8>) {
    let mut world = World::new();
    let channel = world.log_in(LoginFlags::IMMEDIATE);
    world.clear_attentions(channel);
    let there = pattern(LEN, 1);
    world.fill(FROM, &there);
    let from = world.direct(FROM, LEN);
    assert_eq!(world.run(channel, &write(1, 0, BLOCKS, from)).response().status, 0);
    (world, channel, there)
}

/// XDWRITEREAD (10).
fn exchange<'a>(tag: u64, blocks: u16, from: Descriptor<'a>, to: Descriptor<'a>) -> Command<'a> {
    Command { data_out: from, data_in: to, ..command(tag, &ranged(0x53, 0, blocks)) }
}

fn difference(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

/// What the volume has now.
fn blocks(world: &mut World, channel: Key) -> Vec<u8> {
    let to = world.direct(3 << 20, LEN);
    assert_eq!(world.run(channel, &read(99, 0, BLOCKS, to)).response().status, 0);
    world.bytes(3 << 20, LEN)
}

/// Odd pieces of memory from so far on: their table, and its place in the initiator's memory.
fn pieces(world: &mut World, at: usize, table_at: usize) -> (Vec<u8>, MemoryDescriptor) {
    let lens = [1, 511, 4096, LEN - 4608];
    let mut start = at;
    let mut table = Vec::new();
    for len in lens {
        table.extend(world.piece(start, len).encode());
        start += len;
    }
    world.fill(table_at, &table);
    let place = world.piece(table_at, table.len());
    (table, place)
}

#[test]
fn data_goes_both_ways_in_every_format() {
    let (mut world, channel, mut there) = ready();
    let (from_table, from_place) = pieces(&mut world, FROM, TABLES);
    let (to_table, to_place) = pieces(&mut world, TO, TABLES + 4096);
    let mut tag = 10;
    for (from_here, to_here) in [(4, 4), (0, 0), (4, 0), (0, 4), (2, 3)] {
        for (from_direct, to_direct) in [(false, false), (true, false), (false, true), (true, true)] {
            let indirect = |table, bytes| Descriptor::Indirect {
                table,
                len: LEN as u32,
                first: DescriptorTable::new(bytes),
            };
            let from = match from_direct {
                true => world.direct(FROM, LEN),
                false => indirect(from_place, &from_table[..from_here * 16]),
            };
            let to = match to_direct {
                true => world.direct(TO, LEN),
                false => indirect(to_place, &to_table[..to_here * 16]),
            };
            let new = pattern(LEN, tag as u8);
            world.fill(FROM, &new);
            world.fill(TO, &vec![0; LEN]);
            let unit = world.run(channel, &exchange(tag, BLOCKS, from, to));
            let response = unit.response();
            assert_eq!((response.status, response.flags), (0, ResponseFlags::NONE));
            assert!(world.bytes(TO, LEN) == difference(&new, &there), "{from:?} {to:?}");
            assert!(blocks(&mut world, channel) == new);
            (there, tag) = (new, tag + 1);
        }
    }
    // With the data along with the command.
    let new = pattern(4096, 77);
    let to = world.direct(TO, 4096);
    world.send_immediate(channel, &exchange(tag, 8, Descriptor::Immediate { len: 4096 }, to), &new);
    assert_eq!(world.unit(channel).response().status, 0);
    assert_eq!(world.bytes(TO, 4096), difference(&new, &there[..4096]));
    assert_eq!(blocks(&mut world, channel)[..4096], new);
}

#[test]
fn residuals_are_of_each_direction() {
    let (mut world, channel, there) = ready();
    let new = pattern(LEN, 9);
    world.fill(FROM, &new);
    let mut run = |out_len: usize, in_len: usize| {
        let (from, to) = (world.direct(FROM, out_len), world.direct(TO, in_len));
        world.fill(TO, &vec![0; 2 * LEN]);
        let unit = world.run(channel, &exchange(2, BLOCKS, from, to));
        let response = unit.response();
        let residuals = (response.data_out_residual as usize, response.data_in_residual as usize);
        (response.status, response.flags, residuals)
    };
    let (more_out, more_in) = (ResponseFlags::DATA_OUT_UNDERFLOW, ResponseFlags::DATA_IN_UNDERFLOW);
    assert_eq!(run(LEN + 512, LEN + 1024), (0, more_out | more_in, (512, 1024)));
    let less_in = ResponseFlags::DATA_IN_OVERFLOW;
    assert_eq!(run(LEN, LEN - 100), (0, less_in, (0, 100)));
    assert_eq!(world.bytes(TO + LEN - 100, 100), [0; 100], "nothing goes past the buffer");
    // The same blocks again: no difference.
    assert_eq!(world.bytes(TO, LEN - 100), vec![0; LEN - 100]);
    assert!(blocks(&mut world, channel) == new && new != there);
}

#[test]
fn less_than_all_data_changes_nothing() {
    let (mut world, channel, there) = ready();
    world.fill(FROM, &pattern(LEN, 9));
    for out_len in [0, 512, LEN - 512] {
        let (from, to) = (world.direct(FROM, out_len), world.direct(TO, LEN));
        let from = if out_len == 0 { Descriptor::None } else { from };
        let unit = world.run(channel, &exchange(2, BLOCKS, from, to));
        let response = unit.response();
        assert_eq!(response.status, Status::CheckCondition as u8);
        assert_eq!(response.data_out_residual as usize, LEN - out_len);
        assert_eq!(response.data_in_residual as usize, LEN);
        let flags = ResponseFlags::DATA_OUT_OVERFLOW | ResponseFlags::DATA_IN_UNDERFLOW;
        assert!(response.flags.contains(flags), "{:?}", response.flags);
    }
    assert!(blocks(&mut world, channel) == there);
}

#[test]
fn a_difference_may_be_asked_for_alone() {
    let (mut world, channel, there) = ready();
    let new = pattern(LEN, 9);
    world.fill(FROM, &new);
    let (from, to) = (world.direct(FROM, LEN), world.direct(TO, LEN));
    let mut asked = exchange(2, BLOCKS, from, to);
    asked.cdb[1] = 0x04;
    assert_eq!(world.run(channel, &asked).response().status, 0);
    assert!(world.bytes(TO, LEN) == difference(&new, &there));
    assert!(blocks(&mut world, channel) == there, "DISABLE WRITE");
}

#[test]
fn tables_out_of_bounds_end_the_command_alone() {
    let (mut world, channel, there) = ready();
    let (_, place) = pieces(&mut world, TO, TABLES);
    let from = world.direct(FROM, LEN);
    let nowhere = MemoryDescriptor { len: 1 << 20, ..place };
    let table = |table| Descriptor::Indirect { table, len: LEN as u32, first: DescriptorTable::new(&[]) };
    let unit = world.run(channel, &exchange(2, BLOCKS, from, table(nowhere)));
    assert_eq!(unit.response().code, Some(wire::srp::ResponseCode::InvalidFields));
    // A table that says it describes more than it does.
    let short = MemoryDescriptor { len: 16, ..place };
    let unit = world.run(channel, &exchange(3, BLOCKS, from, table(short)));
    assert_eq!(unit.response().code, Some(wire::srp::ResponseCode::InvalidFields));
    assert!(blocks(&mut world, channel) == there);
}
