//! A neighbour in shared memory: arbitrary records in its ring, messages over its link, numbers of what it consumed. Whatever
//! comes, all laws hold and no byte outside the region changes.
//!
//! The input is a list of steps: a byte that says what, a byte that says how many bytes follow.
#![no_main]

#[path = "../../crates/shm/tests/victim/mod.rs"]
mod victim;

use libfuzzer_sys::fuzz_target;
use victim::{THEIR_QPN, World};

fuzz_target!(|input: &[u8]| {
    let mut world = World::new();
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let [what, len, bytes @ ..] = rest else { break };
        let (bytes, later) = bytes.split_at(usize::from(*len).min(bytes.len()));
        rest = later;
        match what % 8 {
            0..=3 => world.write(&aimed(&world, *what, bytes)),
            4 => world.say(&bytes[..bytes.len().min(36)], what & 8 != 0),
            5 => world.say_consumed(u32::from(*len)),
            6 => world.work(),
            _ => world.turn(),
        }
    }
    for _ in 0..4 {
        world.turn();
    }
});

/// A record for one of the queue pairs, from its peer and with a number near the right one: others go nowhere.
fn aimed(world: &World, what: u8, bytes: &[u8]) -> [u8; 60] {
    let mut record = [0; 60];
    let len = bytes.len().min(record.len());
    record[..len].copy_from_slice(&bytes[..len]);
    record[0] %= 11;
    record[4..8].copy_from_slice(&world.qpn(usize::from(what >> 4) % 3).to_ne_bytes());
    record[8..12].copy_from_slice(&THEIR_QPN.to_ne_bytes());
    let base: u32 = if what & 4 == 0 { 100 } else { 500 };
    let numbers = [base + u32::from(record[12] % 8), 500 + u32::from(record[16] % 8)];
    record[12..16].copy_from_slice(&numbers[0].to_ne_bytes());
    record[16..20].copy_from_slice(&numbers[1].to_ne_bytes());
    record[32..36].copy_from_slice(&world.open.key.0.to_ne_bytes());
    record
}

/// Steps of one input.
const STEPS_MAX: usize = 256;
