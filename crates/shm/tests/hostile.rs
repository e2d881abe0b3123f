//! A neighbour that lies harms nobody but its own connections.

mod victim;

use stdx::prng::Prng;
use verbs::{QpState, Status};
use victim::{Forged, THEIR_QPN, World, hello};

const FIRST: u8 = 1;
const LAST: u8 = 2;
const WITHIN: u8 = 0x20;

/// A write of eight bytes to where `address` and `key` say, from where `memory` and `offset` say.
fn write(world: &World, number: u32) -> Forged {
    Forged {
        opcode: 2,
        flags: FIRST | LAST,
        memory: 0,
        words: [world.qpn(0), THEIR_QPN, number, 500, 8, 8, 0, world.open.key.0],
        address: 0,
        tail: [4096, 0],
    }
}

#[test]
fn a_right_request_is_done() {
    let mut world = World::new();
    let record = write(&world, 100);
    world.write(&record.bytes());
    world.turn();
    assert_eq!(world.hood.counters().malformed, 0);
    assert_eq!(world.registry.qps.get(world.qps[0].0).unwrap().state, QpState::ReadyToSend);
}

/// Each lie, and what it leads to: the queue pair's state, and whether the record was found to mean nothing.
#[test]
fn lies_are_found() {
    type Lie = fn(&mut Forged);
    let cases: [(&str, Lie, QpState, u64); 10] = [
        ("beyond the region", |it| it.address = 8185, QpState::Error, 0),
        ("before it", |it| it.address = u64::MAX, QpState::Error, 0),
        ("another key", |it| it.words[7] ^= 1, QpState::Error, 0),
        ("bytes beyond the area", |it| it.tail[0] = 1 << 20, QpState::ReadyToSend, 1),
        ("bytes whose end wraps", |it| it.tail[0] = u64::MAX - 4, QpState::ReadyToSend, 1),
        ("memory that was never named", |it| it.memory = 9, QpState::ReadyToSend, 1),
        (
            "more within than there is room",
            |it| (it.flags, it.words[4]) = (FIRST | WITHIN, 17),
            QpState::ReadyToSend,
            1,
        ),
        ("no such opcode", |it| it.opcode = 99, QpState::ReadyToSend, 1),
        ("more than it is in all", |it| it.words[5] = 4, QpState::Error, 0),
        ("another's queue pair", |it| it.words[1] = 78, QpState::ReadyToSend, 0),
    ];
    for (name, lie, state, malformed) in cases {
        let mut world = World::new();
        let mut record = write(&world, 100);
        lie(&mut record);
        world.write(&record.bytes());
        world.turn();
        assert_eq!(world.registry.qps.get(world.qps[0].0).unwrap().state, state, "{name}");
        assert_eq!(world.hood.counters().malformed, malformed, "{name}");
        assert_eq!(world.registry.qps.get(world.qps[1].0).unwrap().state, QpState::ReadyToSend, "{name}");
    }
}

#[test]
fn who_has_consumed_what_was_never_written_is_no_neighbour() {
    let mut world = World::new();
    // So much is on its way that we look at what was consumed.
    for _ in 0..40 {
        world.work();
        let stray = Forged { words: [1, 1, 1, 1, 0, 0, 0, 0], ..write(&world, 100) };
        world.write(&stray.bytes());
    }
    world.say_consumed(1 << 20);
    for _ in 0..4 {
        world.turn();
    }
    assert_eq!((world.hood.linked(), world.hood.counters().broken), (0, 1));
    assert!(world.done().iter().any(|done| done.status == Status::RetryExceeded));
}

/// Sends for which there is no receive, again and again, by one who never takes what it is told.
#[test]
fn refusals_that_nobody_takes_do_not_add_up() {
    let mut world = World::new();
    let first = Forged { opcode: 1, ..write(&world, 100) };
    let begun = Forged {
        flags: FIRST,
        words: {
            let mut words = first.words;
            words[5] = 16;
            words
        },
        ..write(&world, 100)
    };
    let far = Forged {
        words: {
            let mut words = first.words;
            words[2] = 107;
            words
        },
        ..write(&world, 100)
    };
    for record in [&first, &begun, &far].into_iter().cycle().take(3000) {
        world.write(&record.bytes());
        world.turn();
    }
    assert_eq!(world.registry.qps.get(world.qps[0].0).unwrap().state, QpState::ReadyToSend);
}

#[test]
fn messages_that_make_no_sense_end_the_link() {
    for message in [hello(), vec![9], vec![2, 0, 0], vec![2, 1, 0], vec![0; 36]] {
        let mut world = World::new();
        world.say(&message, false);
        world.turn();
        world.turn();
        assert_eq!(world.hood.linked(), 0, "{message:?}");
    }
}

#[test]
fn a_neighbour_that_dies_is_missed() {
    let mut world = World::new();
    world.hostile.die();
    world.turn();
    world.turn();
    world.turn();
    assert_eq!(world.hood.linked(), 0);
    for qp in &world.qps[..2] {
        assert_eq!(world.registry.qps.get(qp.0).unwrap().state, QpState::Error);
    }
    let done = world.done();
    assert_eq!(done.iter().filter(|done| done.status == Status::RetryExceeded).count(), 2, "{done:?}");
}

/// Records that are nearly right: what a fuzzer would find first.
#[test]
fn whatever_comes_the_laws_hold() {
    for seed in 0..300 {
        let (mut world, mut prng) = (World::new(), Prng::new(seed));
        for _ in 0..60 {
            let number =
                if prng.chance(1, 2) { 100 + prng.below(4) as u32 } else { 500 + prng.below(8) as u32 };
            let mut record = write(&world, number);
            record.opcode = prng.below(11) as u8;
            record.flags = prng.next_u64() as u8;
            record.words[0] = world.qpn(prng.below(3) as usize);
            record.words[3] = 500 + prng.below(8) as u32;
            if prng.chance(1, 4) {
                let place = prng.below(8) as usize;
                record.words[place] = prng.next_u64() as u32 >> prng.below(32);
            }
            record.tail = [prng.next_u64() >> prng.below(64), prng.below(10)];
            world.write(&record.bytes());
            if prng.chance(1, 3) {
                world.turn();
                world.work();
            }
            if prng.chance(1, 20) {
                world.say_consumed(prng.below(8) as u32);
            }
        }
        for _ in 0..4 {
            world.turn();
        }
    }
}

/// Who rings late, for a record that was taken already, rings once for each sleep: it must find a new one next time.
#[test]
fn a_bell_ends_a_sleep() {
    let mut world = World::new();
    for _ in 0..3 {
        world.turn();
    }
    let before = world.asleep();
    assert_eq!(before % 2, 1, "nothing comes");
    world.say(&[4], false);
    world.turn();
    for _ in 0..3 {
        world.turn();
    }
    assert_eq!(world.asleep() % 2, 1);
    assert_ne!(world.asleep(), before);
}
