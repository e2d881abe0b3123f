//! Sessions with bytes changed, dropped and doubled, cut anywhere, from initiators that stall and vanish: whatever comes, the
//! server's laws hold, and when the streams are gone, so is everything they had.

mod world;

use scsi::iscsi::login;
use scsi::iscsi::target::{Counters, Limits};
use std::time::Duration;
use stdx::env::Env;
use stdx::prng::Prng;
use wire::iscsi::{LogoutReason, RESERVED_TAG, Serial, SnackType};
use world::initiator::Initiator;
use world::{Settings, World, pattern};

/// What an initiator says next, right in itself.
fn say(prng: &mut Prng, initiator: &mut Initiator) -> Vec<u8> {
    let tag = prng.below(8) as u32;
    let len = 512 * prng.between(1, 64) as usize;
    let data = pattern(len, tag as u8);
    // What it says to have heard is right by chance.
    initiator.exp_stat_sn = Serial(prng.below(60) as u32);
    match prng.below(17) {
        14 | 15 => {
            let kinds =
                [SnackType::DataOrR2t, SnackType::Status, SnackType::DataAck, SnackType::ResegmentedData];
            let kind = kinds[prng.below(4) as usize];
            initiator.snack(kind, tag, prng.below(20) as u32, prng.below(4) as u32, prng.below(3) as u32)
        }
        16 => initiator.reassign(200 + tag, tag, prng.below(4) as u32),
        0..=2 => initiator.read_blocks(tag, prng.below(8000) as u32, prng.between(1, 100) as u16),
        3..=5 => {
            let immediate = 512 * prng.below(len as u64 / 512 + 1) as usize;
            initiator.write_blocks(tag, prng.below(8000) as u32, &data, immediate, prng.chance(2, 3))
        }
        6 | 7 => {
            let transfer_tag = if prng.chance(1, 2) { RESERVED_TAG } else { (prng.below(4) as u32) << 16 };
            let offset = 512 * prng.below(16) as u32;
            initiator.data_out(tag, transfer_tag, prng.below(2) as u32, offset, &data, prng.chance(2, 3))
        }
        8 => initiator.ping(tag, &data),
        9 => initiator.text(tag, "SendTargets=\0"),
        10 => initiator.manage(100 + tag, prng.below(14) as u8, tag),
        11 => initiator.test_unit_ready(tag),
        12 if prng.chance(1, 8) => initiator.login("InitialR2T=No"),
        _ if prng.chance(1, 4) => {
            let reasons =
                [LogoutReason::CloseSession, LogoutReason::CloseConnection, LogoutReason::RemoveForRecovery];
            initiator.logout(tag, reasons[prng.below(3) as usize])
        }
        _ => initiator.test_unit_ready(tag),
    }
}

/// Spoils some bytes, or not.
fn spoil(prng: &mut Prng, bytes: &mut Vec<u8>) {
    match prng.below(100) {
        0 => {
            let place = prng.below(bytes.len().min(64) as u64) as usize;
            bytes[place] ^= 1 << prng.below(8);
        }
        1 => bytes.truncate(prng.below(bytes.len() as u64) as usize),
        2 => {
            let mut noise = vec![0; 100];
            prng.fill(&mut noise);
            bytes.extend(noise);
        }
        _ => {}
    }
}

fn connect(prng: &mut Prng, world: &mut World, sessions: &[Initiator], lost: &[Initiator]) -> Initiator {
    let mut initiator = Initiator::new(world.env.arrive());
    initiator.isid.0[5] = prng.below(8) as u8;
    if let Some(of) = lost.last().filter(|_| prng.chance(1, 2)) {
        // It comes back for what it had under way.
        (initiator.isid, initiator.tsih, initiator.cmd_sn) = (of.isid, of.tsih, of.cmd_sn);
        initiator.connection_id = of.connection_id;
    } else if let Some(of) = sessions.first().filter(|_| prng.chance(1, 3)) {
        // Another connection of a session, or what pretends to be one.
        (initiator.isid, initiator.tsih, initiator.cmd_sn) = (of.isid, of.tsih, of.cmd_sn);
        initiator.connection_id = prng.below(3) as u16;
    }
    let digests = prng.chance(1, 4);
    let mut keys = String::new();
    if initiator.tsih == 0 {
        let level = prng.below(3);
        let in_order = if prng.chance(1, 2) { "Yes" } else { "No" };
        keys = format!(
            "MaxConnections=3 InitialR2T=No FirstBurstLength=8192 MaxBurstLength=8192 ErrorRecoveryLevel={level} \
             DataPDUInOrder={in_order} DataSequenceInOrder={in_order}"
        );
    }
    if digests {
        keys.push_str(" HeaderDigest=CRC32C DataDigest=CRC32C");
    }
    let login = initiator.login(&keys);
    initiator.digests = wire::iscsi::Digests { header: digests, data: digests };
    world.env.deliver(initiator.stream, &login);
    world.run();
    if let Some(tsih) = world.env.stream(initiator.stream).sent.get(14..16) {
        initiator.tsih = u16::from_be_bytes([tsih[0], tsih[1]]);
    }
    initiator
}

fn play(seed: u64) -> Counters {
    let mut prng = Prng::new(seed);
    // A small window and few buffers, so that both run out.
    let buffer_bytes = if prng.chance(1, 2) { 11 << 20 } else { 20 << 20 };
    let limits = Limits { solicited_bytes_max: 64 << 10, backlog_max: 16, ..Limits::default() };
    let login = login::Limits {
        max_connections: 4,
        error_recovery_level: 2,
        data_pdu_in_order: false,
        data_sequence_in_order: false,
        ..login::Limits::default()
    };
    let settings = Settings { queue_depth: 8, buffer_bytes, limits, login };
    let mut world = World::with(settings);
    let mut initiators: Vec<Initiator> = Vec::new();
    let mut lost: Vec<Initiator> = Vec::new();
    for _ in 0..120 {
        if initiators.len() < 3 {
            let initiator = connect(&mut prng, &mut world, &initiators, &lost);
            initiators.push(initiator);
        }
        let place = prng.below(initiators.len() as u64) as usize;
        let initiator = &mut initiators[place];
        let stream = initiator.stream;
        if world.env.stream(stream).closed.is_some() {
            lost.push(initiators.swap_remove(place));
            continue;
        }
        world.env.stream(stream).sink = true;
        match prng.below(24) {
            0 => world.env.finish(stream),
            1 => world.env.stream(stream).room = prng.below(5000) as usize,
            2 => world.env.make_room(stream, usize::MAX),
            3 => world.env.advance(Duration::from_secs(prng.below(20))),
            4 => world.env.stream(stream).cut = 1 + prng.below(9000) as usize,
            _ => {
                let mut bytes = say(&mut prng, initiator);
                spoil(&mut prng, &mut bytes);
                world.env.deliver(stream, &bytes);
            }
        }
        world.run();
    }
    for stream in world.env.streams() {
        if world.env.stream(stream).closed.is_none() {
            world.env.make_room(stream, usize::MAX);
            world.env.finish(stream);
        }
    }
    world.run();
    // What is kept for lost connections goes with its time.
    world.env.advance(Duration::from_secs(60));
    world.run();
    assert_eq!((world.server.connections().count(), world.server.sessions().count()), (0, 0), "seed {seed}");
    assert!(world.server.is_drained(), "seed {seed}");
    assert_eq!(world.env.mem().buffers_taken(), 0, "seed {seed}");
    *world.server.counters()
}

#[test]
fn whatever_comes_the_laws_hold() {
    let mut reached = [0; 3];
    for seed in 0..SEEDS {
        let Ok(counters) = std::panic::catch_unwind(|| play(seed)) else { panic!("seed {seed}") };
        let Counters { snacks, connections_lost, reassigned, .. } = counters;
        let these = [snacks, connections_lost, reassigned];
        reached.iter_mut().zip(these).for_each(|(all, these)| *all += these);
    }
    assert!(reached.iter().all(|times| *times > 0), "no such thing ever happened: {reached:?}");
}

/// A second or two of them.
const SEEDS: u64 = 300;
