//! Streams that pause and go on: nothing is lost, nobody else comes in, and no pause lasts for ever.

mod support;

use sdp::sockets::{SocketError, StreamId};
use std::net::SocketAddr;
use support::{HOST, World};
use verbs::ConnectError;

fn suspend(world: &mut World, id: StreamId) -> Result<(), SocketError> {
    world.sockets.suspend(&mut world.env, &mut world.device, id)
}

fn resume(world: &mut World, id: StreamId) {
    world.sockets.resume(&mut world.env, &mut world.device, id);
}

/// Both ends are heard.
fn talk(world: &mut World, [client, server]: [StreamId; 2]) {
    for (from, to) in [(client, server), (server, client)] {
        world.write(from, b"still there").expect("room");
        assert_eq!(world.drain(to), b"still there");
    }
}

#[test]
fn either_end_pauses_a_stream_and_has_it_go_on() {
    for asks in [0, 1] {
        let mut world = World::narrow();
        let ends = world.pair();
        world.write(ends[0], b"before").expect("room");
        for _ in 0..3 {
            suspend(&mut world, ends[asks]).expect("a pause");
            assert_eq!(suspend(&mut world, ends[asks]), Err(SocketError::Closed), "one at a time");
            world.settle();
            assert!(world.sockets.is_suspended(ends[asks]));
            assert_eq!(world.write(ends[asks], b"x"), Err(SocketError::WouldBlock));
            resume(&mut world, ends[asks]);
            world.settle();
            assert!(ends.iter().all(|end| !world.sockets.is_suspended(*end)));
            assert_eq!(world.sockets.deadline(), None, "nothing is waited for any more");
        }
        // What had come before is read after, and its receive is no part of what the new queue pair has.
        assert_eq!(world.drain(ends[1]), b"before");
        talk(&mut world, ends);
    }
}

#[test]
fn both_ends_pause_at_once() {
    for first in [0, 1] {
        let mut world = World::narrow();
        let ends = world.pair();
        for id in ends {
            suspend(&mut world, id).expect("a pause");
        }
        world.settle();
        assert!(ends.iter().all(|end| world.sockets.is_suspended(*end)));
        resume(&mut world, ends[first]);
        world.settle();
        assert_eq!(world.write(ends[first], b"x"), Err(SocketError::WouldBlock), "both have to want it");
        resume(&mut world, ends[1 - first]);
        world.settle();
        talk(&mut world, ends);
    }
}

#[test]
fn a_pause_that_nobody_ends_ends_the_stream() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    suspend(&mut world, client).expect("a pause");
    world.settle();
    world.wait();
    assert_eq!(world.sockets.take_error(client), Some(SocketError::TimedOut));
    for _ in 0..20 {
        if world.sockets.readiness(server).ended {
            break;
        }
        world.wait();
    }
    assert!(world.sockets.readiness(server).ended);
    assert!(world.sockets.take_error(server).is_some());
    world.close(client);
    world.close(server);
    world.settle();
    assert_eq!(world.sockets.streams(), 0, "nothing is left");
}

#[test]
fn what_was_written_before_a_stream_is_left_in_its_pause_arrives() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    suspend(&mut world, client).expect("a pause");
    world.write(client, b"the last words").expect("room");
    world.settle();
    world.close(client);
    assert_eq!(world.drain(server), b"the last words");
    assert_eq!(world.read(server, &mut [0; 1]), Ok(0));
    world.close(server);
    world.settle();
    assert_eq!(world.sockets.streams(), 0);
}

#[test]
fn nobody_else_comes_back() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    suspend(&mut world, server).expect("a pause");
    // The port is the one that nobody else can have, besides the first listener's.
    let (first, _) = world.sockets.addresses(server).expect("a stream");
    let portal = (1..=u16::MAX).rev().map(|port| SocketAddr::new(HOST, port)).find(|at| {
        let taken = world.sockets.listen(&mut world.device, *at, 0);
        if let Ok((listener, _)) = taken {
            world.sockets.close_listener(&mut world.env, &mut world.device, listener);
        }
        taken == Err(ConnectError::InUse) && *at != first
    });
    let portal = portal.expect("somebody is waited for");
    let stranger = {
        let from = SocketAddr::new(HOST, 7);
        world.sockets.connect(&mut world.env, &mut world.device, portal, from, portal).expect("a stream")
    };
    world.settle();
    resume(&mut world, server);
    world.settle();
    talk(&mut world, [client, server]);
    assert_eq!(world.sockets.take_error(stranger), Some(SocketError::Refused));
}

#[test]
fn what_is_unread_takes_no_receive_from_the_next_queue_pair() {
    const MESSAGE: [u8; 256 - 16] = [7; 256 - 16];
    let mut world = World::narrow();
    let [client, server] = world.pair();
    for round in 1..=3 {
        // Two of four receives are for bytes.
        for _ in 0..2 {
            assert_eq!(world.write(client, &MESSAGE), Ok(MESSAGE.len()));
        }
        world.settle();
        assert_eq!(world.sockets.readable(server), round * 2 * MESSAGE.len() as u64);
        suspend(&mut world, server).expect("a pause");
        resume(&mut world, server);
        world.settle();
    }
    assert_eq!(world.drain(server).len(), 6 * MESSAGE.len());
    talk(&mut world, [client, server]);
}
