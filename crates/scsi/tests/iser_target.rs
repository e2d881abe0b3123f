//! iSER as a target: sessions over a loopback device, with an initiator that is played by hand.

mod world;

use stdx::env::Env;
use verbs::Provider;
use wire::iscsi::{
    LoginResponse, LoginStatus, LogoutReason, LogoutResponse, LogoutResult, NopIn, Opcode, RESERVED_TAG,
    ScsiCommand, Stage, TaskResponse, TaskResult,
};
use wire::iser::{Advertised, Header};
use world::initiator::cdb;
use world::rdma::{BASE, KEYS, LINUX, MEMORY, PLAIN, RdmaWorld, initiator};
use world::{INITIATOR, Settings, pattern};

fn write(memory: Advertised) -> Header {
    Header { write: Some(memory), read: None }
}

fn read(memory: Advertised) -> Header {
    Header { read: Some(memory), write: None }
}

fn login(world: &mut RdmaWorld, keys: &str) -> (LoginStatus, String) {
    let (connection, _) = world.connect(LINUX);
    let bytes = initiator(9).login(keys);
    let told = world.exchange(connection, Header::default(), &bytes);
    let response = LoginResponse::decode(&told[0].answer.bhs).unwrap();
    (response.status, String::from_utf8(told[0].answer.data.clone()).unwrap())
}

#[test]
fn ends_say_what_they_cannot_do() {
    let mut world = RdmaWorld::new();
    assert_eq!(world.connect(LINUX).1, LINUX);
    assert_eq!(world.connect(PLAIN).1, PLAIN);
}

#[test]
fn a_login_agrees_on_rdma_and_on_nothing_it_has_no_use_for() {
    let mut world = RdmaWorld::new();
    let (status, text) = login(&mut world, KEYS);
    assert_eq!(status, LoginStatus::Success);
    let says = |pair: &str| text.split('\0').any(|said| said == pair);
    assert!(says("RDMAExtensions=Yes") && says("TargetRecvDataSegmentLength=8192"), "{text}");
    assert!(says("InitiatorRecvDataSegmentLength=262144") && says("FirstBurstLength=8192"), "{text}");
    for key in ["MaxRecvDataSegmentLength", "MaxOutstandingUnexpectedPDUs", "HeaderDigest"] {
        assert!(!text.contains(key), "{text}");
    }
    // Who tells how many messages it takes knows what it means to be told.
    let (_, text) = login(&mut world, &format!("{KEYS} MaxOutstandingUnexpectedPDUs=8"));
    assert!(text.contains("MaxOutstandingUnexpectedPDUs=32\0"), "{text}");
    let sessions: Vec<_> = world.world.server.sessions().collect();
    assert_eq!(sessions.len(), 1, "the second took the place of the first");
    assert_eq!(sessions[0].parameters.max_recv_data_segment_len, 8192);
    assert!(sessions[0].parameters.rdma_extensions);
}

#[test]
fn without_the_extensions_there_is_no_session() {
    let mut world = RdmaWorld::new();
    assert_eq!(login(&mut world, &KEYS.replace("RDMAExtensions=Yes", "")).0, LoginStatus::InitiatorError);
    assert_eq!(
        login(&mut world, &KEYS.replace("RDMAExtensions=Yes", "RDMAExtensions=No")).0,
        LoginStatus::InitiatorError
    );
    assert_eq!(world.world.server.sessions().count(), 0);
    // And on a stream there are none.
    assert!(world.log_in_by_stream().logged_in);
    assert!(!world.world.server.sessions().next().unwrap().parameters.rdma_extensions);
}

#[test]
fn data_moves_in_every_way() {
    let mut world = RdmaWorld::new();
    let (connection, mut host) = world.ready(1);
    // All in the command's own message.
    let small = pattern(4096, 1);
    let bytes = host.write_blocks(1, 0, &small, 4096, true);
    assert_eq!(world.status(connection, Header::default(), &bytes), 0);
    // Part of it there, and the memory begins with the rest.
    let (large, memory) = (pattern(48 << 10, 2), world.at(512));
    world.fill(512, &large[8192..]);
    let bytes = host.write_blocks(2, 8, &large, 8192, true);
    assert_eq!(world.status(connection, write(memory), &bytes), 0);
    // All of it from there.
    let other = pattern(256 << 10, 3);
    world.fill(0, &other);
    let (bytes, memory) = (host.write_blocks(3, 1024, &other, 0, true), world.at(0));
    assert_eq!(world.status(connection, write(memory), &bytes), 0);
    for (lba, expected) in [(0, &small), (8, &large), (1024, &other)] {
        let blocks = (expected.len() / 512) as u16;
        world.fill(0, &vec![0; expected.len() + 1024]);
        let (bytes, memory) = (host.read_blocks(4, lba, blocks), world.at(1024));
        assert_eq!(world.status(connection, read(memory), &bytes), 0);
        assert_eq!(&world.bytes(1024, expected.len()), expected);
        assert_eq!(world.bytes(0, 1024), [0; 1024], "and nothing before it");
    }
    assert_eq!(world.world.server.connections().count(), 1);
}

#[test]
fn more_may_come_along_than_a_command_wants() {
    let mut world = RdmaWorld::new();
    let (connection, mut host) = world.ready(1);
    let data = pattern(5 * 512, 4);
    let two_blocks = host.command(1, &cdb(0x2a, 0, 2), 0, data.len() as u32);
    let bytes = host.pdu(&two_blocks.encode(data.len() as u32), &data);
    assert_eq!(world.status(connection, Header::default(), &bytes), 0);
    let (bytes, memory) = (host.read_blocks(2, 0, 5), world.at(0));
    assert_eq!(world.status(connection, read(memory), &bytes), 0);
    assert_eq!(world.bytes(0, 1024), data[..1024]);
    assert_eq!(world.bytes(1024, 3 * 512), [0; 3 * 512]);
}

#[test]
fn unsolicited_data_comes_in_messages_of_its_own() {
    let mut world = RdmaWorld::new();
    let (connection, mut host) = world.ready(1);
    let data = pattern(16 << 10, 7);
    let command = host.write_blocks(1, 0, &data, 2048, false);
    let memory = world.at(0);
    world.fill(0, &data[8192..]);
    world.send(connection, write(memory), &command);
    let first = host.data_out(1, RESERVED_TAG, 0, 2048, &data[2048..4096], false);
    world.send(connection, Header::default(), &first);
    let second = host.data_out(1, RESERVED_TAG, 1, 4096, &data[4096..8192], true);
    assert_eq!(world.status(connection, Header::default(), &second), 0);
    let bytes = host.read_blocks(2, 0, 32);
    assert_eq!(world.status(connection, read(memory), &bytes), 0);
    assert_eq!(world.bytes(0, data.len()), data);
}

#[test]
fn unsolicited_data_that_ends_early_leaves_the_rest_to_memory() {
    let mut world = RdmaWorld::new();
    let data = pattern(8192, 7);
    world.fill(0, &data[2048..]);
    for header in [Header::default(), write(world.at(0))] {
        let (connection, mut host) = world.ready(1);
        let command = host.write_blocks(1, 0, &data, 0, false);
        world.send(connection, header, &command);
        let first = host.data_out(1, RESERVED_TAG, 0, 0, &data[..2048], true);
        world.send(connection, Header::default(), &first);
        world.run();
        assert_eq!(world.is_alive(connection), header.write.is_some());
        let expected = if header.write.is_some() { Opcode::ScsiResponse } else { Opcode::Reject };
        assert_eq!(world.told(connection)[0].answer.opcode(), expected);
        assert_eq!(world.world.env.mem().buffers_taken(), 0);
    }
}

#[test]
fn memory_for_all_of_a_write_is_read_from_where_the_rest_is() {
    let mut world = RdmaWorld::new();
    let (connection, _) = world.connect(PLAIN);
    let mut host = initiator(1);
    let login = host.login(&format!("{KEYS} TaggedBufferForSolicitedDataOnly=No"));
    let told = world.exchange(connection, Header::default(), &login);
    let text = String::from_utf8_lossy(&told[0].answer.data).into_owned();
    assert!(!text.contains("TaggedBuffer"), "it is declared, and not negotiated: {text}");
    let answers: Vec<_> = told.into_iter().map(|told| told.answer).collect();
    host.take_login(&answers);
    world.status(connection, Header::default(), &host.test_unit_ready(9));
    let (data, memory) = (pattern(48 << 10, 2), world.at(512));
    world.fill(512, &data);
    let bytes = host.write_blocks(2, 8, &data, 8192, true);
    assert_eq!(world.status(connection, write(memory), &bytes), 0);
    world.fill(512, &vec![0; data.len()]);
    let bytes = host.read_blocks(4, 8, 96);
    assert_eq!(world.status(connection, read(memory), &bytes), 0);
    assert!(world.bytes(512, data.len()) == data);
    // Yes or no, and once.
    let login = initiator(2).login(&format!("{KEYS} TaggedBufferForSolicitedDataOnly=8"));
    let (connection, _) = world.connect(LINUX);
    let told = world.exchange(connection, Header::default(), &login);
    assert_ne!(LoginResponse::decode(&told[0].answer.bhs).unwrap().status, LoginStatus::Success);
}

#[test]
fn answers_close_the_memory_of_their_commands() {
    let mut world = RdmaWorld::new();
    let (connection, mut host) = world.log_in_as(1, LINUX);
    let bytes = host.test_unit_ready(1);
    assert_eq!(world.exchange(connection, Header::default(), &bytes).len(), 1);
    for (life, is_read) in [(1, true), (2, false)] {
        let key = world.alloc(connection, life, 4096);
        let memory = Advertised { key: key.0, offset: BASE };
        let (header, bytes) = match is_read {
            true => (read(memory), host.read_blocks(1, 0, 8)),
            false => (write(memory), host.write_blocks(1, 0, &pattern(4096, 1), 0, true)),
        };
        let told = world.exchange(connection, header, &bytes);
        assert_eq!(told[0].invalidated, Some(key));
        assert_eq!(told.len(), 1);
    }
    // Not for who said that it does not take that.
    let (connection, mut host) = world.ready(2);
    let (bytes, memory) = (host.read_blocks(1, 0, 8), world.at(0));
    assert_eq!(world.exchange(connection, read(memory), &bytes)[0].invalidated, None);
}

#[test]
fn what_must_not_be_sent_ends_its_own_connection() {
    let mut world = RdmaWorld::new();
    let (good, mut neighbour) = world.ready(1);
    let memory = world.at(0);
    let beyond = world.at(MEMORY as u64 / 2 - 512);
    let zero = Advertised { key: 0, offset: 0 };
    for case in 0..9 {
        let (connection, mut host) = world.ready(2);
        let command = match case {
            3 | 6 => host.write_blocks(1, 0, &[0; 4096], 0, true),
            8 => host.ping(1, &[7; 64])[..100].to_vec(),
            _ => host.read_blocks(1, 0, 8),
        };
        let message = match case {
            0 => vec![0x10; 75],
            1 => [&[0x20; 28][..], &command].concat(),
            2 | 3 | 8 => [&Header::default().encode()[..], &command].concat(),
            4 => [&read(zero).encode()[..], &command].concat(),
            5 => [&read(beyond).encode()[..], &command].concat(),
            6 => [&write(beyond).encode()[..], &command].concat(),
            // More than one PDU.
            _ => [&read(memory).encode()[..], &command, &command].concat(),
        };
        world.send_bytes(connection, &message);
        world.run();
        world.happened.clear();
        assert!(!world.is_alive(connection), "case {case}");
        assert!(world.is_alive(good), "case {case}");
    }
    let bytes = neighbour.read_blocks(1, 0, 8);
    assert_eq!(world.status(good, read(memory), &bytes), 0);
    assert_eq!(world.world.server.sessions().count(), 1);
}

#[test]
fn data_for_a_write_whose_memory_is_read_ends_its_connection() {
    let mut world = RdmaWorld::new();
    let (good, mut neighbour) = world.ready(1);
    let memory = world.at(0);
    let data = pattern(4096, 3);
    // Before the memory is read, and while it is.
    for turns in 0..4 {
        let (connection, mut host) = world.ready(2);
        let command = host.write_blocks(1, 0, &data, 0, true);
        world.send(connection, write(memory), &command);
        for _ in 0..turns {
            world.device.turn(&mut world.world.env);
            world.turn();
        }
        let unasked = host.data_out(1, 0, 0, 0, &data, true);
        world.send(connection, Header::default(), &unasked);
        world.run();
        world.happened.clear();
        assert!(!world.is_alive(connection), "after {turns} turns");
        assert!(world.is_alive(good), "after {turns} turns");
        assert_eq!(world.world.env.mem().buffers_taken(), 0, "after {turns} turns");
    }
    let bytes = neighbour.read_blocks(1, 0, 8);
    assert_eq!(world.status(good, read(memory), &bytes), 0);
}

#[test]
fn a_command_both_ways_advertises_memory_for_what_it_reads() {
    let mut world = RdmaWorld::new();
    let memory = world.at(0);
    for header in [Header::default(), read(memory)] {
        let (connection, mut host) = world.ready(2);
        let command = ScsiCommand { write: true, ..host.command(1, &cdb(0x28, 0, 8), 4096, 0) };
        let mut bhs = ScsiCommand { expected_length: 0, ..command }.encode(0);
        // Section 11.2.2.4 of RFC 7143: Expected Bidirectional Read Data Length.
        bhs.ahs_words = 2;
        let bytes = [bhs.bytes(), &[0, 5, 2, 0, 0, 0, 0x10, 0]].concat();
        world.send(connection, header, &bytes);
        world.run();
        assert_eq!(world.is_alive(connection), header.read.is_some());
        world.happened.clear();
        assert_eq!(world.world.env.mem().buffers_taken(), 0);
    }
}

#[test]
fn discovery_tells_of_targets() {
    let mut world = RdmaWorld::new();
    let (connection, _) = world.connect(LINUX);
    let mut host = initiator(1);
    let keys = format!("InitiatorName={INITIATOR} SessionType=Discovery MaxRecvDataSegmentLength=8192");
    let bytes = host.login_with(&keys, Stage::Operational, Stage::FullFeature);
    let told = world.exchange(connection, Header::default(), &bytes);
    host.take_login(&[told[0].answer.clone()]);
    let bytes = host.text(1, "SendTargets=All\0");
    let told = world.exchange(connection, Header::default(), &bytes);
    let text = "TargetName=iqn.2026-01.io.weft:disk\0TargetAddress=10.0.0.1:3260,1\0";
    assert_eq!(told[0].answer.data, text.as_bytes());
    let bytes = host.logout(2, LogoutReason::CloseSession);
    let told = world.exchange(connection, Header::default(), &bytes);
    assert_eq!(LogoutResponse::decode(&told[0].answer.bhs).unwrap().result, LogoutResult::Closed);
    assert!(!world.is_alive(connection) && world.transport.is_drained());
}

#[test]
fn pings_go_both_ways() {
    let mut world = RdmaWorld::new();
    let (connection, mut host) = world.ready(1);
    let bytes = host.ping(9, b"hello");
    let told = world.exchange(connection, Header::default(), &bytes);
    assert_eq!((told.len(), &told[0].answer.data[..]), (1, &b"hello"[..]));
    let interval = world.world.server.limits().heartbeat_interval;
    for expected in [0, 1, 0] {
        world.world.env.advance(interval);
        world.run();
        let told = world.told(connection);
        assert_eq!(told.len(), expected);
        assert!(told.iter().all(|told| NopIn::decode(&told.answer.bhs).unwrap().task_tag == RESERVED_TAG));
    }
    assert!(world.is_alive(connection));
    world.world.env.advance(interval);
    world.run();
    assert!(!world.is_alive(connection));
}

#[test]
fn a_session_of_the_same_name_takes_the_place_of_one_on_a_stream() {
    let mut world = RdmaWorld::new();
    let old = world.log_in_by_stream();
    let (connection, mut host) = world.log_in(old.isid.0[5]);
    assert!(world.world.is_closed(&old));
    assert_eq!(world.world.server.counters().reinstated, 1);
    let bytes = host.test_unit_ready(1);
    assert_eq!(world.exchange(connection, Header::default(), &bytes).len(), 1);
    // And the other way round.
    world.log_in_by_stream();
    assert!(!world.is_alive(connection));
}

#[test]
fn writes_wait_for_buffers_and_none_is_lost() {
    let settings = Settings { buffer_bytes: 2 << 20, ..Settings::default() };
    let mut world = RdmaWorld::with(settings, scsi::iscsi::target::iser::Limits::default());
    let (connection, mut host) = world.ready(1);
    let data = pattern(256 << 10, 5);
    world.fill(0, &data);
    let memory = world.at(0);
    for tag in 0..24 {
        let bytes = host.write_blocks(tag, tag * 128, &data, 0, true);
        world.send(connection, write(memory), &bytes);
    }
    world.run();
    let told = world.told(connection);
    assert_eq!(told.len(), 24);
    assert!(told.iter().all(|told| told.answer.opcode() == Opcode::ScsiResponse));
    assert_eq!(world.world.env.mem().buffers_taken(), 0);
}

#[test]
fn more_messages_than_may_wait_end_their_connection() {
    const ANSWERS: usize = 4;
    const QUEUED: usize = 3;
    let limits = scsi::iscsi::target::Limits { backlog_max: ANSWERS, ..Default::default() };
    let settings = Settings { limits, ..Settings::default() };
    let transport = scsi::iscsi::target::iser::Limits { queued_max: QUEUED, ..Default::default() };
    let mut world = RdmaWorld::with(settings, transport);
    let (good, mut neighbour) = world.ready(1);
    // So many are taken, the next is held, and more wait behind it.
    let most = ANSWERS + 1 + QUEUED;
    for count in [most, most + 1] {
        let (connection, mut host) = world.ready(2);
        for tag in 0..count as u32 {
            let bytes = host.ping(tag, &[]);
            world.send(connection, Header::default(), &bytes);
        }
        world.run();
        assert_eq!(world.is_alive(connection), count == most, "{count} messages");
        if count == most {
            assert_eq!(world.told(connection).len(), most);
        }
        world.happened.clear();
    }
    let bytes = neighbour.test_unit_ready(1);
    assert_eq!(world.status(good, Header::default(), &bytes), 0);
}

#[test]
fn a_task_that_is_not_there_is_told() {
    let mut world = RdmaWorld::new();
    let (connection, host) = world.ready(1);
    let bytes = host.manage(5, 1, 77);
    let told = world.exchange(connection, Header::default(), &bytes);
    assert_eq!(TaskResponse::decode(&told[0].answer.bhs).unwrap().result, TaskResult::NoSuchTask);
}
