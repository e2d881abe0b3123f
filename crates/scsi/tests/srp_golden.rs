//! The kernel's half of what ib_srp and ib_srpt said to each other, played to our target: it answers with the bytes that ib_srpt
//! answered with. The memory that the commands name is ours; everything else is as it was on the wire.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod srp;

use frames::units;
use srp::*;
use std::collections::BTreeMap;
use wire::srp::{Command, Descriptor, DescriptorTable, LoginFlags, MemoryDescriptor, Opcode, Response, peek};

/// Commands whose answers do not depend on what the device is called: TEST UNIT READY, READ and WRITE of 6, 10 and 16 bytes,
/// SYNCHRONIZE CACHE.
const PLAIN: [u8; 8] = [0x00, 0x08, 0x0a, 0x28, 0x2a, 0x88, 0x8a, 0x35];

#[test]
fn the_target_answers_with_the_kernels_bytes() {
    for capture in ["srp", "srp-noimm", "srp-indirect"] {
        let compared = replay(capture);
        assert!(compared >= 10, "{capture}: {compared} answers compared");
    }
}

/// How many answers were the same.
fn replay(capture: &str) -> usize {
    let units: Vec<_> = units(capture).into_iter().filter(|unit| unit.destination != 1).collect();
    let mut answers: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    for unit in units.iter().filter(|unit| unit.bytes[0] == Opcode::Response.code()) {
        answers.entry(peek(&unit.bytes).unwrap().1).or_default().push(unit.bytes.clone());
    }
    answers.values_mut().for_each(|answers| answers.reverse());
    let mut world = World::new();
    let channel = world.log_in(LoginFlags::IMMEDIATE);
    world.clear_attentions(channel);
    let mut compared = 0;
    for unit in units.iter().filter(|unit| unit.bytes[0] == Opcode::Command.code()) {
        let command = Command::decode(&unit.bytes).unwrap();
        let Some(answer) = answers.get_mut(&command.tag).and_then(Vec::pop) else { continue };
        let theirs = Response::decode(&answer).unwrap();
        // The kernel told its disks' power on at times of its own.
        if !PLAIN.contains(&command.cdb[0]) || theirs.status != 0 || command.lun.single_level() != Some(0) {
            continue;
        }
        let ours = run(&mut world, channel, &command, &unit.bytes);
        let context = format!("{capture}, frame {}: {:02x?}", unit.frame, command.cdb);
        assert_eq!(without_credits(&ours), without_credits(&answer), "{context}");
        compared += 1;
    }
    compared
}

/// The answer to a command that names our memory instead of the kernel's, byte for byte but for the addresses.
fn run(world: &mut World, channel: stdx::slab::Key, command: &Command<'_>, unit: &[u8]) -> Vec<u8> {
    let mut tables = [vec![], vec![]];
    let [out_table, in_table] = &mut tables;
    let data_out = ours(world, &command.data_out, 0, out_table);
    let data_in = ours(world, &command.data_in, 1 << 20, in_table);
    let command = Command { data_out, data_in, ..*command };
    match command.data_out {
        Descriptor::Immediate { len } => {
            let data = &unit[unit.len() - len as usize..];
            world.send_immediate(channel, &command, data);
        }
        Descriptor::None | Descriptor::Direct(_) | Descriptor::Indirect { .. } => {
            world.send_command(channel, &command);
        }
    }
    world.unit(channel).0
}

/// The same descriptor over memory of ours from `offset` on.
fn ours<'a>(world: &World, theirs: &Descriptor<'_>, offset: usize, table: &'a mut Vec<u8>) -> Descriptor<'a> {
    match *theirs {
        Descriptor::None => Descriptor::None,
        Descriptor::Immediate { len } => Descriptor::Immediate { len },
        Descriptor::Direct(memory) => Descriptor::Direct(world.piece(offset, memory.len as usize)),
        Descriptor::Indirect { table: of, len, first } => {
            let mut at = offset;
            for piece in first.iter() {
                table.extend(world.piece(at, piece.len as usize).encode());
                at += piece.len as usize;
            }
            let of = MemoryDescriptor { len: of.len, ..world.piece(0, 0) };
            Descriptor::Indirect { table: of, len, first: DescriptorTable::new(table) }
        }
    }
}

/// How many credits an answer brings depends on when the kernel sent it.
fn without_credits(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    answer[4..8].fill(0);
    answer
}
