//! Whatever a host sends, its connection alone ends, nothing stays behind, and memory is bounded: sessions of Linux hosts
//! with bytes changed, left out and repeated. The fuzz target `controller_session` goes further.

mod support;

use nvme::target::Target;
use nvme::target::tcp::Limits;
use proptest::prelude::*;
use stdx::env::Env;
use stdx::prng::Prng;
use support::World;
use support::captures::Pdu;
use support::host::Form;
use support::replay::{captures, subsystem};
use wire::nvme::tcp::Receiver;

/// Spoils a PDU in one of the ways that network, memory and people do.
fn spoil(prng: &mut Prng, bytes: &mut Vec<u8>) {
    let at = prng.below(bytes.len().min(160) as u64) as usize;
    match prng.below(6) {
        0 => bytes[at] ^= 1 << prng.below(8),
        1 => bytes[at] = prng.next_u64() as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, 0),
        4 => bytes.extend_from_within(..at),
        _ => {}
    }
}

fn check(world: &mut World<Target>) {
    world.server.check(&mut world.env, 0);
    world.target.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoiled_sessions_end_clean(capture in 0usize..5, seed: u64) {
        let mut prng = Prng::new(seed);
        let (_, session) = captures().nth(capture).unwrap();
        let mut world = World::nvme(&subsystem(&session[0].pdus), 64 << 11, Limits::default());
        // A bystander that nothing may disturb.
        let plain = Form::default();
        let bystander = world.arrive();
        world.exchange(bystander, &plain, &plain.initialize());
        let streams: Vec<_> = session.iter().map(|_| world.arrive()).collect();
        let sent = |pdu: &&Pdu| pdu.kind().receiver() == Receiver::Controller;
        let all = session.iter().zip(&streams);
        let mut all: Vec<_> =
            all.flat_map(|(connection, stream)| connection.pdus.iter().filter(sent).map(|pdu| (*stream, pdu))).collect();
        all.sort_by_key(|(_, pdu)| pdu.packet);
        for (stream, pdu) in all {
            let mut bytes = pdu.bytes.clone();
            if prng.chance(1, 20) {
                spoil(&mut prng, &mut bytes);
            }
            world.env.deliver(stream, &bytes);
            world.run();
        }
        check(&mut world);
        streams.into_iter().for_each(|stream| world.env.finish(stream));
        world.run();
        check(&mut world);
        prop_assert_eq!(world.server.connections().count(), 1);
        prop_assert_eq!(world.env.mem().buffers_taken(), 0);
        let answers = world.exchange(bystander, &plain, &plain.capsule(&support::read(1, 0, 1), &[]));
        prop_assert_eq!(answers.len(), 1, "it is told to connect first");
    }
}
