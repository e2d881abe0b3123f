//! A target that breaks the protocol loses the connection, nothing of what it sent counts, and the initiator goes on over
//! the next one.

mod script;

use block::{Op, Status as Outcome};
use core::time::Duration;
use script::{Script, options};
use scsi::iscsi::initiator::{Failure, InitiatorEvent, InitiatorOptions};
use scsi::iscsi::login::DigestPolicy;
use stdx::env::Env;
use wire::iscsi::{NopIn, Opcode, RESERVED_TAG, Reject, RejectReason, Residual, ScsiCommand, Serial};
use wire::scsi::{Lun, Sense, SenseKey, Status};

/// What the target sends, given an outstanding read of 8 KiB and a write of 512 KiB.
type Bytes = fn(&mut Script, &ScsiCommand, &ScsiCommand) -> Vec<u8>;

fn stranger(command: &ScsiCommand) -> ScsiCommand {
    ScsiCommand { task_tag: command.task_tag ^ 0x5555, ..*command }
}

fn patched(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

fn header(opcode: u8) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    (bytes[0], bytes[1]) = (opcode, 0x80);
    bytes
}

const SCRIPTS: &[(&str, Bytes)] = &[
    ("an operation code that is none", |_, _, _| header(0x1c)),
    ("a command of its own", |_, _, _| header(0x01)),
    ("a login response late", |_, _, _| header(0x23)),
    ("more data than we take", |_, _, _| patched(header(0x25), 5, 0xff)),
    ("text that was not asked for", |script, read, _| {
        let bytes = script.good(read);
        patched(bytes, 0, 0x24)
    }),
    ("additional headers", |script, read, _| {
        let bytes = script.good(read);
        patched(bytes, 4, 1)
    }),
    ("a response to nothing", |script, read, _| script.good(&stranger(read))),
    ("a response one too early", |script, read, _| {
        let stream = script.stream();
        script.count(stream);
        script.response(read, Status::Busy, None, Residual::Underflow(8192))
    }),
    ("a response twice", |script, read, _| {
        let first = script.response(read, Status::Busy, None, Residual::Underflow(8192));
        [first.clone(), first].concat()
    }),
    ("a read done without data", |script, read, _| script.good(read)),
    ("a write done without data", |script, _, write| script.good(write)),
    ("data of nothing", |script, read, _| script.data(&stranger(read), 0, 0, &[0; 8], false)),
    ("data for a write", |script, _, write| script.data(write, 0, 0, &[0; 8], false)),
    ("data with a hole", |script, read, _| script.data(read, 0, 4, &[0; 8], false)),
    ("data past the end", |script, read, _| {
        let front = script.data(read, 0, 0, &[0; 8188], false);
        [front, script.data(read, 1, 8188, &[0; 8], false)].concat()
    }),
    ("data at the end of all numbers", |script, read, _| script.data(read, 0, u32::MAX - 7, &[0; 8], false)),
    ("data that comes twice", |script, read, _| {
        let once = script.data(read, 0, 0, &[0; 4096], false);
        [once.clone(), once].concat()
    }),
    ("data out of its order", |script, read, _| script.data(read, 1, 0, &[0; 4096], false)),
    ("data after the status", |script, read, _| {
        let last = script.data(read, 0, 0, &[0; 4096], true);
        [last, script.data(read, 1, 4096, &[0; 4096], false)].concat()
    }),
    ("an R2T for a read", |script, read, _| script.r2t(read, 0, 0, 4096)),
    ("an R2T for nothing", |script, _, write| script.r2t(&stranger(write), 0, 262_144, 4096)),
    ("an R2T of no bytes", |script, _, write| script.r2t(write, 0, 262_144, 0)),
    ("an R2T past the end", |script, _, write| script.r2t(write, 0, 262_144, 262_148)),
    ("an R2T at the end of all numbers", |script, _, write| script.r2t(write, 0, u32::MAX, u32::MAX)),
    ("an R2T for what was sent unasked", |script, _, write| script.r2t(write, 0, 0, 4096)),
    ("an R2T with a hole", |script, _, write| script.r2t(write, 0, 266_240, 4096)),
    ("an R2T out of its order", |script, _, write| script.r2t(write, 1, 262_144, 4096)),
    ("a pong that nobody asked for", |script, _, _| {
        let stream = script.stream();
        let numbers = script.count(stream);
        let pong = NopIn { lun: Lun::default(), task_tag: 0x5555, transfer_tag: RESERVED_TAG, numbers };
        script.pdu(stream, &pong.encode(0), &[])
    }),
    ("a Reject", |script, _, _| {
        let stream = script.stream();
        let numbers = script.count(stream);
        let reject = Reject { reason: RejectReason::ProtocolError, numbers, data_sn: Serial(0) };
        script.pdu(stream, &reject.encode(48), &[0; 48])
    }),
    ("a message that none is", |script, read, _| {
        let bytes = script.good(read);
        patched(patched(bytes, 0, 0x32), 36, 99)
    }),
];

/// Outstanding: a read of two blocks and a write of 128, half of which went unasked.
fn prepared(options: InitiatorOptions) -> (Script, ScsiCommand, ScsiCommand) {
    let mut script = Script::connected(options);
    let read = script.io(1, Op::Read, 0, 2);
    let write = script.io(2, Op::Write, 100, 128);
    let read = script.submit(read);
    let write = script.submit(write);
    script.seen.clear();
    (script, read, write)
}

/// The next connection comes, and both requests with it.
fn go_on(script: &mut Script, name: &str) {
    let lost = script.initiator.poll_event();
    assert!(matches!(lost, Some(InitiatorEvent::ConnectionLost(Failure::Connection(_)))), "{name}: {lost:?}");
    assert!(script.done().is_empty(), "{name}: requests wait");
    script.seen.clear();
    script.env.advance(Duration::from_secs(1));
    script.run();
    let commands = script.seen.iter().filter(|sent| sent.opcode() == Opcode::ScsiCommand);
    let again: Vec<u8> = commands.map(|sent| sent.command().cdb.operation_code()).collect();
    assert_eq!(again, [0x88, 0x8a], "{name}");
    assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::Reconnected), "{name}");
}

#[test]
fn each_violation_ends_the_connection_and_no_request() {
    for (name, bytes) in SCRIPTS {
        let (mut script, read, write) = prepared(options());
        let stream = script.stream();
        let bytes = bytes(&mut script, &read, &write);
        script.deliver(stream, &bytes);
        assert!(script.env.stream(stream).closed.is_some(), "{name}: not noticed");
        // What came before these has ended a request, or has it tried again.
        if !["a response twice", "data after the status"].contains(name) {
            go_on(&mut script, name);
        }
    }
}

#[test]
fn every_violation_survives_being_cut_into_bytes() {
    for (name, bytes) in SCRIPTS {
        let (mut script, read, write) = prepared(options());
        let stream = script.stream();
        for byte in bytes(&mut script, &read, &write) {
            if script.env.stream(stream).closed.is_none() {
                script.deliver(stream, &[byte]);
            }
        }
        assert!(script.env.stream(stream).closed.is_some(), "{name}: not noticed");
    }
}

fn with_digests() -> InitiatorOptions {
    let digest = DigestPolicy::Required;
    InitiatorOptions { header_digest: digest, data_digest: digest, ..options() }
}

#[test]
fn what_does_not_match_its_digest_ends_the_connection() {
    // The last byte of a header's digest, and of the data's.
    for from_end in [1, 4 + 8192 + 1] {
        let (mut script, read, _) = prepared(with_digests());
        let stream = script.stream();
        let mut bytes = script.data(&read, 0, 0, &[7; 8192], true);
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        script.deliver(stream, &bytes);
        go_on(&mut script, "a digest");
    }
}

#[test]
fn with_digests_data_arrives_however_it_is_cut() {
    for cut in [1, 7, 48, 1000, usize::MAX] {
        let (mut script, read, write) = prepared(with_digests());
        let stream = script.stream();
        script.env.stream(stream).cut = cut;
        let pattern: Vec<u8> = (0..8192).map(|at| (at / 3) as u8).collect();
        let mut bytes = script.data(&read, 0, 0, &pattern[..5001], false);
        bytes.extend(script.data(&read, 1, 5001, &pattern[5001..], true));
        script.deliver(stream, &bytes);
        let done = script.done();
        assert_eq!((done[0].tag, done[0].status), (1, Outcome::Ok), "{cut}");
        let mut arrived = vec![0; 8192];
        script.env.mem().read(done[0].data, &mut arrived);
        assert_eq!(arrived, pattern, "{cut}");
        let r2t = script.r2t(&write, 0, 262_144, 262_144);
        script.deliver(stream, &r2t);
        let good = script.good(&write);
        script.deliver(stream, &good);
        assert_eq!(script.done()[0].status, Outcome::Ok);
    }
}

#[test]
fn a_damaged_command_is_tried_again() {
    let (mut script, read, _) = prepared(options());
    let stream = script.stream();
    let sense = Sense::new(SenseKey::AbortedCommand, 0x47, 0x05);
    let bytes = script.response(&read, Status::CheckCondition, Some(sense), Residual::Underflow(8192));
    script.deliver(stream, &bytes);
    assert!(script.done().is_empty());
    script.env.advance(Duration::from_millis(200));
    script.run();
    let again = script.seen.pop().expect("asked again").command();
    assert_eq!(again.cdb, read.cdb);
    let bytes = script.data(&again, 0, 0, &[7; 8192], true);
    script.deliver(stream, &bytes);
    assert_eq!((script.done()[0].status, script.initiator.poll_event()), (Outcome::Ok, None));
}

#[test]
fn a_target_that_ends_the_stream_is_connected_to_again() {
    let (mut script, ..) = prepared(options());
    let stream = script.stream();
    script.env.finish(stream);
    script.run();
    go_on(&mut script, "ended");
}

#[test]
fn more_pings_than_can_be_answered_end_the_connection() {
    let (mut script, ..) = prepared(options());
    let stream = script.stream();
    script.env.stream(stream).room = 0;
    for transfer_tag in 0..100_000 {
        let ping = NopIn {
            lun: Lun::default(),
            task_tag: RESERVED_TAG,
            transfer_tag,
            numbers: script.numbers(stream),
        };
        let bytes = script.pdu(stream, &ping.encode(0), &[]);
        script.deliver(stream, &bytes);
        if script.env.stream(stream).closed.is_some() {
            return;
        }
    }
    panic!("the pongs pile up");
}
