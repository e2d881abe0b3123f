//! However the stream is cut, and however little the initiator takes at once, the answers are the same bytes.

mod world;

use proptest::prelude::*;
use stdx::env::StreamId;
use stdx::prng::Prng;
use wire::iscsi::{Bhs, LogoutReason, Opcode, RESERVED_TAG};
use world::initiator::Initiator;
use world::{World, pattern};

/// A whole session, in steps that the initiator takes one after the other.
fn steps(initiator: &mut Initiator, digests: bool) -> Vec<Vec<u8>> {
    let digest = if digests { "HeaderDigest=CRC32C DataDigest=CRC32C" } else { "" };
    let login =
        initiator.login(&format!("InitialR2T=No FirstBurstLength=4096 MaxBurstLength=16384 {digest}"));
    initiator.digests = wire::iscsi::Digests { header: digests, data: digests };
    let data = pattern(20 << 10, 3);
    // The tag is that of the only slot that was ever used.
    let asked = |part: u32| part & 0xffff;
    vec![
        login,
        initiator.test_unit_ready(1),
        initiator.write_blocks(2, 8, &pattern(4096, 7), 4096, true),
        initiator.write_blocks(3, 32, &data, 1000, false),
        initiator.data_out(3, RESERVED_TAG, 0, 1000, &data[1000..4096], true),
        initiator.data_out(3, asked(0), 0, 4096, &data[4096..10_001], false),
        initiator.data_out(3, asked(0), 1, 10_001, &data[10_001..], true),
        initiator.read_blocks(4, 32, 40),
        initiator.ping(5, b"how are you?"),
        initiator.read_blocks(6, 0, 1),
        initiator.text(7, "SendTargets=\0"),
        initiator.logout(8, LogoutReason::CloseSession),
    ]
}

/// Plays the session with a cutter; gives all that was answered.
fn play(digests: bool, mut deliver: impl FnMut(&mut World, StreamId, &[u8])) -> Vec<u8> {
    let mut world = World::new();
    let mut initiator = world.arrive();
    let stream = initiator.stream;
    for step in steps(&mut initiator, digests) {
        deliver(&mut world, stream, &step);
    }
    world.env.make_room(stream, usize::MAX);
    world.run();
    assert_eq!((world.server.connections().count(), world.server.sessions().count()), (0, 0));
    std::mem::take(&mut world.env.stream(stream).sent)
}

fn at_once(digests: bool) -> Vec<u8> {
    play(digests, |world, stream, bytes| {
        world.env.deliver(stream, bytes);
        world.run();
    })
}

#[test]
fn the_session_does_what_it_should() {
    let sent = at_once(false);
    let mut initiator = World::new().arrive();
    initiator.digests = wire::iscsi::Digests::default();
    let opcodes: Vec<Opcode> = initiator.read(&sent).iter().map(|answer| answer.opcode()).collect();
    let expected = [
        Opcode::LoginResponse,
        Opcode::ScsiResponse,
        Opcode::ScsiResponse,
        Opcode::R2t,
        Opcode::ScsiResponse,
    ];
    assert_eq!(opcodes[..5], expected);
    assert_eq!(opcodes.last(), Some(&Opcode::LogoutResponse));
    assert!(opcodes.iter().all(|opcode| *opcode != Opcode::Reject));
    assert!(Bhs::view(&sent).is_ok());
}

#[test]
fn byte_by_byte() {
    for digests in [false, true] {
        let cut = play(digests, |world, stream, bytes| {
            for byte in bytes {
                world.env.deliver(stream, &[*byte]);
                world.run();
            }
        });
        assert!(cut == at_once(digests));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn wherever_it_is_cut(seed: u64, digests: bool) {
        let mut prng = Prng::new(seed);
        let cut = play(digests, |world, stream, bytes| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(1 + prng.below(rest.len() as u64) as usize);
                rest = left;
                world.env.stream(stream).cut = 1 + prng.below(9000) as usize;
                world.env.deliver(stream, piece);
                world.run();
                let room = prng.below(9000) as usize;
                world.env.make_room(stream, room);
                world.run();
            }
            world.env.make_room(stream, 1 << 20);
            world.run();
        });
        prop_assert!(cut == at_once(digests));
    }
}
