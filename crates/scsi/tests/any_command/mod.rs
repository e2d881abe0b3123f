//! Any command with any data, by several nexuses at once, on units of several kinds, with task management, losses, and owners
//! who store or cannot store between: a list of steps in bytes, which a test draws and a fuzzer finds.

mod bench;

use bench::{Bench, NEXUSES};
use scsi::target::{Function, TaskAttribute};

/// Plays a list of steps: one byte that says what, one that says who and where, then what the step needs. Whatever comes, all
/// laws hold, each command has one outcome, and in the end nothing of any of them is left.
pub fn play(input: &[u8]) {
    let mut bench = Bench::new();
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let [what, who, behind @ ..] = rest else { break };
        rest = step(&mut bench, *what, *who, behind);
        bench.settle();
    }
    bench.finish();
}

/// One step; gives back what it did not use of the input.
fn step<'a>(bench: &mut Bench, what: u8, who: u8, rest: &'a [u8]) -> &'a [u8] {
    let (nexus, lun) = (usize::from(who) % NEXUSES, u16::from(who >> 4) % 5);
    match what % 16 {
        0..=9 => return command(bench, what, (nexus, lun), rest),
        10 => bench.submit_waiting(usize::from(who)),
        11 => bench.manage(nexus, lun, function(who >> 2, what)),
        12 => bench.lose(nexus),
        13 => bench.store(who & 1 != 0, who & 2 != 0),
        14 => bench.pass_time(u64::from(who)),
        _ => bench.change_units(who),
    }
    rest
}

/// A command: which, then the rest of its CDB, then how much data it offers and that.
fn command<'a>(bench: &mut Bench, what: u8, at: (usize, u16), rest: &'a [u8]) -> &'a [u8] {
    let Some((&[which, ref fields @ ..], behind)) = rest.split_first_chunk::<17>() else { return &[] };
    let mut cdb = [0; 16];
    cdb.copy_from_slice(fields);
    // Most commands are ones that there are: a CDB made of chance alone is hardly ever one.
    if let Some(&(code, action)) = COMMANDS.get(usize::from(which)) {
        cdb[0] = code;
        if let Some(action) = action {
            cdb[1] = cdb[1] & !0x1f | action;
        }
    }
    let attribute = match what >> 4 & 7 {
        5 => TaskAttribute::Ordered,
        6 => TaskAttribute::HeadOfQueue,
        7 => TaskAttribute::Aca,
        _ => TaskAttribute::Simple,
    };
    let Some((&[low, high], behind)) = behind.split_first_chunk() else {
        bench.begin(at, attribute, cdb, &[], 0, what & 1 != 0);
        return behind;
    };
    let offered = u32::from(u16::from_le_bytes([low, high]));
    let (data, behind) = behind.split_at(behind.len().min(offered as usize).min(DATA_MAX));
    bench.begin(at, attribute, cdb, data, offered, what & 1 != 0);
    behind
}

fn function(which: u8, tag: u8) -> Function {
    let tag = u64::from(tag);
    match which % 10 {
        0 => Function::AbortTask { tag },
        1 => Function::AbortTaskSet,
        2 => Function::ClearTaskSet,
        3 => Function::ClearAca,
        4 => Function::LogicalUnitReset,
        5 => Function::TargetReset,
        6 => Function::NexusReset,
        7 => Function::QueryTask { tag },
        8 => Function::QueryTaskSet,
        _ => Function::QueryAsynchronousEvent,
    }
}

/// Operation codes, and service actions in byte 1.
pub const COMMANDS: [(u8, Option<u8>); 70] = [
    (0x00, None),
    (0x03, None),
    (0x04, None),
    (0x08, None),
    (0x0a, None),
    (0x12, None),
    (0x15, None),
    (0x16, None),
    (0x17, None),
    (0x1a, None),
    (0x1b, None),
    (0x1c, None),
    (0x1d, None),
    (0x1e, None),
    (0x25, None),
    (0x28, None),
    (0x2a, None),
    (0x2e, None),
    (0x2f, None),
    (0x34, None),
    (0x35, None),
    (0x37, None),
    (0x41, None),
    (0x42, None),
    (0x48, Some(1)),
    (0x48, Some(2)),
    (0x48, Some(3)),
    (0x48, Some(0x1f)),
    (0x4d, None),
    (0x55, None),
    (0x56, None),
    (0x57, None),
    (0x5a, None),
    (0x5e, Some(0)),
    (0x5e, Some(1)),
    (0x5e, Some(2)),
    (0x5e, Some(3)),
    (0x5f, Some(0)),
    (0x5f, Some(1)),
    (0x5f, Some(2)),
    (0x5f, Some(3)),
    (0x5f, Some(4)),
    (0x5f, Some(5)),
    (0x5f, Some(6)),
    (0x5f, Some(7)),
    (0x83, Some(0)),
    (0x83, Some(1)),
    (0x84, Some(0)),
    (0x84, Some(3)),
    (0x84, Some(4)),
    (0x88, None),
    (0x89, None),
    (0x8a, None),
    (0x8b, None),
    (0x8e, None),
    (0x8f, None),
    (0x90, None),
    (0x91, None),
    (0x93, None),
    (0x9c, None),
    (0x9e, Some(0x10)),
    (0x9e, Some(0x12)),
    (0xa0, None),
    (0xa3, Some(0x0a)),
    (0xa3, Some(0x0c)),
    (0xa3, Some(0x0d)),
    (0xa4, Some(0x0a)),
    (0xa8, None),
    (0xaa, None),
    (0xaf, None),
];

/// Steps of one input.
const STEPS_MAX: usize = 128;
/// Bytes of data that a command brings from the input.
const DATA_MAX: usize = 1024;
