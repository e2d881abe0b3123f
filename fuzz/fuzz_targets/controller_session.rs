//! A whole controller session: arbitrary bytes on up to four connections, ends, stalls and time-outs in between. Whatever
//! comes, all invariants hold, and when the hosts are gone, so is everything they had.
//!
//! The input is a list of steps: one byte that says which connection and what, two that say how much, then the bytes.

#![no_main]

#[path = "../../crates/nvme/tests/support/mod.rs"]
mod support;

use ::nvme::target::Target;
use ::nvme::target::tcp::Limits;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use stdx::env::{Env, StreamId};
use support::World;
use support::host::SUBSYSTEM;
use wire::nvme::Nqn;

fuzz_target!(|input: &[u8]| {
    let limits = Limits { connections_max: CONNECTIONS, ..Limits::default() };
    let mut world = World::nvme(&Nqn::parse(SUBSYSTEM).unwrap(), VOLUME_BLOCKS, limits);
    let mut streams = [None; CONNECTIONS];
    let mut rest = input;
    while let [what, low, high, bytes @ ..] = rest {
        let amount = usize::from(u16::from_le_bytes([*low, *high]));
        let stream = &mut streams[usize::from(*what) % CONNECTIONS];
        let used = step(&mut world, stream, *what / 4, amount, bytes);
        turn(&mut world);
        rest = &bytes[used..];
    }
    world.server.check(&mut world.env, 0);
    world.target.check();
    for stream in streams.into_iter().flatten() {
        world.env.make_room(stream, usize::MAX);
        world.env.finish(stream);
    }
    turn(&mut world);
    world.server.check(&mut world.env, 0);
    world.target.check();
    assert_eq!(world.server.connections().count(), 0);
    assert_eq!(world.env.mem().buffers_taken(), 0);
});

/// One step of a host; says how many bytes it used.
fn step(
    world: &mut World<Target>,
    stream: &mut Option<StreamId>,
    what: u8,
    amount: usize,
    bytes: &[u8],
) -> usize {
    let at = *stream.get_or_insert_with(|| world.env.arrive());
    if world.env.stream(at).closed.is_some() {
        *stream = None;
        return 0;
    }
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

/// Turns until nothing is left to do.
fn turn(world: &mut World<Target>) {
    for _ in 0..TURNS_MAX {
        while let Some(event) = world.env.next_event() {
            world.server.handle_event(&mut world.env, &mut world.target, &event);
        }
        world.server.handle_timeout(&mut world.env, &mut world.target);
        world.target.handle_timeout(&mut world.env);
        world.server.poll(&mut world.env, &mut world.target);
        let idle = world.server.deadline().is_none_or(|time| time > world.env.now());
        if idle && world.env.is_quiet() {
            return;
        }
    }
    panic!("a session that never comes to rest");
}

const CONNECTIONS: usize = 4;
const VOLUME_BLOCKS: u64 = 256;
const TURNS_MAX: usize = 100_000;
