//! What initiators should not do: the answer RFC 7143 names, or the end of the connection, and nothing for the others.

mod world;

use core::time::Duration;
use scsi::iscsi::target::Limits;
use wire::iscsi::{
    BHS_LEN, Bhs, LoginResponse, LoginStatus, Opcode, R2t, RESERVED_TAG, Reject, RejectReason, ScsiResponse,
    Serial, Stage, TaskResponse, TaskResult, TextRequest, TextResponse,
};
use wire::scsi::Lun;
use world::initiator::{Answer, Initiator};
use world::{INITIATOR, Settings, TARGET, World, pattern};

/// A session whose unit attention is told, and another that must not notice anything.
fn pair(keys: &str) -> (World, Initiator, Initiator) {
    let mut world = World::new();
    let mut other = world.arrive();
    other.isid.0[5] = 99;
    world.log_in_as(&mut other, "");
    let mut initiator = world.log_in(keys);
    for session in [&mut other, &mut initiator] {
        let bytes = session.test_unit_ready(1);
        assert_eq!(world.exchange(session, &bytes).len(), 1);
    }
    (world, initiator, other)
}

fn assert_well(world: &mut World, other: &mut Initiator) {
    let bytes = other.test_unit_ready(2);
    let answers = world.exchange(other, &bytes);
    assert_eq!(ScsiResponse::decode(&answers[0].bhs).unwrap().status, 0);
    assert!(!world.is_closed(other));
}

fn reject(answers: &[Answer]) -> RejectReason {
    let [answer] = answers else { panic!("{answers:?}") };
    assert_eq!(answer.data.len(), BHS_LEN);
    Reject::decode(&answer.bhs).unwrap().reason
}

fn refusal(answers: &[Answer]) -> LoginStatus {
    let [answer] = answers else { panic!("{answers:?}") };
    LoginResponse::decode(&answer.bhs).unwrap().status
}

/// What came before its turn stays what it is, also if an ABORT TASK for another task names its number.
#[test]
fn a_number_that_has_come_is_not_aborted() {
    let (mut world, mut initiator, mut other) = pair("");
    let missing = initiator.cmd_sn;
    initiator.cmd_sn = missing.next();
    let ping = initiator.ping(5, b"waits");
    assert!(world.exchange(&mut initiator, &ping).is_empty());
    let abort = initiator.manage(6, 1, 0x7777);
    let answers = world.exchange(&mut initiator, &abort);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::NoSuchTask);
    let next = core::mem::replace(&mut initiator.cmd_sn, missing);
    let late = initiator.ping(7, b"");
    initiator.cmd_sn = next;
    let answers = world.exchange(&mut initiator, &late);
    assert_eq!(answers.iter().map(|answer| &answer.data[..]).collect::<Vec<_>>(), [&b""[..], b"waits"]);
    assert_well(&mut world, &mut other);
}

#[test]
fn lengths_that_lie_end_the_connection() {
    let (mut world, initiator, mut other) = pair("");
    let mut header = initiator.clone().ping(5, b"")[..BHS_LEN].to_vec();
    header[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
    let answers = world.exchange(&mut initiator.clone(), &header);
    assert_eq!(reject(&answers), RejectReason::ProtocolError);
    assert!(world.is_closed(&initiator));
    assert_well(&mut world, &mut other);
}

#[test]
fn additional_headers_that_lie_end_the_connection() {
    let (mut world, mut initiator, mut other) = pair("");
    let mut bytes = initiator.test_unit_ready(5);
    bytes[4] = 2;
    bytes.extend([0, 200, 1, 0, 0, 0, 0, 0]);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::InvalidPduField);
    assert!(world.is_closed(&initiator));
    assert_well(&mut world, &mut other);
}

#[test]
fn what_is_laid_out_well_but_makes_no_sense_is_rejected() {
    let (mut world, mut initiator, mut other) = pair("");
    let mut unknown = initiator.ping(5, b"data");
    unknown[0] = 0x1c;
    assert_eq!(reject(&world.exchange(&mut initiator, &unknown)), RejectReason::CommandNotSupported);
    // Its number was never taken: it is given to the next.
    initiator.cmd_sn = Serial(initiator.cmd_sn.0.wrapping_sub(1));
    let mut backward = initiator.clone().ping(5, b"data");
    backward[0] = 0x60;
    assert_eq!(reject(&world.exchange(&mut initiator, &backward)), RejectReason::ProtocolError);
    let mut attribute = initiator.test_unit_ready(6);
    attribute[1] |= 7;
    assert_eq!(reject(&world.exchange(&mut initiator, &attribute)), RejectReason::InvalidPduField);
    let snack = wire::iscsi::Snack {
        kind: wire::iscsi::SnackType::Status,
        lun: Lun::default(),
        task_tag: RESERVED_TAG,
        tag: RESERVED_TAG,
        exp_stat_sn: Serial(0),
        begin: Serial(0),
        run_length: 1,
    };
    let bytes = initiator.pdu(&snack.encode(), &[]);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::SnackReject);
    assert_well(&mut world, &mut initiator);
    assert_well(&mut world, &mut other);
}

#[test]
fn numbers_out_of_the_window_are_ignored() {
    let (mut world, mut initiator, mut other) = pair("");
    let number = initiator.cmd_sn;
    for wrong in [number.plus(1000), number.plus(32), Serial(number.0.wrapping_sub(1))] {
        initiator.cmd_sn = wrong;
        let bytes = initiator.write_blocks(7, 0, &pattern(512, 0), 512, true);
        assert_eq!(world.exchange(&mut initiator, &bytes), []);
    }
    assert_eq!(world.server.counters().ignored, 3);
    initiator.cmd_sn = number;
    assert_well(&mut world, &mut initiator);
    assert_well(&mut world, &mut other);
}

#[test]
fn a_tag_is_used_once() {
    let (mut world, mut initiator, _) = pair("");
    let data = pattern(4096, 0);
    let first = initiator.write_blocks(7, 0, &data, 0, true);
    assert_eq!(world.exchange(&mut initiator, &first)[0].opcode(), Opcode::R2t);
    let second = initiator.test_unit_ready(7);
    assert_eq!(reject(&world.exchange(&mut initiator, &second)), RejectReason::TaskInProgress);
    let none = initiator.test_unit_ready(RESERVED_TAG);
    assert_eq!(reject(&world.exchange(&mut initiator, &none)), RejectReason::InvalidPduField);
    assert_well(&mut world, &mut initiator);
}

#[test]
fn data_outside_of_what_was_asked_for_ends_the_session() {
    let data = pattern(4096, 0);
    for (offset, len) in [(0, 4096 + 512), (4096, 512), (u32::MAX, 512)] {
        let (mut world, mut initiator, mut other) = pair("");
        let bytes = initiator.write_blocks(7, 0, &data, 0, true);
        let request = R2t::decode(&world.exchange(&mut initiator, &bytes)[0].bhs).unwrap();
        let bytes = initiator.data_out(7, request.transfer_tag, 0, offset, &vec![1; len], true);
        assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError);
        assert!(world.is_closed(&initiator), "{offset} {len}");
        assert_well(&mut world, &mut other);
    }
}

#[test]
fn data_for_nobody_is_dropped() {
    let (mut world, mut initiator, _) = pair("");
    for (tag, transfer_tag) in [(99, RESERVED_TAG), (99, 0), (1, 0xdead_beef)] {
        let bytes = initiator.data_out(tag, transfer_tag, 0, 0, &[1; 512], true);
        assert_eq!(world.exchange(&mut initiator, &bytes), []);
    }
    assert_well(&mut world, &mut initiator);
}

#[test]
fn data_that_was_not_agreed_on_ends_the_session() {
    let data = pattern(4096, 0);
    for (keys, immediate, is_final) in [
        ("ImmediateData=No", 4096, true),
        ("InitialR2T=Yes", 0, false),
        ("InitialR2T=No FirstBurstLength=1024", 2048, true),
    ] {
        let (mut world, mut initiator, mut other) = pair(keys);
        let bytes = initiator.write_blocks(7, 0, &data, immediate, is_final);
        assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError, "{keys}");
        assert!(world.is_closed(&initiator));
        assert_well(&mut world, &mut other);
    }
}

#[test]
fn a_digest_that_does_not_match_fails_what_it_covers() {
    let keys = "HeaderDigest=CRC32C DataDigest=CRC32C InitialR2T=No";
    let (mut world, mut initiator, _) = pair(keys);
    // A command's data: rejected, and the task fails with "protocol service CRC error" (section 11.4.7.2).
    let mut bytes = initiator.write_blocks(7, 0, &pattern(512, 0), 512, true);
    *bytes.last_mut().unwrap() ^= 1;
    let answers = world.exchange(&mut initiator, &bytes);
    let [rejected, failed] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(Reject::decode(&rejected.bhs).unwrap().reason, RejectReason::DataDigestError);
    assert_eq!(ScsiResponse::decode(&failed.bhs).unwrap().status, 2);
    assert_eq!((failed.data[4] & 0xf, failed.data[14], failed.data[15]), (0xb, 0x47, 0x05));
    // A ping's: as if it had not come.
    let number = initiator.cmd_sn;
    let mut bytes = initiator.ping(8, b"hello");
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::DataDigestError);
    initiator.cmd_sn = number;
    assert_well(&mut world, &mut initiator);
    // A header's: nothing after it can be trusted.
    let mut bytes = initiator.test_unit_ready(9);
    bytes[BHS_LEN] ^= 1;
    world.exchange(&mut initiator, &bytes);
    assert!(world.is_closed(&initiator));
}

#[test]
fn logins_that_break_the_rules_are_refused() {
    let names = format!("InitiatorName={INITIATOR} TargetName={TARGET}");
    let mut world = World::new();
    let mut ask = |change: &mut dyn FnMut(&mut Initiator) -> Vec<u8>| {
        let mut initiator = world.arrive();
        let bytes = change(&mut initiator);
        let answers = world.exchange(&mut initiator, &bytes);
        assert!(world.is_closed(&initiator));
        refusal(&answers)
    };
    let straight = |initiator: &Initiator, keys: &str| {
        initiator.login_with(keys, Stage::Operational, Stage::FullFeature)
    };
    assert_eq!(ask(&mut |initiator| initiator.ping(1, b"")), LoginStatus::InvalidDuringLogin);
    let nobody = format!("TargetName={TARGET}");
    assert_eq!(ask(&mut |initiator| straight(initiator, &nobody)), LoginStatus::MissingParameter);
    let old = &mut |initiator: &mut Initiator| {
        let mut bytes = straight(initiator, &names);
        bytes[3] = 1;
        bytes
    };
    assert_eq!(ask(old), LoginStatus::UnsupportedVersion);
    let stage = &mut |initiator: &mut Initiator| {
        let mut bytes = straight(initiator, &names);
        bytes[1] = 0x8b;
        bytes
    };
    assert_eq!(ask(stage), LoginStatus::InitiatorError);
    let strange = &mut |initiator: &mut Initiator| {
        initiator.tsih = 77;
        straight(initiator, &names)
    };
    assert_eq!(ask(strange), LoginStatus::NoSuchSession);
    let garbage = &mut |initiator: &mut Initiator| {
        let mut bytes = straight(initiator, &names);
        bytes[BHS_LEN..].fill(0xff);
        bytes
    };
    assert_eq!(ask(garbage), LoginStatus::InitiatorError);
    assert_eq!(world.server.counters().logins_refused, 6);
}

#[test]
fn a_login_that_does_not_end_is_ended() {
    let mut world = World::new();
    let mut initiator = world.arrive();
    let names = format!("InitiatorName={INITIATOR} TargetName={TARGET}");
    let mut keys = names;
    let mut turns = 0;
    while !world.is_closed(&initiator) {
        let bytes = initiator.login_with(&keys, Stage::Operational, Stage::Operational);
        world.exchange(&mut initiator, &bytes);
        keys = String::new();
        turns += 1;
        assert!(turns < 100);
    }
    // And who says nothing has so much time.
    let silent = world.arrive();
    world.env.advance(world.server.limits().login_time + Duration::from_millis(1));
    world.run();
    assert!(world.is_closed(&silent));
    assert_eq!(world.server.counters().logins_timed_out, 1);
}

#[test]
fn half_open_logins_are_bounded() {
    let limits = Limits { connections_max: 16, ..Limits::default() };
    let mut world = World::with(Settings { limits, ..Settings::default() });
    let mut session = world.log_in("");
    for _ in 0..100 {
        let mut half = world.arrive();
        let names = format!("InitiatorName={INITIATOR} TargetName={TARGET}");
        let bytes = half.login_with(&names, Stage::Operational, Stage::Operational);
        if !world.is_closed(&half) {
            world.exchange(&mut half, &bytes);
        }
    }
    assert_eq!(world.server.connections().count(), 16);
    assert_eq!(world.server.counters().turned_away, 85);
    let bytes = session.ping(1, b"still here");
    assert_eq!(world.exchange(&mut session, &bytes)[0].data, b"still here");
}

#[test]
fn a_hundred_thousand_half_open_logins_leave_nothing() {
    let limits = Limits { connections_max: 256, ..Limits::default() };
    let mut world = World::with(Settings { limits, ..Settings::default() });
    let mut session = world.log_in("");
    let taken = stdx::env::Env::mem(&mut world.env).buffers_taken();
    let names = format!("InitiatorName={INITIATOR} TargetName={TARGET}");
    for _ in 0..400 {
        let streams: Vec<_> = (0..250).map(|_| world.env.arrive()).collect();
        world.run();
        for stream in streams {
            let bytes = Initiator::new(stream).login_with(&names, Stage::Operational, Stage::Operational);
            world.env.deliver(stream, &bytes[..bytes.len() - 7]);
        }
        world.run();
        let alive = session.ping(1, b"still here");
        assert_eq!(world.exchange(&mut session, &alive)[0].data, b"still here");
        world.env.advance(limits.login_time + Duration::from_millis(1));
        world.run();
    }
    assert_eq!((world.server.connections().count(), world.server.counters().logins_timed_out), (1, 100_000));
    assert_eq!(stdx::env::Env::mem(&mut world.env).buffers_taken(), taken);
}

#[test]
fn an_initiator_that_does_not_read_is_not_read() {
    let mut world = World::new();
    let mut initiator = world.log_in("");
    world.env.make_room(initiator.stream, 0);
    world.env.stream(initiator.stream).room = 0;
    let mut bytes = Vec::new();
    for tag in 0..2000 {
        bytes.extend(initiator.ping(tag, &[7; 256]));
    }
    world.env.deliver(initiator.stream, &bytes);
    world.run();
    assert!(world.env.unread(initiator.stream) > 0, "the rest stays where it is");
    world.env.make_room(initiator.stream, usize::MAX);
    world.run();
    assert_eq!(world.answers(&mut initiator).len(), 2000);
}

#[test]
fn the_end_of_a_stream_gives_everything_back() {
    let (mut world, mut initiator, mut other) = pair("InitialR2T=No");
    let data = pattern(8192, 0);
    let mut bytes = initiator.write_blocks(7, 0, &data, 0, true);
    bytes.extend(initiator.write_blocks(8, 0, &data, 1024, false));
    bytes.extend(&initiator.write_blocks(9, 0, &data, 4096, true)[..2000]);
    world.exchange(&mut initiator, &bytes);
    world.env.finish(initiator.stream);
    world.run();
    assert!(world.is_closed(&initiator));
    assert_eq!(world.server.sessions().count(), 1);
    assert_well(&mut world, &mut other);
    assert_eq!(stdx::env::Env::mem(&mut world.env).buffers_taken(), 0);
}

/// What a login sends is never a header that was not asked for.
#[test]
fn the_answer_to_a_refused_login_is_one_response() {
    let mut world = World::new();
    let mut initiator = world.arrive();
    let mut bytes = vec![0; BHS_LEN];
    bytes[0] = 0x05;
    let answers = world.exchange(&mut initiator, &bytes);
    assert_eq!(refusal(&answers), LoginStatus::InvalidDuringLogin);
    assert_eq!(Bhs::view(&bytes).unwrap().opcode(), Some(Opcode::DataOut));
}

/// A text request that may be one of many.
fn text(initiator: &Initiator, transfer_tag: u32, continues: bool, text: &[u8]) -> Vec<u8> {
    let header = TextRequest {
        immediate: true,
        is_final: !continues,
        continues,
        lun: Lun::default(),
        task_tag: 9,
        transfer_tag,
        cmd_sn: initiator.cmd_sn,
        exp_stat_sn: initiator.exp_stat_sn,
    };
    initiator.pdu(&header.encode(text.len() as u32), text)
}

#[test]
fn text_without_end_is_ended() {
    let (mut world, mut initiator, mut other) = pair("");
    let endless = [b'x'; 4096];
    let mut transfer_tag = RESERVED_TAG;
    let mut parts = 0;
    let reason = loop {
        let request = text(&initiator, transfer_tag, true, &endless);
        let answers = world.exchange(&mut initiator, &request);
        if answers[0].opcode() == Opcode::Reject {
            break reject(&answers);
        }
        transfer_tag = TextResponse::decode(&answers[0].bhs).unwrap().transfer_tag;
        parts += 1;
        assert!(parts < 100, "it takes all of it");
    };
    assert_eq!(reason, RejectReason::ProtocolError);
    assert_well(&mut world, &mut initiator);
    assert_well(&mut world, &mut other);
}

#[test]
fn tags_that_name_nothing_are_answered_so() {
    let (mut world, mut initiator, mut other) = pair("");
    let request = text(&initiator, 0x1234, false, b"SendTargets=\0");
    let answers = world.exchange(&mut initiator, &request);
    assert_eq!(reject(&answers), RejectReason::ProtocolError);
    // ABORT TASK of a task that is not there.
    let request = initiator.manage(5, 1, 0x7777);
    let answers = world.exchange(&mut initiator, &request);
    let response = TaskResponse::decode(&answers[0].bhs).unwrap();
    assert_eq!(response.result, TaskResult::NoSuchTask);
    assert_well(&mut world, &mut initiator);
    assert_well(&mut world, &mut other);
}
