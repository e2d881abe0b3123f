//! Streams on the loopback device: bytes arrive, credits hold writers back, and all is given back in the end.

mod support;

use sdp::sockets::{Changed, Config, SocketError};
use std::time::Duration;
use stdx::env::Env;
use support::World;

#[test]
fn bytes_arrive_however_narrow_the_way() {
    let mut world = World::narrow();
    let ends = world.pair();
    let sent: Vec<u8> = (0..50_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let (mut at, mut heard) = ([0; 2], [Vec::new(), Vec::new()]);
    while heard.iter().any(|heard| heard.len() < sent.len()) {
        for (end, other) in [(0, 1), (1, 0)] {
            let step = (at[end] * 5 + 1) % 700;
            let rest = &sent[at[end]..sent.len().min(at[end] + step)];
            match world.write(ends[end], rest) {
                Ok(len) => at[end] += len,
                Err(error) => assert_eq!(error, SocketError::WouldBlock),
            }
            let drained = world.drain(ends[other]);
            heard[other].extend(drained);
        }
    }
    assert!(heard.iter().all(|heard| *heard == sent));
}

#[test]
fn a_writer_waits_for_its_reader() {
    let mut world = World::narrow();
    let [writer, reader] = world.pair();
    let mut written = 0;
    while let Ok(len) = world.write(writer, &[1; 1000]) {
        written += len;
        world.settle();
    }
    // Two of four receives are for bytes.
    assert_eq!(written, 2 * (256 - 16));
    assert!(!world.sockets.readiness(writer).writable);
    while world.sockets.poll_changed().is_some() {}
    assert_eq!(world.drain(reader).len(), written);
    world.settle();
    let told: Vec<_> = core::iter::from_fn(|| world.sockets.poll_changed()).collect();
    assert!(told.contains(&Changed::Stream(writer)), "{told:?}");
    assert!(world.sockets.readiness(writer).writable);
}

#[test]
fn halves_close_one_after_the_other() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    world.write(client, b"the last words").expect("room");
    world.shut_write(client);
    assert_eq!(world.write(client, b"more"), Err(SocketError::Closed));
    assert_eq!(world.drain(server), b"the last words");
    assert_eq!(world.read(server, &mut [0; 4]), Ok(0));
    world.write(server, b"an answer").expect("room");
    assert_eq!(world.drain(client), b"an answer");
    world.shut_write(server);
    world.settle();
    assert_eq!(world.read(client, &mut [0; 4]), Ok(0));
    assert_eq!(world.sockets.take_error(client), None);
    assert!(world.sockets.readiness(client).ended && world.sockets.readiness(server).ended);
    world.close(client);
    world.close(server);
    world.settle();
    assert_eq!(world.sockets.streams(), 0);
}

#[test]
fn streams_come_and_go_without_a_trace() {
    let mut world = World::narrow();
    let (listener, address) = world.listen();
    for round in 0..200 {
        let client = world.connect(address);
        world.settle();
        let server = world.sockets.accept(listener).expect("a stream");
        let bytes = [round as u8; 300];
        let len = world.write(client, &bytes).expect("room");
        assert_eq!(world.drain(server), bytes[..len]);
        match round % 4 {
            0 => world.close(client),
            1 => world.close(server),
            2 => world.sockets.abort(&mut world.env, &mut world.device, client),
            _ => {
                world.write(client, b"unread").expect("room");
                world.settle();
            }
        }
        world.close(server);
        world.close(client);
        world.settle();
        assert_eq!(world.sockets.streams(), 0, "round {round}");
    }
}

#[test]
fn what_nobody_serves_is_refused() {
    let mut world = World::narrow();
    let (listener, address) = world.listen();
    world.sockets.close_listener(&mut world.env, &mut world.device, listener);
    let client = world.connect(address);
    assert_eq!(world.write(client, b"too early"), Err(SocketError::WouldBlock));
    world.settle();
    assert_eq!(world.read(client, &mut [0; 1]), Err(SocketError::Refused));
    world.close(client);
    assert_eq!(world.sockets.streams(), 0);
}

#[test]
fn a_backlog_has_an_end() {
    let mut world =
        World::new(Config { backlog_max: 2, streams_max: 16, frames_max: 16, ..Config::default() });
    let (listener, address) = world.listen();
    let clients = [0; 3].map(|_| {
        let client = world.connect(address);
        world.settle();
        client
    });
    assert_eq!(world.sockets.waiting(listener), 2);
    assert_eq!(
        clients.map(|client| world.sockets.take_error(client)),
        [None, None, Some(SocketError::Refused)]
    );
    world.sockets.close_listener(&mut world.env, &mut world.device, listener);
    world.settle();
    assert_eq!(world.read(clients[0], &mut [0; 1]), Err(SocketError::Reset));
}

#[test]
fn who_never_ends_a_closed_stream_is_left() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    // The client closes last, so it is for the server to disconnect, which is not driven.
    world.shut_write(server);
    world.settle();
    world.close(client);
    world.settle();
    world.close(server);
    world.settle();
    while world.sockets.streams() > 0 {
        world.wait();
    }
}

/// As TCP's FIN-WAIT-2 of a socket that nobody has any more: a peer that never closes its half keeps no stream of ours for ever.
#[test]
fn who_goes_on_with_a_stream_that_nobody_has_is_left() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    world.write(client, b"farewell").expect("room");
    world.close(client);
    world.settle();
    let closed_at = world.env.now();
    assert_eq!(world.sockets.streams(), 2, "the peer may still close in peace");
    world.wait();
    assert!(world.env.now() >= closed_at + Duration::from_secs(60));
    assert_eq!(world.sockets.streams(), 1);
    assert_eq!(world.drain(server), b"farewell");
    assert_eq!(world.read(server, &mut [0; 4]), Ok(0));
    assert!(world.write(server, b"who reads this?").is_err());
}

#[test]
fn who_takes_nothing_of_a_stream_that_nobody_has_is_left() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    while world.write(client, &[1; 1000]).is_ok() {
        world.settle();
    }
    world.close(client);
    world.settle();
    assert_eq!(world.sockets.streams(), 2, "the peer may still take it");
    world.wait();
    assert_eq!(world.sockets.streams(), 1);
    world.close(server);
    world.settle();
    assert_eq!(world.sockets.streams(), 0);
}

/// At each moment of a greeting.
#[test]
fn a_stream_whose_asker_leaves_while_it_is_greeted_goes_with_it() {
    for turns in 0..6 {
        let mut world = World::narrow();
        let (listener, address) = world.listen();
        let client = world.connect(address);
        for _ in 0..turns {
            world.turn();
        }
        world.close(client);
        world.settle();
        if let Some(server) = world.sockets.accept(listener) {
            world.close(server);
            world.settle();
        }
        assert_eq!(world.sockets.streams(), 0, "after {turns} turns: {:?}", world.sockets);
    }
}

/// Who reads on may wait for as long as it likes.
#[test]
fn a_stream_that_is_closed_for_writing_alone_stays() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    world.shut_write(client);
    world.settle();
    assert_eq!(world.sockets.deadline(), None);
    world.write(server, b"still here").expect("room");
    assert_eq!(world.drain(client), b"still here");
}

/// The place of the connection that ends is free before it is told that it has.
#[test]
fn a_connection_that_ends_while_another_begins_is_told() {
    let mut world = World::narrow();
    let (listener, address) = world.listen();
    let first = world.connect(address);
    world.settle();
    let server = world.sockets.accept(listener).expect("a stream");
    let second = world.connect(address);
    world.sockets.abort(&mut world.env, &mut world.device, first);
    world.settle();
    assert_eq!(world.read(server, &mut [0; 4]), Err(SocketError::Reset));
    let other = world.sockets.accept(listener).expect("a stream");
    world.write(second, b"hello").expect("room");
    assert_eq!(world.drain(other), b"hello");
    for id in [first, server, second, other] {
        world.close(id);
    }
    world.settle();
    assert_eq!(world.sockets.streams(), 0);
}
