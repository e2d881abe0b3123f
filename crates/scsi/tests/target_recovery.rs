//! Error recovery levels 1 and 2 at the target (RFC 7143, sections 7 and 11.16): what is asked for is sent again, damaged data
//! is asked for again, and tasks go on by another connection.

mod world;

use core::time::Duration;
use scsi::iscsi::login;
use wire::iscsi::{
    BHS_LEN, DataIn, LogoutReason, LogoutResponse, LogoutResult, Opcode, R2t, RESERVED_TAG, Reject,
    RejectReason, ScsiResponse, Serial, SnackType, TaskResponse, TaskResult,
};
use world::initiator::{Answer, Initiator};
use world::{Settings, World, pattern};

/// A world whose target recovers, and an initiator with these keys that has heard of the power on.
fn begin(keys: &str) -> (World, Initiator) {
    let login = login::Limits {
        error_recovery_level: 2,
        max_connections: 4,
        data_pdu_in_order: false,
        data_sequence_in_order: false,
        ..login::Limits::default()
    };
    let mut world = World::with(Settings { login, ..Settings::default() });
    let mut initiator = world.log_in(keys);
    let bytes = initiator.test_unit_ready(1);
    let answers = world.exchange(&mut initiator, &bytes);
    acknowledge(&mut initiator, &answers);
    (world, initiator)
}

/// What came is acknowledged with what is sent next.
fn acknowledge(initiator: &mut Initiator, answers: &[Answer]) {
    for answer in answers.iter().filter(|answer| answer.opcode() == Opcode::ScsiResponse) {
        initiator.exp_stat_sn = ScsiResponse::decode(&answer.bhs).unwrap().numbers.stat_sn.next();
    }
}

/// Another connection of the same session.
fn join(world: &mut World, initiator: &Initiator, connection_id: u16) -> Initiator {
    let mut other = world.arrive();
    (other.isid, other.tsih, other.cmd_sn) = (initiator.isid, initiator.tsih, initiator.cmd_sn);
    other.connection_id = connection_id;
    world.log_in_as(&mut other, "");
    other
}

fn write(world: &mut World, initiator: &mut Initiator, lba: u32, data: &[u8]) {
    let bytes = initiator.write_blocks(0x77, lba, data, data.len(), true);
    let answers = world.exchange(initiator, &bytes);
    assert_eq!(good(&answers), 1, "{answers:?}");
    acknowledge(initiator, &answers);
}

/// How many of these are responses with good status.
fn good(answers: &[Answer]) -> usize {
    let responses = answers.iter().filter(|answer| answer.opcode() == Opcode::ScsiResponse);
    responses.filter(|answer| ScsiResponse::decode(&answer.bhs).unwrap().status == 0).count()
}

fn reject(answers: &[Answer]) -> RejectReason {
    let [answer] = answers else { panic!("{answers:?}") };
    Reject::decode(&answer.bhs).unwrap().reason
}

fn r2t(answer: &Answer) -> R2t {
    R2t::decode(&answer.bhs).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// The data of a read, put together.
fn gather(answers: &[Answer]) -> Vec<u8> {
    let mut data = Vec::new();
    for answer in answers.iter().filter(|answer| answer.opcode() == Opcode::DataIn) {
        let offset = DataIn::decode(&answer.bhs).unwrap().offset as usize;
        data.resize(data.len().max(offset + answer.data.len()), 0);
        data[offset..offset + answer.data.len()].copy_from_slice(&answer.data);
    }
    data
}

const SMALL: &str = "ErrorRecoveryLevel=1 MaxRecvDataSegmentLength=512";
const LOST: &str = "ErrorRecoveryLevel=2 MaxRecvDataSegmentLength=512 DefaultTime2Retain=20 MaxConnections=4";

#[test]
fn data_and_status_come_again_as_they_were() {
    let (mut world, mut initiator) = begin(SMALL);
    let data = pattern(2048, 3);
    write(&mut world, &mut initiator, 8, &data);
    let bytes = initiator.read_blocks(5, 8, 4);
    let first = world.exchange(&mut initiator, &bytes);
    assert_eq!((first.len(), good(&first)), (5, 1), "no status goes with the data");
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 1, 2);
    assert!(world.exchange(&mut initiator, &bytes) == first[1..3]);
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 0, 0);
    assert!(world.exchange(&mut initiator, &bytes) == first[..4]);
    let number = ScsiResponse::decode(&first[4].bhs).unwrap().numbers.stat_sn;
    let bytes = initiator.snack(SnackType::Status, RESERVED_TAG, RESERVED_TAG, number.0, 1);
    assert_eq!(world.exchange(&mut initiator, &bytes), first[4..]);
    // What was never sent cannot come again, nor what is acknowledged.
    for (begin, run) in [(4, 1), (3, 2), (9, 0)] {
        let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, begin, run);
        assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError);
    }
    let bytes = initiator.snack(SnackType::Status, RESERVED_TAG, RESERVED_TAG, number.0 + 50, 1);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError);
    acknowledge(&mut initiator, &first);
    let bytes = initiator.snack(SnackType::Status, RESERVED_TAG, RESERVED_TAG, number.0, 1);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError);
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::SnackReject);
    assert_eq!(world.server.counters().snacks, 3);
}

#[test]
fn data_is_cut_anew_for_who_takes_less() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1 MaxRecvDataSegmentLength=2048");
    let data = pattern(4096, 3);
    write(&mut world, &mut initiator, 8, &data);
    let bytes = initiator.read_blocks(5, 8, 8);
    let first = world.exchange(&mut initiator, &bytes);
    assert_eq!((first.len(), good(&first)), (3, 1));
    let bytes = initiator.text(6, "MaxRecvDataSegmentLength=1024\0");
    world.exchange(&mut initiator, &bytes);
    let bytes = initiator.snack(SnackType::ResegmentedData, 5, 0x1234, 0, 0);
    let again = world.exchange(&mut initiator, &bytes);
    assert_eq!((again.len(), gather(&again)), (5, data));
    let (old, new) = (ScsiResponse::decode(&first[2].bhs), ScsiResponse::decode(&again[4].bhs));
    let (old, new) = (old.unwrap(), new.unwrap());
    assert_eq!(
        (new.snack_tag, new.exp_data_sn, new.numbers.stat_sn),
        (0x1234, Serial(4), old.numbers.stat_sn)
    );
}

#[test]
fn data_that_is_acknowledged_does_not_come_again() {
    let (mut world, mut initiator) = begin(&format!("{SMALL} MaxBurstLength=1024"));
    let bytes = initiator.read_blocks(5, 8, 8);
    let first = world.exchange(&mut initiator, &bytes);
    let asks: Vec<DataIn> = first[..8].iter().map(|answer| DataIn::decode(&answer.bhs).unwrap()).collect();
    let asked: Vec<bool> = asks.iter().map(|data| data.acknowledge).collect();
    assert_eq!(asked, [false, true, false, true, false, true, false, false]);
    let tag = asks[3].transfer_tag;
    let bytes = initiator.snack(SnackType::DataAck, RESERVED_TAG, tag, 4, 0);
    assert_eq!(world.exchange(&mut initiator, &bytes), []);
    for (tag, begin) in [(tag, 3), (tag, 9), (tag + 1, 4)] {
        let bytes = initiator.snack(SnackType::DataAck, RESERVED_TAG, tag, begin, 0);
        assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::InvalidDataAck);
    }
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 0, 0);
    assert_eq!(world.exchange(&mut initiator, &bytes).len(), 4, "what is not acknowledged");
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 2, 1);
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::ProtocolError);
}

#[test]
fn a_command_whose_own_data_is_damaged_has_not_come() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1 DataDigest=CRC32C");
    let data = pattern(1024, 7);
    let mut bytes = initiator.write_blocks(5, 0, &data, 1024, true);
    let intact = bytes.clone();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(reject(&world.exchange(&mut initiator, &bytes)), RejectReason::DataDigestError);
    let later = initiator.test_unit_ready(6);
    assert_eq!(world.exchange(&mut initiator, &later), [], "it waits for the command before it");
    assert_eq!(good(&world.exchange(&mut initiator, &intact)), 2);
    let bytes = initiator.read_blocks(7, 0, 2);
    assert_eq!(gather(&world.exchange(&mut initiator, &bytes)), data);
}

#[test]
fn damaged_data_is_asked_for_again() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1 DataDigest=CRC32C InitialR2T=Yes");
    let data = pattern(4096, 7);
    let bytes = initiator.write_blocks(5, 0, &data, 0, true);
    let asked = r2t(&world.exchange(&mut initiator, &bytes)[0]);
    assert_eq!((asked.r2t_sn, asked.offset, asked.length), (Serial(0), 0, 4096));
    let part = |number: u32| {
        let range = number as usize * 1024..(number as usize + 1) * 1024;
        initiator.data_out(5, asked.transfer_tag, number, number * 1024, &data[range], number == 3)
    };
    let mut parts: Vec<Vec<u8>> = (0..4).map(part).collect();
    parts[1][BHS_LEN] ^= 1;
    let answers = world.exchange(&mut initiator.clone(), &parts.concat());
    let [rejected, recovery] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(Reject::decode(&rejected.bhs).unwrap().reason, RejectReason::DataDigestError);
    let recovery = r2t(recovery);
    assert_eq!((recovery.r2t_sn, recovery.offset, recovery.length), (Serial(1), 1024, 1024));
    // The R2T was lost on its way: it comes again as it was.
    let bytes = initiator.snack(SnackType::DataOrR2t, 5, RESERVED_TAG, 1, 1);
    assert_eq!(r2t(&world.exchange(&mut initiator, &bytes)[0]), recovery);
    let bytes = initiator.data_out(5, recovery.transfer_tag, 0, 1024, &data[1024..2048], true);
    assert_eq!(good(&world.exchange(&mut initiator, &bytes)), 1);
    let bytes = initiator.read_blocks(7, 0, 8);
    assert_eq!(gather(&world.exchange(&mut initiator, &bytes)), data);
    assert_eq!(world.server.counters().recovery_r2ts, 1);
}

#[test]
fn a_pdu_that_is_missing_is_asked_for_again() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1 InitialR2T=No FirstBurstLength=4096");
    let data = pattern(4096, 9);
    let mut bytes = initiator.write_blocks(5, 0, &data, 0, false);
    bytes.extend(initiator.data_out(5, RESERVED_TAG, 0, 0, &data[..1024], false));
    bytes.extend(initiator.data_out(5, RESERVED_TAG, 2, 2048, &data[2048..], true));
    let asked = r2t(&world.exchange(&mut initiator, &bytes)[0]);
    assert_eq!((asked.offset, asked.length), (1024, 1024));
    assert_eq!(world.server.counters().sequence_errors, 1);
    let bytes = initiator.data_out(5, asked.transfer_tag, 0, 1024, &data[1024..2048], true);
    assert_eq!(good(&world.exchange(&mut initiator, &bytes)), 1);
    let bytes = initiator.read_blocks(7, 0, 8);
    assert_eq!(gather(&world.exchange(&mut initiator, &bytes)), data);
}

#[test]
fn data_that_never_comes_intact_fails_its_task() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1 DataDigest=CRC32C InitialR2T=Yes");
    let bytes = initiator.write_blocks(5, 0, &pattern(512, 0), 0, true);
    let mut answers = world.exchange(&mut initiator, &bytes);
    for _ in 0..100 {
        let Some(asked) = answers.iter().find(|answer| answer.opcode() == Opcode::R2t) else { break };
        let mut bytes = initiator.data_out(5, r2t(asked).transfer_tag, 0, 0, &[1; 512], true);
        *bytes.last_mut().unwrap() ^= 1;
        answers = world.exchange(&mut initiator, &bytes);
    }
    let failed = ScsiResponse::decode(&answers.last().unwrap().bhs).unwrap();
    assert_eq!(failed.status, 2, "it does not go on for ever");
}

#[test]
fn data_comes_in_any_order_where_that_was_agreed_on() {
    let keys =
        "DataPDUInOrder=No DataSequenceInOrder=No InitialR2T=Yes MaxBurstLength=2048 MaxOutstandingR2T=2";
    let (mut world, mut initiator) = begin(keys);
    let data = pattern(4096, 5);
    let bytes = initiator.write_blocks(5, 0, &data, 0, true);
    let asked: Vec<R2t> = world.exchange(&mut initiator, &bytes).iter().map(r2t).collect();
    assert_eq!(asked.iter().map(|asked| asked.offset).collect::<Vec<_>>(), [0, 2048]);
    let mut bytes = Vec::new();
    for (sequence, number, at, last) in
        [(1, 0, 3072, false), (0, 0, 1024, false), (0, 1, 0, true), (1, 1, 2048, true)]
    {
        let tag = asked[sequence].transfer_tag;
        bytes.extend(initiator.data_out(5, tag, number, at as u32, &data[at..at + 1024], last));
    }
    assert_eq!(good(&world.exchange(&mut initiator, &bytes)), 1);
    let bytes = initiator.read_blocks(7, 0, 8);
    assert_eq!(gather(&world.exchange(&mut initiator, &bytes)), data);
}

#[test]
fn what_is_not_acknowledged_has_a_limit() {
    let (mut world, mut initiator) = begin("ErrorRecoveryLevel=1");
    let taken = taken_in(&mut world);
    for tag in 0..3000 {
        let bytes = initiator.read_blocks(100 + tag, 0, 128);
        let answers = world.exchange(&mut initiator, &bytes);
        let opcodes: Vec<_> =
            answers.iter().map(|answer| (answer.bhs, answer.data.first().copied())).collect();
        assert_eq!(good(&answers), 1, "{tag} {opcodes:?}");
    }
    assert!(taken_in(&mut world) - taken < 300, "64 KiB each, and 16 MiB of them");
    let bytes = initiator.snack(SnackType::DataOrR2t, 3099, RESERVED_TAG, 0, 0);
    let answers = world.exchange(&mut initiator, &bytes);
    assert!(answers[0].opcode() == Opcode::DataIn || reject(&answers) == RejectReason::SnackReject);
    world.env.finish(initiator.stream);
    world.run();
    assert_eq!(taken_in(&mut world), taken);
}

#[test]
fn tasks_go_on_by_another_connection() {
    let (mut world, mut old) = begin(LOST);
    let data = pattern(2048, 3);
    write(&mut world, &mut old, 8, &data);
    // A read that is answered and not acknowledged, and a write whose data is asked for.
    let bytes = old.read_blocks(5, 8, 4);
    assert_eq!(good(&world.exchange(&mut old, &bytes)), 1);
    let bytes = old.write_blocks(6, 16, &data, 0, true);
    assert_eq!(r2t(&world.exchange(&mut old, &bytes)[0]).r2t_sn, Serial(0));
    world.env.finish(old.stream);
    world.run();
    assert_eq!(world.server.sessions().map(|session| session.connections).collect::<Vec<_>>(), [0]);
    let mut new = join(&mut world, &old, 1);
    let bytes = new.reassign(0x50, 5, 2);
    let answers = world.exchange(&mut new, &bytes);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::Complete);
    let first = DataIn::decode(&answers[1].bhs).unwrap();
    // The new connection said nothing of how much it takes: all that is left comes in one.
    assert_eq!((first.data_sn, first.offset, answers[1].data.len()), (Serial(2), 1024, 1024));
    assert_eq!((gather(&answers)[1024..] == data[1024..], good(&answers)), (true, 1));
    let bytes = new.reassign(0x51, 6, 1);
    let answers = world.exchange(&mut new, &bytes);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::Complete);
    let asked = r2t(&answers[1]);
    assert_eq!((asked.r2t_sn, asked.offset, asked.length), (Serial(1), 0, 2048));
    let bytes = new.data_out(6, asked.transfer_tag, 0, 0, &data, true);
    assert_eq!(good(&world.exchange(&mut new, &bytes)), 1);
    for (tag, what) in [(9, TaskResult::NoSuchTask), (5, TaskResult::NoSuchTask)] {
        let bytes = new.reassign(0x52, tag, 0);
        let answers = world.exchange(&mut new, &bytes);
        assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, what);
    }
    let bytes = new.read_blocks(7, 16, 4);
    assert_eq!(gather(&world.exchange(&mut new, &bytes)), data);
    assert_eq!((world.server.counters().reassigned, world.server.counters().connections_lost), (2, 1));
}

#[test]
fn a_connection_is_logged_out_for_recovery_by_another() {
    let (mut world, mut first) = begin(LOST);
    let data = pattern(1024, 3);
    let bytes = first.write_blocks(6, 16, &data, 0, true);
    assert_eq!(world.exchange(&mut first, &bytes)[0].opcode(), Opcode::R2t);
    let mut second = join(&mut world, &first, 2);
    let bytes = second.reassign(0x50, 6, 0);
    let answers = world.exchange(&mut second, &bytes);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::StillAllegiant);
    second.connection_id = 1;
    let bytes = second.logout(0x51, LogoutReason::RemoveForRecovery);
    let answers = world.exchange(&mut second, &bytes);
    assert_eq!(LogoutResponse::decode(&answers[0].bhs).unwrap().result, LogoutResult::Closed);
    assert!(world.is_closed(&first) && !world.is_closed(&second));
    let bytes = second.reassign(0x52, 6, 0);
    let answers = world.exchange(&mut second, &bytes);
    let asked = r2t(&answers[1]);
    let bytes = second.data_out(6, asked.transfer_tag, 0, 0, &data, true);
    assert_eq!(good(&world.exchange(&mut second, &bytes)), 1);
    second.connection_id = 9;
    let bytes = second.logout(0x53, LogoutReason::RemoveForRecovery);
    let answers = world.exchange(&mut second, &bytes);
    assert_eq!(LogoutResponse::decode(&answers[0].bhs).unwrap().result, LogoutResult::NoSuchConnection);
}

#[test]
fn a_connection_takes_the_place_of_one_with_its_number() {
    for (keys, lives) in [(LOST, true), ("ErrorRecoveryLevel=0 MaxConnections=4", false)] {
        let (mut world, mut old) = begin(keys);
        let data = pattern(1024, 3);
        let bytes = old.write_blocks(6, 16, &data, 0, true);
        assert_eq!(world.exchange(&mut old, &bytes)[0].opcode(), Opcode::R2t);
        let mut new = join(&mut world, &old, 1);
        assert!(world.is_closed(&old) && !world.is_closed(&new));
        let bytes = new.reassign(0x50, 6, 0);
        let answers = world.exchange(&mut new, &bytes);
        let result = TaskResponse::decode(&answers[0].bhs).unwrap().result;
        let otherwise = TaskResult::ReassignmentNotSupported;
        assert_eq!(result, if lives { TaskResult::Complete } else { otherwise });
        let bytes = new.test_unit_ready(9);
        assert_eq!(good(&world.exchange(&mut new, &bytes)), 1);
    }
}

#[test]
fn commands_that_were_not_taken_are_sent_again_by_another_connection() {
    let (mut world, mut old) = begin(LOST);
    let missing = old.clone().test_unit_ready(8);
    old.cmd_sn = old.cmd_sn.next();
    let early = old.write_blocks(6, 16, &pattern(512, 3), 512, true);
    assert_eq!(world.exchange(&mut old, &early), []);
    let mut new = join(&mut world, &old, 1);
    assert_eq!(good(&world.exchange(&mut new, &[missing, early].concat())), 2);
}

#[test]
fn what_nobody_takes_over_is_given_up() {
    let (mut world, mut old) = begin(LOST);
    let taken = taken_in(&mut world);
    let bytes = old.read_blocks(5, 8, 4);
    assert_eq!(good(&world.exchange(&mut old, &bytes)), 1);
    let bytes = old.write_blocks(6, 16, &pattern(1024, 3), 0, true);
    assert_eq!(world.exchange(&mut old, &bytes)[0].opcode(), Opcode::R2t);
    world.env.finish(old.stream);
    world.run();
    assert!(taken_in(&mut world) > taken && world.server.sessions().count() == 1);
    world.env.advance(Duration::from_secs(25));
    world.run();
    assert_eq!((taken_in(&mut world), world.server.sessions().count()), (taken, 0));
}

#[test]
fn what_is_kept_for_lost_connections_has_a_limit() {
    let (mut world, mut initiator) = begin(LOST);
    let taken = taken_in(&mut world);
    for round in 0..100 {
        let bytes = initiator.read_blocks(round * 2, 8, 128);
        assert_eq!(good(&world.exchange(&mut initiator, &bytes)), 1);
        world.env.finish(initiator.stream);
        world.run();
        initiator = join(&mut world, &initiator, 1);
    }
    assert!(taken_in(&mut world) - taken <= 9, "the last few");
    assert_eq!(world.server.counters().connections_lost, 100);
    let bytes = initiator.reassign(0x500, 198, 0);
    assert_eq!(good(&world.exchange(&mut initiator, &bytes)), 1, "the newest is there");
}

#[test]
fn a_server_that_shuts_down_keeps_nothing() {
    for first in [true, false] {
        let (mut world, mut old) = begin(LOST);
        let bytes = old.write_blocks(6, 16, &pattern(1024, 3), 0, true);
        assert_eq!(world.exchange(&mut old, &bytes)[0].opcode(), Opcode::R2t);
        if first {
            world.env.finish(old.stream);
            world.run();
        }
        world.server.close(&mut world.env, &mut world.target);
        world.run();
        assert!(world.server.is_drained());
    }
}

#[test]
fn management_waits_for_the_commands_it_is_about() {
    let (mut world, mut first) = begin("MaxConnections=4");
    let mut second = join(&mut world, &first, 2);
    let missing = first.write_blocks(6, 16, &pattern(1024, 3), 0, true);
    second.cmd_sn = first.cmd_sn;
    let bytes = second.manage(0x60, 2, RESERVED_TAG);
    assert_eq!(world.exchange(&mut second, &bytes), [], "a command before it is on its way by the other");
    let answers = world.exchange(&mut first, &missing);
    assert!(answers.iter().all(|answer| answer.opcode() == Opcode::R2t), "it is aborted when it comes");
    let answers = world.answers(&mut second);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::Complete);
}

#[test]
fn a_task_of_another_connection_is_aborted_before_its_turn() {
    let (mut world, mut first) = begin("MaxConnections=4");
    let mut second = join(&mut world, &first, 2);
    let missing = first.test_unit_ready(4);
    second.cmd_sn = first.cmd_sn;
    let early = second.write_blocks(6, 16, &pattern(1024, 3), 1024, true);
    let (header, rest) = early.split_at(BHS_LEN + 100);
    assert_eq!(world.exchange(&mut second, header), []);
    let mut abort = first.clone();
    abort.cmd_sn = second.cmd_sn;
    let bytes = abort.manage(0x61, 1, 6);
    let answers = world.exchange(&mut first, &bytes);
    assert_eq!(TaskResponse::decode(&answers[0].bhs).unwrap().result, TaskResult::Complete);
    assert_eq!(world.exchange(&mut second, rest), []);
    assert_eq!(good(&world.exchange(&mut first, &missing)), 1);
    let bytes = second.test_unit_ready(7);
    assert_eq!(good(&world.exchange(&mut second, &bytes)), 1, "its number is not waited for");
}

#[test]
fn one_connection_logs_another_out_and_the_session_stays() {
    let (mut world, first) = begin("MaxConnections=4");
    let mut second = join(&mut world, &first, 2);
    second.connection_id = 1;
    let bytes = second.logout(0x61, LogoutReason::CloseConnection);
    let answers = world.exchange(&mut second, &bytes);
    assert_eq!(LogoutResponse::decode(&answers[0].bhs).unwrap().result, LogoutResult::Closed);
    assert!(world.is_closed(&first) && !world.is_closed(&second));
    let bytes = second.test_unit_ready(7);
    assert_eq!(good(&world.exchange(&mut second, &bytes)), 1);
}

fn taken_in(world: &mut World) -> usize {
    stdx::env::Env::mem(&mut world.env).buffers_taken()
}
