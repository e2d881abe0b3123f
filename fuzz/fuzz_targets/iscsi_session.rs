//! Whole sessions with an iSCSI target: arbitrary bytes on up to four connections, ends, stalls and time-outs in between.
//! Whatever comes, all laws hold, and when the initiators are gone, so is everything they had.
//!
//! The input is a list of steps: one byte that says which connection and what, two that say how much, then the bytes.
#![no_main]

#[path = "../../crates/scsi/tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use scsi::iscsi::target::Limits;
use std::time::Duration;
use stdx::env::{Env, StreamId};
use world::{Settings, World};

fuzz_target!(|input: &[u8]| {
    let limits = Limits { connections_max: CONNECTIONS, ..Limits::default() };
    let mut world = World::with(Settings { limits, queue_depth: 8, ..Settings::default() });
    let mut streams = [None; CONNECTIONS];
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let [what, low, high, bytes @ ..] = rest else { break };
        let amount = usize::from(u16::from_le_bytes([*low, *high]));
        let stream = &mut streams[usize::from(*what) % CONNECTIONS];
        let used = step(&mut world, stream, *what / 4, amount, bytes);
        world.run();
        rest = &bytes[used..];
    }
    for stream in streams.into_iter().flatten() {
        if world.env.stream(stream).closed.is_none() {
            world.env.make_room(stream, usize::MAX);
            world.env.finish(stream);
        }
    }
    world.run();
    assert!(world.server.is_drained());
    assert_eq!(world.env.mem().buffers_taken(), 0);
});

/// One step of an initiator; says how many bytes it used.
fn step(world: &mut World, stream: &mut Option<StreamId>, what: u8, amount: usize, bytes: &[u8]) -> usize {
    let at = *stream.get_or_insert_with(|| world.env.arrive());
    if world.env.stream(at).closed.is_some() {
        *stream = None;
        return 0;
    }
    world.env.stream(at).sink = true;
    match what % 8 {
        0..=3 => {
            let len = amount.min(bytes.len());
            world.env.deliver(at, &bytes[..len]);
            return len;
        }
        4 => world.env.stream(at).cut = amount.max(1),
        5 => world.env.make_room(at, amount),
        6 => world.env.finish(at),
        _ => world.env.advance(Duration::from_millis(amount as u64)),
    }
    0
}

const CONNECTIONS: usize = 4;

/// Steps of one input.
const STEPS_MAX: usize = 256;
