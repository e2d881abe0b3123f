//! A reactor with nothing to do uses no processor, also after it was busy, and with descriptors running out.

use core::time::Duration;
use reactor::{Options, Reactor};
use stdx::env::{Env, IoError, Owner, What};
use stdx::mem::MemoryLimits;

fn reactor(streams_max: usize) -> Reactor {
    let memory = MemoryLimits { buffer_bytes: 40 << 20 };
    Reactor::new(Options { memory, streams_max, ..Options::default() }).unwrap()
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    // SAFETY: rusage is plain integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one rusage, which lives on this stack.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|t| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000))
        .sum()
}

/// Polls for 300 ms; says how much processor time that took.
fn idle(env: &mut Reactor) -> Duration {
    let mut events = Vec::new();
    env.poll(&mut events, Some(env.now()));
    let before = processor_time();
    let deadline = env.now() + Duration::from_millis(300);
    while env.now() < deadline {
        env.poll(&mut events, Some(deadline));
    }
    processor_time() - before
}

/// Connects to a listener of its own and moves a few bytes.
fn be_busy(env: &mut Reactor) {
    let listener = env.listen(Owner(1), "127.0.0.1:0".parse().unwrap()).unwrap();
    let client = env.connect(Owner(2), env.listener_address(listener)).unwrap();
    let mut events = Vec::new();
    let server = loop {
        env.poll(&mut events, None);
        if let Ok(accepted) = env.accept(listener, Owner(3)) {
            break accepted.stream;
        }
    };
    let buffer = env.mem().take(64).unwrap();
    for _ in 0..100 {
        env.send(client, &[buffer]).unwrap();
        while env.recv(server, buffer) == Err(IoError::WouldBlock) {
            env.poll(&mut events, None);
        }
    }
}

#[test]
fn idle_costs_nothing() {
    let mut env = reactor(10);
    assert!(idle(&mut env) < Duration::from_millis(2));
    be_busy(&mut env);
    assert!(idle(&mut env) < Duration::from_millis(2), "after it was busy");
}

#[test]
fn a_full_table_pauses_the_listener_without_spinning() {
    let mut env = reactor(2);
    let listener = env.listen(Owner(1), "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = env.listener_address(listener);
    let peers: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let mut events = Vec::new();
    env.poll(&mut events, None);
    let first = env.accept(listener, Owner(2)).unwrap();
    env.accept(listener, Owner(3)).unwrap();
    assert_eq!(env.accept(listener, Owner(4)), Err(IoError::Limit));
    // It is told again now and then, and each time found to have no room.
    let before = processor_time();
    let deadline = env.now() + Duration::from_millis(500);
    let mut told = 0;
    while env.now() < deadline {
        events.clear();
        env.poll(&mut events, Some(deadline));
        for _ in events.iter().filter(|event| event.what == What::Acceptable(listener)) {
            told += 1;
            assert_eq!(env.accept(listener, Owner(4)), Err(IoError::Limit));
        }
    }
    assert!((1..=10).contains(&told), "told {told} times");
    assert!(processor_time() - before < Duration::from_millis(10));
    env.close(first.stream, true);
    events.clear();
    while !events.iter().any(|event| event.what == What::Acceptable(listener)) {
        env.poll(&mut events, None);
    }
    assert!(env.accept(listener, Owner(4)).is_ok(), "there is room again");
    drop(peers);
}

#[test]
fn a_thousand_connections_are_served_alike() {
    let mut env = reactor(4096);
    let listener = env.listen(Owner(1), "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = env.listener_address(listener);
    let mut events = Vec::new();
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    while servers.len() < 1000 {
        if clients.len() < 1000 {
            clients.push(env.connect(Owner(2), address).unwrap());
        }
        env.poll(&mut events, Some(env.now()));
        while let Ok(accepted) = env.accept(listener, Owner(3)) {
            servers.push(accepted.stream);
        }
    }
    let buffer = env.mem().take(64).unwrap();
    let mut rounds = vec![0; 1000];
    for _ in 0..5 {
        events.clear();
        for &client in &clients {
            env.send(client, &[buffer.first(8)]).unwrap();
        }
        let mut left = 1000;
        while left > 0 {
            env.poll(&mut events, None);
            for event in events.drain(..) {
                let What::Readable(stream) = event.what else { continue };
                let Some(place) = servers.iter().position(|&server| server == stream) else { continue };
                if env.recv(stream, buffer) == Ok(8) {
                    rounds[place] += 1;
                    left -= 1;
                }
            }
        }
    }
    assert!(rounds.iter().all(|&count| count == 5), "each stream, each round");
}
