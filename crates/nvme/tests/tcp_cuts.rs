//! However the stream is cut, and however little the other side takes at once, the answers are the same bytes.

mod support;

use proptest::prelude::*;
use stdx::env::StreamId;
use stdx::prng::Prng;
use support::host::Form;
use support::{World, long_write, pattern, read, write};
use wire::nvme::tcp::{DataAlignment, Digests, H2cData};

/// A whole session on two queues, in steps that the host takes one after the other: initialization, Connect, writes of
/// both kinds, reads, and at its end what ends it.
fn sessions(form: &Form) -> [Vec<Vec<u8>>; 2] {
    let admin = vec![form.initialize(), form.connect(0, 0xffff, 32, true)];
    let data = pattern(32 << 10, 3);
    // The tag is that of the only slot that was ever used.
    let first = H2cData { command_id: 2, transfer_tag: 0, offset: 0, length: 20_000, last: false };
    let second = H2cData { offset: 20_000, length: (32 << 10) - 20_000, last: true, ..first };
    let work = vec![
        form.initialize(),
        form.connect(1, 1, 128, true),
        form.capsule(&write(1, 8, 8), &pattern(4096, 7)),
        form.capsule(&long_write(2, 32, 64), &[]),
        form.capsule(&read(3, 8, 8), &[]),
        form.data(&first, &data[..20_000]),
        form.capsule(&write(4, 16, 1), &pattern(512, 1)),
        form.data(&second, &data[20_000..]),
        form.capsule(&read(5, 32, 64), &[]),
        vec![0x0b; 64],
    ];
    [admin, work]
}

/// Plays the session with a cutter; gives all that was answered on both queues.
fn play(form: &Form, mut deliver: impl FnMut(&mut World, StreamId, &[u8])) -> [Vec<u8>; 2] {
    let mut world = World::new();
    let played = sessions(form).map(|steps| {
        let stream = world.arrive();
        for step in steps {
            deliver(&mut world, stream, &step);
        }
        world.env.make_room(stream, usize::MAX);
        world.run();
        stream
    });
    let answers = played.map(|stream| std::mem::take(&mut world.env.stream(stream).sent));
    for stream in played {
        world.env.finish(stream);
    }
    world.run();
    assert_eq!(world.server.connections().count(), 0);
    answers
}

fn at_once(form: &Form) -> [Vec<u8>; 2] {
    play(form, |world, stream, bytes| {
        world.env.deliver(stream, bytes);
        world.run();
    })
}

fn form(digests: u8, alignment: u8) -> Form {
    Form {
        digests: Digests { header: digests & 1 != 0, data: digests & 2 != 0 },
        alignment: DataAlignment::from_code(alignment).unwrap(),
    }
}

#[test]
fn byte_by_byte_is_as_at_once() {
    for digests in 0..4 {
        let form = form(digests, 0);
        let expected = at_once(&form);
        let answers = form.answers(&expected[1]);
        assert_eq!(answers.len(), 11, "{answers:?}");
        let bytewise = play(&form, |world, stream, bytes| {
            for byte in bytes {
                world.env.deliver(stream, &[*byte]);
                world.run();
            }
        });
        assert!(bytewise == expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_is_as_at_once(digests in 0u8..4, alignment in 0u8..32, seed: u64) {
        let form = form(digests, alignment);
        let expected = at_once(&form);
        let mut prng = Prng::new(seed);
        let cut = play(&form, |world, stream, mut bytes| {
            while !bytes.is_empty() {
                let len = 1 + prng.below(6000) as usize;
                let (now, later) = bytes.split_at(len.min(bytes.len()));
                world.env.stream(stream).cut = 1 + prng.below(5000) as usize;
                world.env.make_room(stream, prng.below(3000) as usize);
                world.env.deliver(stream, now);
                world.run();
                bytes = later;
            }
        });
        prop_assert!(cut == expected);
    }
}
