//! Answers of any kind and order to the requests of a reliable connection, and time: all laws hold, each request completes
//! once, and nothing beyond its memory changes.
//!
//! The input is a list of steps: one byte that says what happens, one for a number, two for a length; then the bytes of a
//! packet if one comes.
#![no_main]

#[path = "../../crates/rdma/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use support::victim::{LEN, Victim};
use verbs::{Data, Remote, SendRequest, Transport, Work};

fuzz_target!(|input: &[u8]| {
    let mut victim = Victim::new(Transport::ReliableConnection);
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let [what, number, low, high, bytes @ ..] = rest else { break };
        let amount = u16::from_le_bytes([*low, *high]) & 0x1fff;
        let mut used = 0;
        match what >> 6 {
            0 => post(&mut victim, *what, *number, u32::from(amount)),
            1 => victim.pass(Duration::from_micros(u64::from(amount) * 100)),
            _ => {
                used = usize::from(amount).min(bytes.len());
                victim.hear(bytes[..used].to_vec(), *what & 0x1f, *number);
                victim.pass(Duration::ZERO);
            }
        }
        rest = &bytes[used..];
    }
    victim.pass(Duration::from_millis(1));
    victim.end();
    assert_eq!(victim.posted, victim.completed, "everything completes");
});

fn post(victim: &mut Victim, what: u8, number: u8, len: u32) {
    let list = [victim.memory.sge(u64::from(number), len.min(LEN as u32 + 1))];
    let eight = [victim.memory.sge(u64::from(number) * 8, 8)];
    let remote = Remote { address: u64::from(number) * 8, key: victim.memory.key };
    let (work, data) = match what & 7 {
        0 => (Work::Send, Data::Gather(&list)),
        1 => (Work::SendImmediate(u32::from(number)), Data::Gather(&list)),
        2 => (Work::Write(remote), Data::Gather(&list)),
        3 | 4 => (Work::Read(remote), Data::Gather(&list)),
        5 => (Work::FetchAdd { at: remote, add: 1 }, Data::Gather(&eight)),
        6 => (Work::CompareSwap { at: remote, compare: 0, swap: 1 }, Data::Gather(&eight)),
        _ => (Work::Send, Data::Inline(b"inline")),
    };
    let request = SendRequest { fence: what & 8 != 0, ..SendRequest::new(u64::from(number), work, data) };
    victim.send(request);
}

/// Steps of one input.
const STEPS_MAX: usize = 128;
