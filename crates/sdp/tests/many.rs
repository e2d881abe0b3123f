//! Many streams on one device: each costs something when it has something to do, and not before.

mod support;

use sdp::Options;
use sdp::sockets::{Config, StreamId};
use std::time::Duration;
use stdx::env::Env;
use support::World;

/// So many streams, with both ends here.
fn crowd(world: &mut World, pairs: usize) -> Vec<[StreamId; 2]> {
    let (listener, address) = world.listen();
    let mut made = Vec::new();
    for _ in 0..pairs {
        let client = world.connect(address);
        world.settle_unchecked();
        made.push([client, world.sockets.accept(listener).expect("a stream")]);
    }
    made
}

#[test]
fn a_turn_looks_at_nobody_who_has_nothing_to_do() {
    let mut world = World::new(Config { streams_max: 2000, frames_max: 64, ..Config::default() });
    let made = crowd(&mut world, 1000);
    world.settle();
    let looks = world.sockets.looks();
    for _ in 0..10 {
        world.turn();
    }
    assert_eq!(world.sockets.looks(), looks, "nobody has anything to do");
    world.write(made[700][0], b"one").expect("room");
    assert_eq!(world.drain(made[700][1]), b"one");
    let more = world.sockets.looks() - looks;
    assert!(more < 20, "one stream's bytes took {more} looks");
}

#[test]
fn time_passes_for_those_alone_who_wait_for_it() {
    let mut config = Config { streams_max: 2000, frames_max: 64, ..Config::default() };
    config.connection.close_timeout = Duration::from_secs(1);
    let mut world = World::new(config);
    let made = crowd(&mut world, 1000);
    // Whoever closes second waits for the first to end the connection, which here does not come before the time is over.
    for [client, server] in &made[..3] {
        world.shut_write(*client);
        world.settle();
        world.shut_write(*server);
    }
    let looks = world.sockets.looks();
    let due = world.sockets.deadline().expect("somebody waits");
    assert!(due <= world.env.now() + Duration::from_secs(1));
    world.env.set_now(due);
    world.settle();
    let more = world.sockets.looks() - looks;
    assert!(more < 100, "three streams took {more} looks");
    assert_eq!(world.sockets.deadline(), None);
}

#[test]
fn late_comers_bring_fewer_receives_and_are_served_all_the_same() {
    const STREAMS: u32 = 200;
    let usual = Config::default().connection;
    let few = Options { receives: 16, receive_len: 256, desired_remote_len: 256, ..usual };
    // Enough for four each, and for two streams of sixteen.
    let receives_max = STREAMS * u32::from(Options::RECEIVES_MIN) + 2 * 12;
    let mut world = World::new(Config {
        connection: few,
        streams_max: STREAMS,
        receives_max,
        frames_max: 64,
        ..Config::default()
    });
    let made = crowd(&mut world, STREAMS as usize / 2);
    assert_eq!(world.sockets.streams(), STREAMS as usize);
    let said: Vec<u8> = (0..5000_u32).map(|at| at as u8).collect();
    let mut windows = Vec::new();
    for [client, server] in made {
        let mut heard = Vec::new();
        windows.push(world.write(client, &said).expect("room"));
        let mut at = windows[windows.len() - 1];
        while heard.len() < said.len() {
            heard.extend(world.drain(server));
            at += world.write(client, &said[at..]).unwrap_or(0);
        }
        assert_eq!(heard, said);
    }
    assert_eq!(windows[0], 14 * (256 - 16), "the first have all that is usual");
    assert_eq!(windows[windows.len() - 1], 2 * (256 - 16), "the last have the least");
}
