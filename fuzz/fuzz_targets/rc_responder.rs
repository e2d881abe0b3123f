//! Requests of any kind and order to a reliable connection: all laws hold, nothing beyond its memory changes, and in the
//! end everything is flushed.
//!
//! The input is a list of steps: one byte that says what is put right of a packet, one for its number, two for its length,
//! then its bytes.
#![no_main]

#[path = "../../crates/rdma/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use support::victim::Victim;
use verbs::Transport;

fuzz_target!(|input: &[u8]| {
    let Some((first, mut rest)) = input.split_first() else { return };
    let is_reliable = first & 1 == 0;
    let mut victim = Victim::new(match is_reliable {
        true => Transport::ReliableConnection,
        false => Transport::UnreliableConnection,
    });
    for _ in 0..STEPS_MAX {
        let [mend, number, low, high, bytes @ ..] = rest else { break };
        let len = usize::from(u16::from_le_bytes([*low, *high]) & 0x1fff).min(bytes.len());
        if mend & 32 != 0 {
            victim.receive(u32::from(*number) * 32);
        }
        victim.hear(bytes[..len].to_vec(), *mend, *number);
        // Sometimes several come at once.
        if mend & 64 == 0 {
            victim.pass(Duration::ZERO);
        }
        rest = &bytes[len..];
    }
    victim.pass(Duration::from_millis(1));
    victim.end();
});

/// Steps of one input.
const STEPS_MAX: usize = 128;
