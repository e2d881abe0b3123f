//! What owners say of streams while they live, and what peers see of it: longer receives, more and fewer of them, and looks at who is silent.

mod support;

use sdp::Options;
use sdp::sockets::{Config, StreamId};
use std::time::Duration;
use support::World;

/// Bytes of a message beside those of the stream.
const HEAD: usize = 16;

fn config(receive_len: u32, receive_len_max: u32, desired_remote_len: u32) -> Config {
    let usual = Config::default();
    let connection =
        Options { receives: 8, receive_len, receive_len_max, desired_remote_len, ..usual.connection };
    Config { connection, streams_max: 4, frames_max: 64, ..usual }
}

/// How much is taken of a writer whose reader reads nothing; then it does.
fn room(world: &mut World, [writer, reader]: [StreamId; 2]) -> usize {
    let mut written = 0;
    while let Ok(len) = world.write(writer, &[3; 100_000]) {
        written += len;
        world.settle();
    }
    assert_eq!(world.drain(reader).len(), written);
    written
}

#[test]
fn a_peer_whose_receives_were_filled_is_asked_for_longer_ones() {
    let mut world = World::new(config(1000, 8000, 5000));
    let ends = world.pair();
    assert_eq!(world.write(ends[0], &[0; 983]), Ok(983));
    assert_eq!(world.drain(ends[1]).len(), 983);
    assert_eq!(world.sockets.receive_buffer(ends[1]), 8 * 1000, "nothing was filled");
    room(&mut world, ends);
    assert_eq!(room(&mut world, ends), 6 * (5000 - HEAD), "as long as asked for");
    assert_eq!(world.sockets.receive_buffer(ends[1]), 8 * 5000);
    assert_eq!(world.sockets.receive_buffer(ends[0]), 8 * 1000, "the other direction was not asked for");
}

#[test]
fn receives_are_no_longer_than_they_can_be() {
    let mut world = World::new(config(1000, 2000, 5000));
    let ends = world.pair();
    room(&mut world, ends);
    assert_eq!(room(&mut world, ends), 6 * (2000 - HEAD));
    let mut world = World::new(config(1000, 0, 5000));
    let ends = world.pair();
    room(&mut world, ends);
    assert_eq!(room(&mut world, ends), 6 * (1000 - HEAD));
}

/// What was written for short messages goes in short ones, though the peer takes longer ones by then.
#[test]
fn what_waits_while_receives_grow_arrives() {
    let mut world = World::new(config(100, 8000, 8000));
    let [writer, reader] = world.pair();
    let sent: Vec<u8> = (0..60_000_u32).map(|at| (at.wrapping_mul(77) >> 4) as u8).collect();
    let (mut at, mut heard) = (0, Vec::new());
    while heard.len() < sent.len() {
        while at < sent.len() {
            let end = sent.len().min(at + 1 + at % 301);
            let Ok(len) = world.write(writer, &sent[at..end]) else { break };
            at += len;
            if at % 7 == 0 {
                world.turn();
            }
        }
        heard.extend(world.drain(reader));
    }
    assert_eq!(heard, sent);
    assert_eq!(world.sockets.take_error(writer), None);
    assert_eq!(world.sockets.receive_buffer(reader), 8 * 8000);
}

#[test]
fn a_receive_buffer_grows_and_shrinks() {
    let mut world = World::new(config(1000, 0, 1000));
    let ends = world.pair();
    let [_, reader] = ends;
    assert_eq!(world.sockets.receive_buffer(reader), 8000);
    world.sockets.set_receive_buffer(&mut world.device, reader, 12_001).expect("open");
    assert_eq!(world.sockets.receive_buffer(reader), 13_000);
    world.settle();
    assert_eq!(room(&mut world, ends), 11 * (1000 - HEAD));
    world.sockets.set_receive_buffer(&mut world.device, reader, 5000).expect("open");
    // What it was told of it may use once more.
    for _ in 0..4 {
        room(&mut world, ends);
    }
    assert_eq!(room(&mut world, ends), 3 * (1000 - HEAD));
    world.sockets.set_receive_buffer(&mut world.device, reader, 0).expect("open");
    for _ in 0..4 {
        room(&mut world, ends);
    }
    assert_eq!(room(&mut world, ends), 2 * (1000 - HEAD), "the fewest there are");
}

#[test]
fn one_stream_takes_no_receives_that_others_may_need() {
    let mut world = World::new(config(1000, 0, 1000));
    let ends = world.pair();
    world.sockets.set_receive_buffer(&mut world.device, ends[1], u64::MAX).expect("open");
    assert_eq!(world.sockets.receive_buffer(ends[1]) / 1000, 8 + 16 - 2 * 4);
    let others = world.pair();
    for pair in [ends, others] {
        room(&mut world, pair);
    }
    for id in ends.into_iter().chain(others) {
        world.close(id);
    }
    world.settle();
    assert_eq!(world.sockets.streams(), 0);
    // All of them come back with their streams.
    let ends = world.pair();
    assert_eq!(room(&mut world, ends), 6 * (1000 - HEAD));
}

#[test]
fn a_send_buffer_bounds_what_is_taken() {
    let mut world = World::new(config(1000, 0, 1000));
    let [writer, _] = world.pair();
    world.sockets.set_send_buffer(writer, 1500);
    assert_eq!(world.sockets.send_buffer(writer), 2000);
    let mut taken = 0;
    while let Ok(len) = world.write(writer, &[1; 984]) {
        taken += len;
    }
    assert_eq!(taken, 2 * (1000 - HEAD), "nothing went out yet");
}

#[test]
fn a_silent_peer_is_looked_at() {
    let mut world = World::narrow();
    let [client, server] = world.pair();
    assert_eq!(world.sockets.deadline(), None);
    world.sockets.set_keep_alive(client, Some(Duration::from_secs(5)));
    assert_eq!(world.sockets.keep_alive(client), Some(Duration::from_secs(5)));
    let first = world.sockets.deadline().expect("it is to be looked");
    world.wait();
    assert_eq!(world.sockets.deadline(), Some(first + Duration::from_secs(5)), "again if it stays silent");
    // What comes puts it off.
    world.write(server, b"here").expect("room");
    assert_eq!(world.drain(client), b"here");
    world.sockets.set_keep_alive(client, None);
    world.wait();
    assert_eq!(world.sockets.deadline(), None);
    assert_eq!(world.sockets.take_error(client), None);
}
