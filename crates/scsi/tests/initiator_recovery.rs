//! Error recovery levels 1 and 2 at the initiator (RFC 7143, sections 7.1.4 and 7.2): what it asks for again, what it sends
//! again, and how a session goes on by another connection.

mod script;

use block::{Op, Status as Outcome};
use script::{Script, Sent, options};
use scsi::iscsi::initiator::InitiatorOptions;
use scsi::iscsi::login::{DigestPolicy, Limits};
use stdx::env::Env;
use stdx::mem::Span;
use wire::iscsi::{
    DataIn, DataOut, LoginRequest, Opcode, RESERVED_TAG, Reject, RejectReason, Residual, ScsiCommand, Serial,
    Snack, SnackType, TaskFunction, TaskRequest, TaskResponse, TaskResult,
};
use wire::scsi::{Lun, Sense, SenseKey, Status};

/// An initiator and a target that agree on this level, and on digests behind data.
fn connected(level: u8) -> Script {
    let options =
        InitiatorOptions { error_recovery_level: level, data_digest: DigestPolicy::Required, ..options() };
    let mut begun = Script::begin(options);
    begun.limits = Limits { error_recovery_level: 2, max_outstanding_r2t: 4, ..Limits::default() };
    begun.up()
}

/// A PDU on its way whose data is damaged.
fn damaged(mut pdu: Vec<u8>) -> Vec<u8> {
    *pdu.last_mut().expect("a digest") ^= 1;
    pdu
}

fn content(script: &mut Script, memory: Span) -> Vec<u8> {
    let mut bytes = vec![0; memory.len()];
    script.env.mem().read(memory, &mut bytes);
    bytes
}

fn snack(script: &mut Script) -> Snack {
    let place = script.seen.iter().position(|sent| sent.opcode() == Opcode::Snack).expect("a SNACK");
    Snack::decode(&script.seen.remove(place).bhs).expect("a SNACK")
}

#[test]
fn damaged_data_is_asked_for_again() {
    let mut script = connected(1);
    let stream = script.stream();
    let io = script.io(1, Op::Read, 10, 3);
    let memory = io.data;
    let command = script.submit(io);
    let pieces = [vec![1; 4096], vec![2; 4096], vec![3; 4096]];
    for (number, piece) in (0..).zip(&pieces) {
        let pdu = script.data(&command, number, number * 4096, piece, false);
        script.deliver(stream, &if number == 1 { damaged(pdu) } else { pdu });
    }
    let asked = snack(&mut script);
    assert_eq!(
        (asked.kind, asked.task_tag, asked.tag),
        (SnackType::DataOrR2t, command.task_tag, RESERVED_TAG)
    );
    assert_eq!((asked.begin, asked.run_length), (Serial(1), 1));
    let before = asked.exp_stat_sn;
    let good = script.good(&command);
    script.deliver(stream, &good);
    assert_eq!(script.done(), [], "a part of it is missing");
    // It is damaged once more, and the status is not acknowledged meanwhile.
    let again = script.data(&command, 1, 4096, &pieces[1], false);
    script.deliver(stream, &damaged(again.clone()));
    assert_eq!(snack(&mut script).exp_stat_sn, before);
    script.deliver(stream, &again);
    assert_eq!(script.done()[0].status, Outcome::Ok);
    assert!(content(&mut script, memory) == pieces.concat());
    let io = script.io(2, Op::Read, 10, 1);
    assert_eq!(script.submit(io).exp_stat_sn, before.next(), "now it is");
}

#[test]
fn a_damaged_response_is_asked_for_again() {
    let mut script = connected(1);
    let stream = script.stream();
    let first = script.io(1, Op::Read, 10, 1);
    let first = script.submit(first);
    let second = script.io(2, Op::Read, 20, 1);
    let second = script.submit(second);
    let sense = Sense::new(SenseKey::MediumError, 0x11, 0);
    let failed = script.response(&first, Status::CheckCondition, Some(sense), Residual::Underflow(4096));
    script.deliver(stream, &damaged(failed.clone()));
    let asked = snack(&mut script);
    assert_eq!((asked.kind, asked.task_tag, asked.run_length), (SnackType::Status, RESERVED_TAG, 1));
    assert_eq!(asked.begin, asked.exp_stat_sn);
    let data = script.data(&second, 0, 0, &[7; 4096], true);
    script.deliver(stream, &data);
    assert_eq!(
        script.done().iter().map(|done| (done.tag, done.status)).collect::<Vec<_>>(),
        [(2, Outcome::Ok)]
    );
    script.deliver(stream, &failed);
    assert_eq!(script.done()[0].status, Outcome::ReadError);
}

#[test]
fn a_command_that_came_damaged_is_sent_again_with_its_number() {
    let mut script = connected(1);
    let stream = script.stream();
    let io = script.io(1, Op::Write, 10, 1);
    let command = script.submit(io);
    let numbers = script.count(stream);
    let reject = Reject { reason: RejectReason::DataDigestError, numbers, data_sn: Serial(0) };
    let header = command.encode(4096);
    // The target takes it as not come.
    script.connections.get_mut(&stream).unwrap().exp_cmd_sn.set(command.cmd_sn);
    let bytes = script.pdu(stream, &reject.encode(48), header.bytes());
    script.deliver(stream, &bytes);
    let again: Vec<Sent> = script.seen.drain(..).collect();
    assert_eq!((again.len(), again[0].data.len()), (1, 4096));
    let again = again[0].command();
    assert_eq!((again.cmd_sn, again.task_tag, again.cdb), (command.cmd_sn, command.task_tag, command.cdb));
    let good = script.good(&again);
    script.deliver(stream, &good);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn data_of_a_write_is_sent_again_when_asked() {
    let mut script = connected(1);
    let stream = script.stream();
    let io = script.io(1, Op::Write, 10, 256);
    let command = script.submit(io);
    script.seen.clear();
    for (number, offset) in [(0, 262_144), (1, 262_144)] {
        let r2t = script.r2t(&command, number, offset, 4096);
        script.deliver(stream, &r2t);
        let data: Vec<DataOut> =
            script.seen.drain(..).map(|sent| DataOut::decode(&sent.bhs).expect("data")).collect();
        assert_eq!((data[0].offset, data[0].data_sn, data[0].transfer_tag), (offset, Serial(0), 77 + number));
    }
}

#[test]
fn data_is_acknowledged_when_the_target_asks() {
    let mut script = connected(1);
    let stream = script.stream();
    let io = script.io(1, Op::Read, 10, 2);
    let command = script.submit(io);
    let header = DataIn {
        is_final: true,
        acknowledge: true,
        lun: Lun::from_number(3),
        task_tag: command.task_tag,
        transfer_tag: 0x77,
        numbers: script.numbers(stream),
        data_sn: Serial(0),
        offset: 0,
        status: None,
    };
    let bytes = script.pdu(stream, &header.encode(4096), &[1; 4096]);
    script.deliver(stream, &bytes);
    let said = snack(&mut script);
    assert_eq!((said.kind, said.tag, said.task_tag), (SnackType::DataAck, 0x77, RESERVED_TAG));
    assert_eq!((said.lun, said.begin, said.run_length), (Lun::from_number(3), Serial(1), 0));
}

#[test]
fn a_session_goes_on_by_another_connection() {
    let mut script = connected(2);
    let old = script.stream();
    let io = script.io(1, Op::Read, 10, 3);
    let memory = io.data;
    let taken = script.submit(io);
    let data = script.data(&taken, 0, 0, &[1; 4096], false);
    script.deliver(old, &data);
    let io = script.io(2, Op::Write, 20, 1);
    let lost = script.submit(io);
    // The target had not taken the write when the stream broke.
    script.resume_at = lost.cmd_sn;
    script.env.finish(old);
    script.run();
    let new = script.stream();
    assert_ne!(old, new);
    assert!(script.initiator.is_live() && script.initiator.poll_event().is_none(), "nobody is told");
    let seen: Vec<Sent> = script.seen.drain(..).collect();
    let [reassign, again] = &seen[..] else { panic!("{seen:?}") };
    let reassign = TaskRequest::decode(&reassign.bhs).unwrap();
    assert_eq!(reassign.function, TaskFunction::TaskReassign.code());
    assert!(reassign.immediate && reassign.exp_data_sn == Serial(1));
    assert_eq!(reassign.referenced_tag, taken.task_tag);
    assert_eq!((again.command().cmd_sn, again.command().task_tag), (lost.cmd_sn, lost.task_tag));
    let numbers = script.count(new);
    let response = TaskResponse { result: TaskResult::Complete, task_tag: reassign.task_tag, numbers };
    let bytes = script.pdu(new, &response.encode(), &[]);
    script.deliver(new, &bytes);
    let rest = script.data(&taken, 1, 4096, &[2; 8192], true);
    script.deliver(new, &rest);
    let good = script.good(&lost);
    script.deliver(new, &good);
    let done: Vec<_> = script.done().iter().map(|done| (done.tag, done.status)).collect();
    assert_eq!(done, [(1, Outcome::Ok), (2, Outcome::Ok)]);
    assert!(content(&mut script, memory) == [vec![1; 4096], vec![2; 8192]].concat());
}

#[test]
fn a_target_that_kept_nothing_gets_a_new_session() {
    let mut script = connected(2);
    let old = script.stream();
    let io = script.io(1, Op::Read, 10, 1);
    let taken: ScsiCommand = script.submit(io);
    script.resume_at = taken.cmd_sn.next();
    script.env.finish(old);
    script.run();
    let new = script.stream();
    let reassign = TaskRequest::decode(&script.seen.pop().unwrap().bhs).unwrap();
    let numbers = script.count(new);
    let response = TaskResponse { result: TaskResult::NoSuchTask, task_tag: reassign.task_tag, numbers };
    let bytes = script.pdu(new, &response.encode(), &[]);
    script.deliver(new, &bytes);
    assert!(!script.initiator.is_live());
    script.env.advance(core::time::Duration::from_secs(1));
    script.run();
    let again =
        script.seen.iter().find(|sent| sent.opcode() == Opcode::ScsiCommand).expect("the read").command();
    assert_eq!(again.cdb, taken.cdb);
    let logins = script.seen.iter().filter(|sent| sent.opcode() == Opcode::LoginRequest);
    assert_eq!(logins.filter_map(|sent| LoginRequest::decode(&sent.bhs).ok()).count(), 0);
    assert!(script.initiator.is_live());
}
