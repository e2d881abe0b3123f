//! A controller that breaks the protocol is told so in the standard's words, that connection ends, and the host goes on
//! over the next one.

mod script;

use block::{Op, Status as Outcome};
use core::time::Duration;
use nvme::host::tcp::QueueEnd;
use nvme::host::{Failure, HostEvent, HostOptions};
use script::pdu::{self, Sent};
use script::{Script, options};
use wire::nvme::tcp::{Digests, FatalErrorStatus, TermReq};
use wire::nvme::{NvmOpcode, Status, SubmissionQueueEntry};
use zerocopy::little_endian::U16;

const NONE: Digests = Digests { header: false, data: false };
const BOTH: Digests = Digests { header: true, data: true };

/// What the controller sends, given an outstanding read of 8 KiB and a write of 64 KiB.
type Bytes = fn(&SubmissionQueueEntry, &SubmissionQueueEntry) -> Vec<u8>;

fn stranger(command: &SubmissionQueueEntry) -> SubmissionQueueEntry {
    SubmissionQueueEntry { command_id: U16::new(command.command_id.get() ^ 0x5555), ..*command }
}

fn patched(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

const SCRIPTS: &[(&str, Bytes, FatalErrorStatus, u32)] = {
    use FatalErrorStatus::{DataTransferOutOfRange, InvalidHeaderField, LimitExceeded, SequenceError};
    &[
        ("a type that is not defined", |_, _| vec![0x0a, 0, 24, 0, 24, 0, 0, 0], InvalidHeaderField, 0),
        ("a type of the host's", |_, _| vec![0x04, 0, 72, 0, 72, 0, 0, 0], InvalidHeaderField, 0),
        ("a second ICResp", |_, _| vec![0x01, 0, 128, 0, 128, 0, 0, 0], SequenceError, 0),
        ("a header too short", |_, _| vec![0x05, 0, 23, 0, 24, 0, 0, 0], InvalidHeaderField, 2),
        ("a response too long", |_, _| vec![0x05, 0, 24, 0, 25, 0, 0, 0], InvalidHeaderField, 4),
        ("flags of another type", |_, _| vec![0x05, 4, 24, 0, 24, 0, 0, 0], InvalidHeaderField, 1),
        ("a digest not agreed on", |_, _| vec![0x05, 1, 24, 0, 28, 0, 0, 0], InvalidHeaderField, 1),
        ("data inside the header", |_, _| vec![0x07, 4, 24, 20, 32, 0, 0, 0], InvalidHeaderField, 3),
        (
            "4 GiB of data",
            |_, _| [[0x07, 4, 24, 24, 255, 255, 255, 255], [0; 8], [0; 8]].concat(),
            InvalidHeaderField,
            16,
        ),
        ("success before the last data", |_, _| vec![0x07, 8, 24, 24, 32, 0, 0, 0], InvalidHeaderField, 1),
        (
            "a response to nothing",
            |read, _| pdu::response(&stranger(read), Status::SUCCESS, 0, NONE),
            InvalidHeaderField,
            20,
        ),
        (
            "data of nothing",
            |read, _| pdu::data(&stranger(read), 0, &[0; 8], true, false, NONE),
            InvalidHeaderField,
            8,
        ),
        (
            "data for a write",
            |_, write| pdu::data(write, 0, &[0; 8], true, false, NONE),
            InvalidHeaderField,
            8,
        ),
        (
            "lengths that disagree",
            |read, _| patched(pdu::data(read, 0, &[0; 8], true, false, NONE), 16, 4),
            InvalidHeaderField,
            16,
        ),
        (
            "data with a hole",
            |read, _| pdu::data(read, 4, &[0; 8], true, false, NONE),
            InvalidHeaderField,
            12,
        ),
        (
            "data past the end",
            |read, _| pdu::data(read, 8188, &[0; 8], true, false, NONE),
            DataTransferOutOfRange,
            0,
        ),
        (
            "data that comes twice",
            |read, _| {
                let once = pdu::data(read, 0, &[0; 4096], false, false, NONE);
                [once.clone(), once].concat()
            },
            InvalidHeaderField,
            12,
        ),
        (
            "data after the last",
            |read, _| {
                let last = pdu::data(read, 0, &[0; 4096], true, false, NONE);
                [last, pdu::data(read, 4096, &[0; 4096], true, false, NONE)].concat()
            },
            SequenceError,
            0,
        ),
        (
            "success with half the data",
            |read, _| pdu::data(read, 0, &[0; 4096], true, true, NONE),
            SequenceError,
            0,
        ),
        ("success without data", |read, _| pdu::response(read, Status::SUCCESS, 0, NONE), SequenceError, 0),
        (
            "a write done without data",
            |_, write| pdu::response(write, Status::SUCCESS, 0, NONE),
            SequenceError,
            0,
        ),
        ("an R2T for a read", |read, _| pdu::r2t(read, 1, 0, 4096, NONE), InvalidHeaderField, 8),
        (
            "an R2T for nothing",
            |_, write| pdu::r2t(&stranger(write), 1, 0, 4096, NONE),
            InvalidHeaderField,
            8,
        ),
        ("an R2T of no bytes", |_, write| pdu::r2t(write, 1, 0, 0, NONE), InvalidHeaderField, 16),
        ("an R2T past the end", |_, write| pdu::r2t(write, 1, 0, 65_540, NONE), DataTransferOutOfRange, 0),
        ("an R2T with a hole", |_, write| pdu::r2t(write, 1, 4096, 4096, NONE), InvalidHeaderField, 12),
        (
            "two R2Ts at once",
            |_, write| {
                [pdu::r2t(write, 1, 0, 32_768, NONE), pdu::r2t(write, 2, 32_768, 32_768, NONE)].concat()
            },
            LimitExceeded,
            0,
        ),
    ]
};

/// Outstanding: a read of two blocks and a write of sixteen.
fn prepared(options: HostOptions) -> (Script, SubmissionQueueEntry, SubmissionQueueEntry) {
    let mut script = Script::connected(options);
    let read = script.io(1, Op::Read, 0, 2);
    let write = script.io(2, Op::Write, 100, 16);
    let read = script.submit(read);
    let write = script.submit(write);
    (script, read, write)
}

/// The termination request the host sent last on a stream that it then closed.
fn termination(script: &mut Script, stream: stdx::env::StreamId) -> Option<TermReq> {
    assert_eq!(script.env.stream(stream).closed, Some(false));
    script.seen.iter().rev().find_map(|(on, sent)| match sent {
        Sent::Terminated(request) if *on == stream => Some(*request),
        _ => None,
    })
}

#[test]
fn each_violation_has_its_fatal_error() {
    for (name, bytes, status, information) in SCRIPTS {
        let (mut script, read, write) = prepared(options());
        let stream = script.io_stream();
        script.deliver(stream, &bytes(&read, &write));
        assert!(script.env.stream(stream).closed.is_some(), "{name}: not noticed");
        let request = termination(&mut script, stream).unwrap_or_else(|| panic!("{name}: not told"));
        assert_eq!((request.status(), request.information), (Some(*status), *information), "{name}");
        let lost = script.host.poll_event();
        let malformed =
            matches!(lost, Some(HostEvent::ConnectionLost(Failure::Queue(QueueEnd::Malformed(_)))));
        assert!(malformed, "{name}: {lost:?}");
        assert!(script.done().is_empty(), "{name}: requests wait");
        go_on(&mut script, name);
    }
}

/// The next connection comes, and both requests with it.
fn go_on(script: &mut Script, name: &str) {
    script.seen.clear();
    script.env.advance(Duration::from_secs(1));
    script.run();
    let again: Vec<u8> = script
        .seen
        .iter()
        .filter(|(_, sent)| !sent.is_event_request())
        .map(|(_, sent)| match sent {
            Sent::Command { command, .. } => command.opcode,
            other => panic!("{name}: {other:?}"),
        })
        .collect();
    assert_eq!(again, [NvmOpcode::Read.code(), NvmOpcode::Write.code()], "{name}");
    assert_eq!(script.host.poll_event(), Some(HostEvent::Reconnected), "{name}");
}

#[test]
fn every_violation_survives_being_cut_into_bytes() {
    // The host answers an R2T before it has seen the next, which then is not one too many.
    let scripts = SCRIPTS.iter().filter(|(_, _, status, _)| *status != FatalErrorStatus::LimitExceeded);
    for (name, bytes, status, _) in scripts {
        let (mut script, read, write) = prepared(options());
        let stream = script.io_stream();
        for byte in bytes(&read, &write) {
            if script.env.stream(stream).closed.is_none() {
                script.deliver(stream, &[byte]);
            }
        }
        assert!(script.env.stream(stream).closed.is_some(), "{name}: not noticed");
        let request = termination(&mut script, stream).unwrap_or_else(|| panic!("{name}: not told"));
        assert_eq!(request.status(), Some(*status), "{name}");
    }
}

#[test]
fn a_header_whose_digest_is_wrong_ends_the_connection() {
    let (mut script, read, _) = prepared(HostOptions { digests: BOTH, ..options() });
    let stream = script.io_stream();
    let response = pdu::response(&read, Status::INVALID_FIELD, 0, BOTH);
    script.deliver(stream, &patched(response, 24, 0));
    let request = termination(&mut script, stream).unwrap();
    assert_eq!(request.status(), Some(FatalErrorStatus::HeaderDigestError));
}

#[test]
fn data_whose_digest_is_wrong_is_asked_for_again() {
    let (mut script, read, _) = prepared(HostOptions { digests: BOTH, ..options() });
    let stream = script.io_stream();
    let mut bytes = pdu::data(&read, 0, &[7; 8192], true, true, BOTH);
    *bytes.last_mut().unwrap() ^= 1;
    script.deliver(stream, &bytes);
    assert!(script.done().is_empty());
    script.env.advance(Duration::from_millis(200));
    script.run();
    let Some((_, Sent::Command { command, .. })) = script.seen.pop() else { panic!("not asked again") };
    assert_eq!((command.opcode, command.cdw10), (read.opcode, read.cdw10));
    script.deliver(stream, &pdu::data(&command, 0, &[7; 8192], true, true, BOTH));
    let done = script.done();
    assert_eq!((done[0].tag, done[0].status), (1, Outcome::Ok));
    assert_eq!(script.host.poll_event(), None, "the connection is as good as before");
}

#[test]
fn a_termination_request_is_believed() {
    let (mut script, ..) = prepared(options());
    let stream = script.io_stream();
    let mut bytes = vec![0; 24];
    bytes[..10].copy_from_slice(&[3, 0, 24, 0, 24, 0, 0, 0, 2, 0]);
    script.deliver(stream, &bytes);
    let lost = HostEvent::ConnectionLost(Failure::Queue(QueueEnd::Terminated { status: 2, information: 0 }));
    assert_eq!(script.host.poll_event(), Some(lost));
    assert_eq!(termination(&mut script, stream), None, "it has the last word");
    go_on(&mut script, "terminated");
}

#[test]
fn a_controller_that_ends_the_stream_is_connected_to_again() {
    let (mut script, ..) = prepared(options());
    let stream = script.io_stream();
    script.env.finish(stream);
    script.run();
    let lost = HostEvent::ConnectionLost(Failure::Queue(QueueEnd::ByPeer));
    assert_eq!(script.host.poll_event(), Some(lost));
    go_on(&mut script, "ended");
}

#[test]
fn digests_that_were_not_asked_for_are_final() {
    let mut script = Script::begin(options());
    script.digests = BOTH;
    script.run();
    assert_eq!(script.host.poll_event(), Some(HostEvent::Failed(Failure::Queue(QueueEnd::Digests))));
}
