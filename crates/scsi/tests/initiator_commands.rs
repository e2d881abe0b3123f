//! What is sent for a request, and what becomes of it.

mod script;

use block::{BlockDevice, Io, Op, Status as Outcome};
use core::time::Duration;
use script::{Script, Sent, options};
use scsi::iscsi::initiator::{Failure, InitiatorEvent, InitiatorOptions};
use scsi::iscsi::login::chap::{ChapAccount, ChapAccounts, ChapAlgorithm, ChapOptions};
use scsi::iscsi::login::{Authentication, Limits, Refusal, Secret};
use std::rc::Rc;
use stdx::env::{Env, StreamId};
use wire::iscsi::{
    AsyncEvent, AsyncMessage, DataOut, NopIn, NopOut, Opcode, RESERVED_TAG, Residual, Serial, TaskFunction,
    TaskRequest, TaskResponse, TaskResult,
};
use wire::scsi::{Lun, Sense, SenseKey, Status};

#[test]
fn a_disk_is_what_its_pages_say() {
    let script = Script::connected(options());
    let disk = script.initiator.disk(0).unwrap();
    let info = disk.info();
    assert_eq!((info.block_size, info.blocks), (4096, 65_536));
    assert!(info.thin && info.volatile_cache && !info.read_only && !info.offline);
    assert_eq!(disk.identity().unwrap().0[..8], [0x50, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_request_longer_than_the_limit_is_several_commands() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Read, 10, 300);
    let first = script.submit(io);
    let second = script.seen.pop().unwrap().command();
    let range = |cdb: wire::scsi::Cdb| (cdb.u64(2), cdb.u32(10));
    assert_eq!((range(first.cdb), range(second.cdb)), ((10, 256), (266, 44)));
    let stream = script.stream();
    for command in [second, first] {
        assert!(script.done().is_empty());
        let total = command.expected_length;
        for (sn, offset) in (0..total).step_by(SEGMENT_LEN).enumerate() {
            let len = (total - offset).min(SEGMENT_LEN as u32);
            let last = offset + len == total;
            let bytes = script.data(&command, sn as u32, offset, &vec![1; len as usize], last);
            script.deliver(stream, &bytes);
        }
    }
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn data_goes_with_the_command_then_unasked_then_asked_for() {
    let mut begun = Script::begin(options());
    begun.limits = Limits {
        max_recv_data_segment_len: 8192,
        first_burst_len: 20_000,
        max_burst_len: 16_384,
        ..Limits::default()
    };
    begun.limits.first_burst_len = 16_384;
    let mut script = begun.up();
    let io = script.io(1, Op::Write, 0, 10);
    let pattern: Vec<u8> = (0..40_960).map(|at| (at / 5) as u8).collect();
    script.env.mem().write(io.data, &pattern);
    let command = script.submit(io);
    assert!(!command.is_final && command.write && command.expected_length == 40_960);
    let stream = script.stream();
    for (sn, offset) in [(0, 16_384), (1, 32_768)] {
        let length = (40_960 - offset).min(16_384);
        let r2t = script.r2t(&command, sn, offset, length);
        script.deliver(stream, &r2t);
    }
    let outs: Vec<(DataOut, usize)> =
        script.seen.iter().map(|sent| (DataOut::decode(&sent.bhs).unwrap(), sent.data.len())).collect();
    let shape: Vec<_> = outs
        .iter()
        .map(|(out, len)| (out.offset, *len, out.data_sn.0, out.is_final, out.transfer_tag))
        .collect();
    assert_eq!(
        shape,
        [
            (8192, 8192, 0, true, RESERVED_TAG),
            (16_384, 8192, 0, false, 77),
            (24_576, 8192, 1, true, 77),
            (32_768, 8192, 0, true, 78)
        ]
    );
    for (sent, (out, len)) in script.seen.iter().zip(&outs) {
        assert_eq!(sent.data, pattern[out.offset as usize..out.offset as usize + len]);
    }
    let good = script.good(&command);
    script.deliver(stream, &good);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn an_r2t_may_come_before_the_unasked_data_is_gone() {
    let mut script = Script::connected(options());
    let stream = script.stream();
    script.env.stream(stream).room = 0;
    let io = script.io(1, Op::Write, 0, 128);
    let channel = script.channel.as_mut().unwrap();
    channel.submit(&mut script.env, io).unwrap();
    script.run();
    // The target cannot know the tag yet; a test can.
    script.env.make_room(stream, 60);
    script.run();
    let command = script.seen.pop().map(|sent| sent.command());
    assert_eq!(command, None, "only a part of the command has left");
    script.env.make_room(stream, 1 << 20);
    script.run();
    let command = script.seen.remove(0).command();
    let r2t = script.r2t(&command, 0, 262_144, 262_144);
    script.deliver(stream, &r2t);
    let total: usize = script.seen.iter().map(|sent| sent.data.len()).sum();
    assert_eq!(total, 262_144);
}

#[test]
fn zeros_are_written_otherwise_where_there_is_no_write_same() {
    let mut script = Script::connected(options());
    let io = script.bare(1, Op::Zero { deallocate: true }, 5, 8);
    let same = script.submit(io);
    assert_eq!((same.cdb.operation_code(), same.cdb.byte(1), same.expected_length), (0x93, 0x08, 4096));
    let sense = Sense::new(SenseKey::IllegalRequest, 0x20, 0x00);
    let stream = script.stream();
    let bytes = script.response(&same, Status::CheckCondition, Some(sense), Residual::None);
    script.deliver(stream, &bytes);
    let write = script.seen.iter().find(|sent| sent.opcode() == Opcode::ScsiCommand).unwrap();
    let command = write.command();
    assert_eq!((command.cdb.operation_code(), command.cdb.u32(10)), (0x8a, 8));
    assert!(write.data.iter().all(|byte| *byte == 0));
    let good = script.good(&command);
    script.deliver(stream, &good);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn space_is_given_back_by_unmap_within_its_limit() {
    let mut script = Script::connected(options());
    let io = script.bare(1, Op::Discard, 7, 1500);
    let stream = script.stream();
    let channel = script.channel.as_mut().unwrap();
    channel.submit(&mut script.env, io).unwrap();
    script.run();
    for (lba, blocks) in [(7_u64, 1000_u32), (1007, 500)] {
        assert_eq!(script.seen.len(), 1, "one list at a time");
        let sent = script.seen.pop().unwrap();
        let command = sent.command();
        assert_eq!((command.cdb.operation_code(), command.cdb.u16(7), sent.data.len()), (0x42, 24, 24));
        assert_eq!(sent.data[..8], [0, 22, 0, 16, 0, 0, 0, 0]);
        assert_eq!(sent.data[8..20], [&lba.to_be_bytes()[..], &blocks.to_be_bytes()].concat());
        let good = script.good(&command);
        script.deliver(stream, &good);
    }
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn what_must_be_durable_bears_fua_or_is_followed_by_a_flush() {
    let mut script = Script::connected(options());
    let stream = script.stream();
    let io = Io { fua: true, ..script.io(1, Op::Write, 0, 1) };
    let write = script.submit(io);
    assert_eq!(write.cdb.byte(1), 0x08);
    let good = script.good(&write);
    script.deliver(stream, &good);
    assert_eq!(script.done().len(), 1);
    let io = Io { fua: true, ..script.bare(2, Op::Zero { deallocate: false }, 0, 1) };
    let same = script.submit(io);
    let good = script.good(&same);
    script.deliver(stream, &good);
    assert!(script.done().is_empty());
    let flush = script.seen.pop().unwrap().command();
    assert_eq!(flush.cdb.operation_code(), 0x35);
    let good = script.good(&flush);
    script.deliver(stream, &good);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn commands_wait_for_the_window() {
    let mut begun = Script::begin(options());
    begun.window = 2;
    let mut script = begun.up();
    for tag in 0..5 {
        let io = script.io(tag, Op::Read, tag, 1);
        script.channel.as_mut().unwrap().submit(&mut script.env, io).unwrap();
    }
    script.window = 0;
    script.run();
    let mut total = 0;
    let stream = script.stream();
    while total < 5 {
        assert_eq!(script.seen.len(), if total == 4 { 1 } else { 2 }, "{total}");
        script.window = 2;
        for sent in std::mem::take(&mut script.seen) {
            let bytes = script.data(&sent.command(), 0, 0, &[3; 4096], true);
            script.env.deliver(stream, &bytes);
            total += 1;
        }
        script.window = 0;
        script.run();
    }
    assert_eq!(script.done().len(), 5);
}

#[test]
fn unit_attentions_are_taken_note_of_and_the_command_is_sent_again() {
    let mut begun = Script::begin(options());
    begun.attentions = vec![Sense::new(SenseKey::UnitAttention, 0x29, 0x01); 3];
    let mut script = begun.up();
    let io = script.io(1, Op::Read, 0, 1);
    let command = script.submit(io);
    let stream = script.stream();
    let sense = Sense::new(SenseKey::UnitAttention, 0x2a, 0x09);
    let bytes = script.response(&command, Status::CheckCondition, Some(sense), Residual::Underflow(4096));
    script.deliver(stream, &bytes);
    let again = script.seen.pop().unwrap().command();
    let bytes = script.data(&again, 0, 0, &[1; 4096], true);
    script.deliver(stream, &bytes);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn a_silent_target_is_pinged_and_then_lost() {
    let mut script = Script::connected(options());
    for _ in 0..20 {
        script.env.advance(Duration::from_secs(1));
        script.run();
    }
    assert_eq!(script.initiator.poll_event(), None, "it answers");
    script.mute = true;
    for _ in 0..12 {
        script.env.advance(Duration::from_secs(1));
        script.run();
    }
    assert!(script.seen.iter().any(|sent| sent.opcode() == Opcode::NopOut));
    assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::ConnectionLost(Failure::Silent)));
}

#[test]
fn a_ping_is_answered() {
    let mut script = Script::connected(options());
    let stream = script.stream();
    let lun = Lun::from_number(3);
    let ping = NopIn { lun, task_tag: RESERVED_TAG, transfer_tag: 99, numbers: script.numbers(stream) };
    let bytes = script.pdu(stream, &ping.encode(0), &[]);
    script.deliver(stream, &bytes);
    let pong = NopOut::decode(&script.seen.pop().unwrap().bhs).unwrap();
    assert_eq!((pong.task_tag, pong.transfer_tag, pong.lun, pong.immediate), (RESERVED_TAG, 99, lun, true));
}

/// Lets seconds go by; says which task management functions were asked for.
fn managed(script: &mut Script, seconds: u32) -> Vec<(StreamId, TaskRequest)> {
    let mut managed = Vec::new();
    for _ in 0..seconds {
        script.env.advance(Duration::from_secs(1));
        script.run();
        let is_one = |sent: &mut Sent| sent.opcode() == Opcode::TaskRequest;
        let sent = script.seen.extract_if(.., is_one);
        managed.extend(sent.map(|sent| (sent.stream, TaskRequest::decode(&sent.bhs).unwrap())));
    }
    managed
}

fn answer_management(script: &mut Script, (stream, request): &(StreamId, TaskRequest), result: TaskResult) {
    let numbers = script.count(*stream);
    let response = TaskResponse { result, task_tag: request.task_tag, numbers };
    let bytes = script.pdu(*stream, &response.encode(), &[]);
    script.deliver(*stream, &bytes);
    // What is tried again waits a little.
    script.env.advance(Duration::from_secs(1));
    script.run();
}

#[test]
fn a_late_command_is_aborted_its_unit_reset_and_then_the_connection_is_lost() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Read, 0, 1);
    let command = script.submit(io);
    let managed = managed(&mut script, 70);
    let [(_, abort), (_, reset)] = managed[..] else { panic!("{managed:?}") };
    assert_eq!((abort.function, abort.referenced_tag), (TaskFunction::AbortTask.code(), command.task_tag));
    assert_eq!(abort.referenced_cmd_sn, command.cmd_sn);
    assert_eq!((reset.function, reset.referenced_tag), (TaskFunction::LogicalUnitReset.code(), RESERVED_TAG));
    assert_eq!(reset.lun, command.lun);
    assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::ConnectionLost(Failure::CommandTimedOut)));
}

/// RFC 7143, section 11.6.1: no response comes to a task that was aborted, nor to one that the target does not know.
#[test]
fn an_aborted_command_is_tried_again() {
    for result in [TaskResult::Complete, TaskResult::NoSuchTask] {
        let mut script = Script::connected(options());
        let io = script.io(1, Op::Read, 0, 1);
        let before = script.submit(io);
        let managed = managed(&mut script, 35);
        let [abort] = &managed[..] else { panic!("{managed:?}") };
        answer_management(&mut script, abort, result);
        let after = script.seen.pop().expect("it is tried again").command();
        assert_eq!((after.cdb, after.lun), (before.cdb, before.lun));
        assert_ne!(after.task_tag, before.task_tag);
        assert_eq!(script.initiator.poll_event(), None, "the connection goes on");
        script.initiator.check();
    }
}

/// A target that cannot abort resets; what came behind the reset is not ended by it.
#[test]
fn a_reset_ends_what_came_before_it() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Read, 0, 1);
    let old = script.submit(io);
    let aborts = managed(&mut script, 35);
    answer_management(&mut script, &aborts[0], TaskResult::NotSupported);
    assert!(script.seen.is_empty(), "it is not tried again yet");
    let resets = managed(&mut script, 15);
    let [reset] = &resets[..] else { panic!("{resets:?}") };
    assert_eq!(reset.1.function, TaskFunction::LogicalUnitReset.code());
    let io = script.io(2, Op::Write, 8, 1);
    let behind = script.submit(io);
    answer_management(&mut script, reset, TaskResult::Complete);
    let again: Vec<_> = script.seen.drain(..).map(|sent| sent.command()).collect();
    let [again] = &again[..] else { panic!("{again:?}") };
    assert_eq!(again.cdb, old.cdb, "and not {:?}", behind.cdb);
    assert_eq!(script.initiator.poll_event(), None, "the connection goes on");
    script.initiator.check();
}

#[test]
fn a_target_that_asks_us_to_go_is_left_and_come_back_to() {
    let mut script = Script::connected(options());
    let stream = script.stream();
    let event = AsyncEvent::LogoutRequest { within_s: 1 };
    let message = AsyncMessage { lun: Lun::default(), numbers: script.count(stream), event };
    let bytes = script.pdu(stream, &message.encode(0), &[]);
    script.deliver(stream, &bytes);
    assert!(matches!(script.initiator.poll_event(), Some(InitiatorEvent::ConnectionLost(_))));
    script.env.advance(Duration::from_secs(1));
    script.run();
    assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::Reconnected));
}

#[test]
fn a_target_that_has_moved_is_followed_but_not_for_ever() {
    let mut script = Script::begin(options());
    script.refuse = Some(Refusal::MovedTemporarily("10.0.0.2:3260,1".to_owned()));
    script.run();
    assert_eq!(script.env.streams().len(), 5);
    assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::Failed(Failure::MovedOften)));
}

#[test]
fn chap_lets_in_and_a_refusal_is_final() {
    let secret = |text: &str| Secret::new(text.as_bytes()).unwrap();
    let account = ChapAccount { name: "user".to_owned(), secret: secret("one secret"), mutual: None };
    let accounts = ChapAccounts {
        accounts: vec![account],
        algorithms: ChapAlgorithm::ALL.to_vec(),
        mutual_required: false,
    };
    let authentication = Authentication::Required(Rc::new(accounts));
    let with = |text: &str| InitiatorOptions {
        chap: Some(ChapOptions::one_way("user".to_owned(), secret(text))),
        ..options()
    };
    let mut begun = Script::begin(with("one secret"));
    begun.authentication = authentication.clone();
    begun.up();
    let mut begun = Script::begin(with("another"));
    begun.authentication = authentication;
    begun.run();
    let failed = begun.initiator.poll_event();
    assert!(matches!(failed, Some(InitiatorEvent::Failed(Failure::Connection(_)))), "{failed:?}");
    assert!(!format!("{:?}", begun.initiator).contains("another"), "secrets are not shown");
}

#[test]
fn the_order_of_commands_goes_on_after_a_loss() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Read, 0, 1);
    let before = script.submit(io);
    let stream = script.stream();
    script.env.finish(stream);
    script.run();
    script.env.advance(Duration::from_secs(1));
    script.run();
    let after = script.seen.pop().unwrap().command();
    assert_eq!(after.cdb, before.cdb);
    assert!(before.cmd_sn.precedes(after.cmd_sn), "{:?} {:?}", before.cmd_sn, after.cmd_sn);
    assert_ne!(after.cmd_sn, Serial(0));
}

/// The most data of one PDU that the initiator takes.
const SEGMENT_LEN: usize = 256 << 10;
