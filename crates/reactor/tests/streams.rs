//! The reactor keeps every promise of `Env` about time, wakers and streams.

use core::time::Duration;
use reactor::{Options, Reactor};
use stdx::conformance::{self, streams};
use stdx::env::{Env, Owner, What};
use stdx::mem::MemoryLimits;

fn reactor(spin: Duration) -> Reactor {
    let memory = MemoryLimits { buffer_bytes: 40 << 20 };
    Reactor::new(Options { memory, spin, ..Options::default() }).unwrap()
}

/// Both ways of looking for events: in the kernel's set alone, and by trying.
fn both(check: impl Fn(&mut Reactor)) {
    check(&mut reactor(Duration::ZERO));
    check(&mut reactor(Duration::from_millis(50)));
}

#[test]
fn streams_conform_over_ipv4() {
    both(|env| streams::all(env, "127.0.0.1:0".parse().unwrap()));
}

#[test]
fn streams_conform_over_ipv6() {
    both(|env| streams::all(env, "[::1]:0".parse().unwrap()));
}

#[test]
fn time_passes() {
    both(|env| conformance::time_passes(env));
}

#[test]
fn a_waker_wakes() {
    both(|env| conformance::a_waker_wakes(env));
}

#[test]
fn a_waker_wakes_from_another_thread() {
    let mut env = reactor(Duration::ZERO);
    let waker = env.waker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        waker();
    });
    let mut events = Vec::new();
    env.poll(&mut events, None);
    assert_eq!((events[0].owner, events[0].what), (Owner::SHARD, What::Woken));
    thread.join().unwrap();
}

#[test]
fn entropy_differs() {
    let mut env = reactor(Duration::ZERO);
    assert_ne!(env.entropy(), env.entropy());
}

#[test]
fn the_calendar_is_in_this_century() {
    assert!((1_700_000_000_000..4_102_444_800_000).contains(&reactor(Duration::ZERO).calendar_ms()));
}
