//! The reactor keeps every promise of `Env` about time, wakers and streams.

use core::time::Duration;
use reactor::{Options, Reactor};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use stdx::conformance::{self, streams};
use stdx::env::{Env, IoError, Owner, StreamId, What};
use stdx::mem::{Kind, MemoryLimits, Span};
use stdx::time::Time;

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

/// A stream that was tried for a while without the set being asked for it, and its peer.
struct Busy {
    env: Reactor,
    stream: StreamId,
    peer: TcpStream,
    place: Span,
}

impl Busy {
    fn new() -> Self {
        let mut env = reactor(SPIN);
        let region = env.mem().map(Kind::Shared, 1 << 20).unwrap();
        let place = env.mem().whole(region);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = env.connect(Owner(7), listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        let mut busy = Self { env, stream, peer, place };
        busy.wait_for(|what| matches!(what, What::Writable(_)));
        for round in 0..100 {
            busy.peer.write_all(&[round]).unwrap();
            while busy.env.recv(stream, place) == Err(IoError::WouldBlock) {
                busy.env.poll(&mut Vec::new(), Some(Time::ZERO));
            }
        }
        busy
    }

    /// Waits for an event as long as it takes.
    fn wait_for(&mut self, is_wanted: impl Fn(&What) -> bool) {
        let mut events = Vec::new();
        while !events.iter().any(|event: &stdx::env::Event| is_wanted(&event.what)) {
            events.clear();
            self.env.poll(&mut events, None);
        }
    }

    /// Waits until there is something to receive, and receives it.
    fn receive(&mut self) -> Result<usize, IoError> {
        loop {
            match self.env.recv(self.stream, self.place) {
                Err(IoError::WouldBlock) => self.wait_for(|what| matches!(what, What::Readable(_))),
                other => return other,
            }
        }
    }
}

#[test]
fn a_stream_that_was_busy_is_heard_after_a_sleep() {
    let mut busy = Busy::new();
    let mut peer = busy.peer.try_clone().unwrap();
    let thread = std::thread::spawn(move || {
        for _ in 0..2 {
            std::thread::sleep(3 * SPIN);
            peer.write_all(&[1]).unwrap();
        }
        std::thread::sleep(3 * SPIN);
        peer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert_eq!((busy.receive(), busy.receive(), busy.receive()), (Ok(1), Ok(1), Ok(0)));
    thread.join().unwrap();
}

#[test]
fn a_stream_that_was_busy_tells_of_room() {
    let mut busy = Busy::new();
    let mut sent = 0;
    let stream = busy.stream;
    while let Ok(len) = busy.env.send(stream, &[busy.place]) {
        sent += len;
    }
    let mut peer = busy.peer.try_clone().unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(3 * SPIN);
        peer.read_exact(&mut vec![0; sent]).unwrap();
    });
    busy.wait_for(|what| matches!(what, What::Writable(_)));
    assert!(busy.env.send(stream, &[busy.place]).is_ok());
    thread.join().unwrap();
}

/// How long the reactor of a busy stream tries it.
const SPIN: Duration = Duration::from_millis(10);
