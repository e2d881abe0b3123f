//! Sessions as they should be: logins, data in every way it can move, several connections, reinstatement, logout.

mod world;

use scsi::iscsi::target::Limits;
use wire::iscsi::{
    DataIn, LoginResponse, LoginStatus, LogoutReason, LogoutResponse, LogoutResult, NopIn, Opcode, R2t,
    RESERVED_TAG, ScsiResponse, Serial, Stage, TaskResponse, TaskResult,
};
use world::initiator::{Answer, Initiator};
use world::{INITIATOR, Settings, World, pattern};

/// The first command of a nexus hears of its power on.
fn settle(world: &mut World, initiator: &mut Initiator) {
    let bytes = initiator.test_unit_ready(0xfff0);
    let answers = world.exchange(initiator, &bytes);
    assert_eq!(status(&answers), 2, "a unit attention");
    assert_eq!(answers[0].data[4] & 0xf, 6, "a unit attention");
}

fn status(answers: &[Answer]) -> u8 {
    let [answer] = answers else { panic!("{answers:?}") };
    assert_eq!(answer.opcode(), Opcode::ScsiResponse);
    ScsiResponse::decode(&answer.bhs).unwrap().status
}

fn ready(world: &mut World, keys: &str) -> Initiator {
    let mut initiator = world.log_in(keys);
    settle(world, &mut initiator);
    initiator
}

/// Reads blocks; the data of all PDUs, which must follow each other.
fn read(world: &mut World, initiator: &mut Initiator, lba: u32, blocks: u16) -> (Vec<u8>, usize) {
    let bytes = initiator.read_blocks(0x77, lba, blocks);
    let answers = world.exchange(initiator, &bytes);
    let mut data = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        let header = DataIn::decode(&answer.bhs).unwrap();
        assert_eq!((header.data_sn, header.offset), (Serial(number as u32), data.len() as u32));
        data.extend(&answer.data);
        let last = number + 1 == answers.len();
        assert_eq!(header.status.map(|status| status.status), last.then_some(0));
    }
    (data, answers.len())
}

#[test]
fn data_moves_in_every_way() {
    for digests in ["", "HeaderDigest=CRC32C DataDigest=CRC32C"] {
        let mut world = World::new();
        let keys = "InitialR2T=No ImmediateData=Yes FirstBurstLength=8192 MaxBurstLength=16384 \
                    MaxOutstandingR2T=2 MaxRecvDataSegmentLength=4096";
        let mut initiator = ready(&mut world, &format!("{keys} {digests}"));
        // All in its own PDU; part there and part unsolicited; then asked for, two bursts and a rest.
        let small = pattern(1024, 1);
        let bytes = initiator.write_blocks(1, 0, &small, 1024, true);
        assert_eq!(status(&world.exchange(&mut initiator, &bytes)), 0);
        let large = pattern(48 << 10, 2);
        let mut bytes = initiator.write_blocks(2, 8, &large, 2048, false);
        bytes.extend(initiator.data_out(2, RESERVED_TAG, 0, 2048, &large[2048..4096], false));
        bytes.extend(initiator.data_out(2, RESERVED_TAG, 1, 4096, &large[4096..8192], true));
        let mut answers = world.exchange(&mut initiator, &bytes);
        let mut number = 0;
        while let Some(answer) = answers.iter().find(|answer| answer.opcode() == Opcode::R2t).cloned() {
            assert!(answers.len() <= 2, "two at once were agreed on");
            let request = R2t::decode(&answer.bhs).unwrap();
            assert_eq!((request.r2t_sn, request.task_tag), (Serial(number), 2));
            let (start, end) = (request.offset as usize, (request.offset + request.length) as usize);
            assert!(end - start <= 16384);
            let half = start + (end - start) / 2;
            let mut bytes =
                initiator.data_out(2, request.transfer_tag, 0, start as u32, &large[start..half], false);
            bytes.extend(initiator.data_out(
                2,
                request.transfer_tag,
                1,
                half as u32,
                &large[half..end],
                true,
            ));
            let rest = answers.split_off(1);
            answers = [rest, world.exchange(&mut initiator, &bytes)].concat();
            number += 1;
        }
        assert_eq!((number, status(&answers)), (3, 0));
        assert_eq!(read(&mut world, &mut initiator, 0, 2).0, small);
        let (data, pdus) = read(&mut world, &mut initiator, 8, 96);
        assert_eq!(data, large);
        assert_eq!(pdus, 12, "as long as the initiator takes");
    }
}

#[test]
fn commands_wait_for_those_before_them() {
    let mut world = World::new();
    let mut first = ready(&mut world, "MaxConnections=2");
    let mut second = world.arrive();
    (second.isid, second.tsih, second.connection_id, second.cmd_sn) =
        (first.isid, first.tsih, 2, first.cmd_sn);
    world.log_in_as(&mut second, "");
    assert_eq!(world.server.sessions().map(|session| session.connections).collect::<Vec<_>>(), [2]);
    let earlier = first.test_unit_ready(1);
    second.cmd_sn = first.cmd_sn;
    let data = pattern(1024, 9);
    let later = second.write_blocks(2, 4, &data, 1024, true);
    let ping = second.ping(3, b"after that");
    assert_eq!(world.exchange(&mut second, &[later, ping].concat()), [], "their turn has not come");
    assert_eq!(status(&world.exchange(&mut first, &earlier)), 0);
    let answers = world.answers(&mut second);
    let opcodes: Vec<Opcode> = answers.iter().map(Answer::opcode).collect();
    assert!(opcodes.contains(&Opcode::ScsiResponse) && opcodes.contains(&Opcode::NopIn), "{opcodes:?}");
    first.cmd_sn = second.cmd_sn;
    assert_eq!(read(&mut world, &mut first, 4, 2).0, data);
    // One connection logs out; the session lives on with the other.
    second.cmd_sn = first.cmd_sn;
    let bytes = second.logout(4, LogoutReason::CloseConnection);
    let answers = world.exchange(&mut second, &bytes);
    assert_eq!(LogoutResponse::decode(&answers[0].bhs).unwrap().result, LogoutResult::Closed);
    assert!(world.is_closed(&second) && !world.is_closed(&first));
    first.cmd_sn = second.cmd_sn;
    assert_eq!(read(&mut world, &mut first, 4, 2).0, data);
}

#[test]
fn a_session_of_the_same_name_takes_the_place_of_the_first() {
    let mut world = World::new();
    let mut old = ready(&mut world, "");
    let data = pattern(4096, 0);
    let bytes = old.write_blocks(1, 0, &data, 0, true);
    assert_eq!(world.exchange(&mut old, &bytes)[0].opcode(), Opcode::R2t);
    let mut new = ready(&mut world, "");
    assert!(world.is_closed(&old));
    assert_eq!((world.server.counters().reinstated, world.server.sessions().count()), (1, 1));
    let bytes = new.test_unit_ready(1);
    assert_eq!(status(&world.exchange(&mut new, &bytes)), 0);
}

#[test]
fn pings_are_answered_with_their_own_data_and_silence_with_pings() {
    let mut world = World::new();
    let mut initiator = ready(&mut world, "");
    let bytes = initiator.ping(9, b"hello");
    let answers = world.exchange(&mut initiator, &bytes);
    assert_eq!((answers.len(), &answers[0].data[..]), (1, &b"hello"[..]));
    let interval = world.server.limits().heartbeat_interval;
    // The first look finds that something came; the second asks; the fourth gives up.
    for expected in [0, 1, 0] {
        world.env.advance(interval);
        world.run();
        let answers = world.answers(&mut initiator);
        assert_eq!(answers.len(), expected);
        assert!(answers.iter().all(|answer| NopIn::decode(&answer.bhs).unwrap().task_tag == RESERVED_TAG));
    }
    assert!(!world.is_closed(&initiator));
    world.env.advance(interval);
    world.run();
    assert!(world.is_closed(&initiator));
    assert_eq!(world.server.counters().heartbeats_missed, 1);
}

#[test]
fn discovery_tells_of_targets_and_takes_no_commands() {
    let mut world = World::new();
    let mut initiator = world.arrive();
    let keys = format!("InitiatorName={INITIATOR} SessionType=Discovery");
    let bytes = initiator.login_with(&keys, Stage::Operational, Stage::FullFeature);
    let answers = world.exchange(&mut initiator, &bytes);
    initiator.take_login(&answers);
    let bytes = initiator.text(1, "SendTargets=All\0");
    let answers = world.exchange(&mut initiator, &bytes);
    let text = "TargetName=iqn.2026-01.io.weft:disk\0TargetAddress=10.0.0.1:3260,1\0";
    assert_eq!(String::from_utf8_lossy(&answers[0].data), text);
    let bytes = initiator.test_unit_ready(2);
    assert_eq!(world.exchange(&mut initiator, &bytes)[0].opcode(), Opcode::Reject);
    let bytes = initiator.logout(3, LogoutReason::CloseSession);
    assert_eq!(world.exchange(&mut initiator, &bytes)[0].opcode(), Opcode::LogoutResponse);
    assert!(world.is_closed(&initiator) && world.server.sessions().count() == 0);
}

#[test]
fn tasks_are_aborted_while_their_data_is_awaited() {
    let mut world = World::new();
    let mut initiator = ready(&mut world, "");
    let data = pattern(4096, 0);
    let bytes = initiator.write_blocks(7, 0, &data, 0, true);
    let answers = world.exchange(&mut initiator, &bytes);
    let request = R2t::decode(&answers[0].bhs).unwrap();
    let result = |answers: &[Answer]| {
        let [answer] = answers else { panic!("{answers:?}") };
        TaskResponse::decode(&answer.bhs).unwrap().result
    };
    let bytes = initiator.manage(8, 1, 7);
    assert_eq!(result(&world.exchange(&mut initiator, &bytes)), TaskResult::Complete);
    // What was on its way is dropped.
    let bytes = initiator.data_out(7, request.transfer_tag, 0, 0, &data, true);
    assert_eq!(world.exchange(&mut initiator, &bytes), []);
    let bytes = initiator.manage(9, 1, 7);
    assert_eq!(result(&world.exchange(&mut initiator, &bytes)), TaskResult::NoSuchTask);
    let bytes = initiator.manage(10, 99, 7);
    assert_eq!(result(&world.exchange(&mut initiator, &bytes)), TaskResult::NotSupported);
    let bytes = initiator.manage(11, 5, 0);
    assert_eq!(result(&world.exchange(&mut initiator, &bytes)), TaskResult::Complete);
}

#[test]
fn targets_that_are_not_there_are_not_found() {
    let mut world = World::new();
    let mut initiator = world.arrive();
    let keys = format!("InitiatorName={INITIATOR} TargetName=iqn.2026-01.io.weft:other");
    let bytes = initiator.login_with(&keys, Stage::Operational, Stage::FullFeature);
    let answers = world.exchange(&mut initiator, &bytes);
    assert_eq!(LoginResponse::decode(&answers[0].bhs).unwrap().status, LoginStatus::NotFound);
    assert!(world.is_closed(&initiator));
}

/// A write that finds the buffers for what initiators still have to send taken waits for them; one that came after it and
/// has its buffer does not wait behind it, for that buffer is what the first waits for.
#[test]
fn what_has_its_buffer_goes_past_what_waits_for_it() {
    let limits = Limits { solicited_bytes_max: 16 << 10, ..Limits::default() };
    let mut world = World::with(Settings { limits, ..Settings::default() });
    let mut initiator = ready(&mut world, "InitialR2T=Yes ImmediateData=Yes");
    let writes = [(1, 8 << 10, 0), (2, 28 << 10, 512), (3, 4 << 10, 512)];
    let bytes: Vec<u8> = writes
        .iter()
        .flat_map(|&(tag, len, immediate)| {
            initiator.write_blocks(tag, tag * 64, &pattern(len, tag as u8), immediate, true)
        })
        .collect();
    let mut answers = world.exchange(&mut initiator, &bytes);
    let mut order = Vec::new();
    while let Some(answer) = answers.iter().find(|answer| answer.opcode() == Opcode::R2t) {
        let request = R2t::decode(&answer.bhs).unwrap();
        let tag = request.task_tag;
        order.push(tag);
        let (_, len, _) = writes[tag as usize - 1];
        let (start, end) = (request.offset as usize, (request.offset + request.length) as usize);
        let data = &pattern(len, tag as u8)[start..end];
        let bytes = initiator.data_out(tag, request.transfer_tag, 0, request.offset, data, true);
        answers.retain(|answer| {
            answer.opcode() == Opcode::R2t && {
                R2t::decode(&answer.bhs).is_ok_and(|other| other.task_tag != tag)
            }
        });
        answers.extend(world.exchange(&mut initiator, &bytes));
    }
    assert_eq!(order, [1, 3, 2]);
    for (tag, len, _) in writes {
        assert_eq!(read(&mut world, &mut initiator, tag * 64, (len / 512) as u16).0, pattern(len, tag as u8));
    }
}
