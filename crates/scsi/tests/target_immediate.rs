//! A command that is done at once is answered to the byte as one that takes the long way. With a data digest none is done at
//! once; so the same is asked with and without.

mod world;

use wire::iscsi::{Bhs, ScsiCommand, TaskAttributeCode};
use world::initiator::{Initiator, cdb};
use world::{World, pattern};

/// Blocks in the middle of the volume.
const LBA: u32 = 64;

/// What is sent in one go: each says how its command differs from a plain one, and brings data if it writes.
type Batch = fn(&mut Initiator) -> Vec<u8>;

/// Asks without and with digests; the answers, by their tags.
fn both_ways(batch: Batch) -> [Vec<(Bhs, Vec<u8>)>; 2] {
    ["", "HeaderDigest=CRC32C DataDigest=CRC32C"].map(|digests| {
        let mut world = World::new();
        let mut initiator = world.log_in(digests);
        let bytes = initiator.test_unit_ready(0xfff0);
        world.exchange(&mut initiator, &bytes);
        let bytes = batch(&mut initiator);
        let answers = world.exchange(&mut initiator, &bytes);
        let mut answers: Vec<_> = answers.into_iter().map(|answer| (answer.bhs, answer.data)).collect();
        answers.sort_by_key(|(bhs, _)| bhs.task_tag.get());
        // They may overtake each other, so that StatSN tells nothing.
        answers.iter_mut().for_each(|(bhs, _)| bhs.words[1] = 0.into());
        answers
    })
}

fn read(initiator: &mut Initiator, tag: u32, expected: u32) -> Vec<u8> {
    let command = initiator.command(tag, &cdb(0x28, LBA, 8), expected, 0);
    initiator.pdu(&command.encode(0), &[])
}

fn write(
    initiator: &mut Initiator,
    tag: u32,
    seed: u8,
    expected: usize,
    change: fn(&mut ScsiCommand),
) -> Vec<u8> {
    let mut command = initiator.command(tag, &cdb(0x2a, LBA, 8), 0, expected as u32);
    change(&mut command);
    initiator.pdu(&command.encode(expected as u32), &pattern(expected, seed))
}

#[test]
fn the_answer_does_not_tell_the_way() {
    let batches: [(&str, Batch); 7] = [
        ("write and read", |one| [write(one, 1, 9, 4096, |_| ()), read(one, 2, 4096)].concat()),
        ("less expected than read", |one| [write(one, 1, 9, 4096, |_| ()), read(one, 2, 1024)].concat()),
        ("more expected than read", |one| [write(one, 1, 9, 4096, |_| ()), read(one, 2, 8192)].concat()),
        ("less brought than written", |one| [write(one, 1, 9, 2048, |_| ()), read(one, 2, 4096)].concat()),
        ("more brought than written", |one| [write(one, 1, 9, 8192, |_| ()), read(one, 2, 4096)].concat()),
        ("past the end", |one| {
            let command = one.command(1, &cdb(0x28, 8190, 8), 4096, 0);
            [one.pdu(&command.encode(0), &[]), read(one, 2, 4096)].concat()
        }),
        ("out of turn", |one| {
            let (first, second) = (one.read_blocks(1, 0, 8), write(one, 2, 9, 4096, |_| ()));
            [second, read(one, 3, 4096), first].concat()
        }),
    ];
    for (what, batch) in batches {
        let [at_once, the_long_way] = both_ways(batch);
        assert!(at_once.len() >= 2, "{what}");
        assert_eq!(at_once, the_long_way, "{what}");
    }
}

#[test]
fn an_ordered_write_does_not_change_what_was_read_before_it() {
    let [at_once, the_long_way] = both_ways(|one| {
        let bytes = [write(one, 1, 9, 4096, |_| ()), read(one, 2, 4096)];
        let ordered = |command: &mut ScsiCommand| command.attribute = TaskAttributeCode::Ordered;
        [bytes.concat(), write(one, 3, 77, 4096, ordered), read(one, 4, 4096)].concat()
    });
    for answers in [at_once, the_long_way] {
        let data: Vec<_> = answers.iter().map(|(_, data)| data).filter(|data| !data.is_empty()).collect();
        assert_eq!(data, [&pattern(4096, 9), &pattern(4096, 77)]);
    }
}
