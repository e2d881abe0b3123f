//! Hosts that break the rules of the TCP transport: each gets exactly the termination the standard names, is cut off
//! alone, and leaves nothing behind.

mod support;

use std::time::Duration;
use stdx::env::StreamId;
use support::host::{Answer, Form};
use support::{World, long_write, pattern, read, write};
use wire::nvme::tcp::{DataAlignment, Digests, FatalErrorStatus, H2cData, Receiver, TermReq};
use wire::nvme::{AdminOpcode, Sgl, Status, SubmissionQueueEntry};

/// What a terminate request must say: status, information, and how many bytes of the offending header it shows.
type Blame = (FatalErrorStatus, u32, usize);

use FatalErrorStatus::{
    DataTransferOutOfRange, HeaderDigestError, InvalidHeaderField, LimitExceeded, SequenceError,
    UnsupportedParameter,
};

/// Bytes that end a connection: the last answer is a terminate request with this blame, and it shows what was sent last.
fn expect_termination(world: &mut World, stream: StreamId, form: &Form, bytes: &[u8], blame: Blame) {
    let answers = world.exchange(stream, form, bytes);
    let Some(Answer::Terminated(request, offending)) = answers.last() else { panic!("{answers:?}") };
    let (status, information, shown) = blame;
    assert_eq!((request.status(), request.information), (Some(status), information));
    assert_eq!(offending.len(), shown);
    assert!(bytes.windows(shown).any(|window| window == offending), "it shows what was sent");
    // Nothing more is answered, whatever comes; the host's end of the stream ends it.
    assert_eq!(world.exchange(stream, form, &form.capsule(&read(99, 0, 1), &[])), []);
    assert_eq!(world.env.stream(stream).closed, None);
    world.env.finish(stream);
    world.run();
    assert_eq!(world.env.stream(stream).closed, Some(false));
}

/// The same on a connection whose queue is established, while another one works on.
fn expect_termination_of_queue(
    form: &Form,
    make: impl FnOnce(&mut World, StreamId) -> Vec<u8>,
    blame: Blame,
) {
    let mut world = World::new();
    let (admin, controller) = world.admin(form);
    let stream = world.io(form, controller, true);
    let bytes = make(&mut world, stream);
    expect_termination(&mut world, stream, form, &bytes, blame);
    let answers = world.exchange(admin, form, &form.capsule(&keep_alive(5), &[]));
    let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
    assert!(completion.status().is_success());
    let again = world.io(form, controller, true);
    let answers = world.exchange(again, form, &form.capsule(&read(1, 0, 1), &[]));
    assert!(matches!(answers[..], [Answer::Data(..), Answer::Response(_)]));
}

fn keep_alive(command_id: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry::new(AdminOpcode::KeepAlive.code(), command_id)
}

fn both() -> Form {
    Form { digests: Digests { header: true, data: true }, alignment: DataAlignment::default() }
}

/// A capsule whose common header was changed.
fn spoiled(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = Form::default().capsule(&write(1, 0, 1), &[1; 512]);
    bytes[at] = value;
    bytes
}

#[test]
fn common_headers_that_are_wrong() {
    let cases: [(usize, u8, Blame); 8] = [
        (0, 0x0a, (InvalidHeaderField, 0, 8)), // no such type
        (0, 0x07, (InvalidHeaderField, 0, 8)), // C2HData from a host
        (0, 0x00, (SequenceError, 0, 8)),      // a second ICReq
        (1, 0x10, (InvalidHeaderField, 1, 8)), // no such flag
        (1, 0x01, (InvalidHeaderField, 1, 8)), // a digest that was not agreed on
        (2, 73, (InvalidHeaderField, 2, 8)),   // HLEN
        (3, 70, (InvalidHeaderField, 3, 8)),   // PDO inside the header
        (6, 1, (LimitExceeded, 0, 8)),         // PLEN beyond the capsule
    ];
    for (at, value, blame) in cases {
        expect_termination_of_queue(&Form::default(), |_, _| spoiled(at, value), blame);
    }
    let short = {
        let mut bytes = spoiled(4, 60);
        bytes[5] = 0;
        bytes
    };
    expect_termination_of_queue(&Form::default(), |_, _| short, (InvalidHeaderField, 4, 8));
}

#[test]
fn a_header_that_does_not_match_its_digest() {
    let bytes = |_: &mut World, _: StreamId| {
        let mut bytes = both().capsule(&read(1, 0, 1), &[]);
        bytes[50] ^= 4;
        bytes
    };
    expect_termination_of_queue(&both(), bytes, (HeaderDigestError, 0, 72));
}

#[test]
fn initialization_that_goes_wrong() {
    let cases: [(usize, u8, Blame); 6] = [
        (8, 1, (UnsupportedParameter, 8, 128)),  // PFV
        (10, 32, (InvalidHeaderField, 10, 128)), // HPDA
        (11, 4, (InvalidHeaderField, 11, 128)),  // DGST
        (0, 4, (SequenceError, 0, 8)),           // a capsule first
        (0, 6, (SequenceError, 0, 8)),           // data first
        (4, 127, (InvalidHeaderField, 4, 8)),    // PLEN
    ];
    for (at, value, blame) in cases {
        let mut world = World::new();
        let stream = world.arrive();
        let mut bytes = Form::default().initialize();
        bytes[at] = value;
        expect_termination(&mut world, stream, &Form::default(), &bytes, blame);
    }
}

#[test]
fn data_before_connect() {
    let mut world = World::new();
    let form = Form::default();
    let stream = world.arrive();
    world.exchange(stream, &form, &form.initialize());
    let header = H2cData { command_id: 0, transfer_tag: 0, offset: 0, length: 512, last: true };
    expect_termination(&mut world, stream, &form, &form.data(&header, &[0; 512]), (SequenceError, 0, 24));
}

#[test]
fn a_command_before_connect_is_refused_and_connect_still_works() {
    let mut world = World::new();
    let form = Form::default();
    let stream = world.arrive();
    world.exchange(stream, &form, &form.initialize());
    let answers = world.exchange(stream, &form, &form.capsule(&write(9, 0, 1), &[0; 512]));
    let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(completion.status().kind(), Status::COMMAND_SEQUENCE_ERROR);
    let answers = world.exchange(stream, &form, &form.connect(0, 0xffff, 32, true));
    assert!(matches!(&answers[..], [Answer::Response(completion)] if completion.status().is_success()));
}

/// Asks for a long write, and gives the tag of the R2T.
fn ask(world: &mut World, stream: StreamId, command_id: u16, blocks: u32) -> u16 {
    let form = Form::default();
    let answers = world.exchange(stream, &form, &form.capsule(&long_write(command_id, 0, blocks), &[]));
    let [Answer::Ready(ready)] = answers[..] else { panic!("{answers:?}") };
    ready.transfer_tag
}

fn data_case(change: impl FnOnce(&mut H2cData), blame: Blame) {
    let make = |world: &mut World, stream| {
        let transfer_tag = ask(world, stream, 3, 128);
        let mut header = H2cData { command_id: 3, transfer_tag, offset: 0, length: 4096, last: false };
        change(&mut header);
        Form::default().data(&header, &pattern(header.length as usize, 1))
    };
    expect_termination_of_queue(&Form::default(), make, blame);
}

#[test]
fn data_that_nobody_asked_for() {
    data_case(|header| header.transfer_tag = 77, (InvalidHeaderField, 10, 24));
    data_case(|header| header.command_id = 4, (InvalidHeaderField, 8, 24));
    data_case(|header| header.offset = 4096, (DataTransferOutOfRange, 0, 24));
    data_case(|header| header.length = 68 << 10, (DataTransferOutOfRange, 0, 24));
    data_case(|header| header.offset = u32::MAX - 3, (DataTransferOutOfRange, 0, 24));
    data_case(|header| header.last = true, (InvalidHeaderField, 1, 24));
    data_case(|header| header.length = 64 << 10, (InvalidHeaderField, 1, 24));
    data_case(|header| header.length = (1 << 20) + 4, (LimitExceeded, 0, 8));
    let lying = |world: &mut World, stream| {
        let transfer_tag = ask(world, stream, 3, 128);
        let header = H2cData { command_id: 3, transfer_tag, offset: 0, length: 4096, last: false };
        let mut bytes = Form::default().data(&header, &[0; 4096]);
        bytes[16] = 4;
        bytes
    };
    expect_termination_of_queue(&Form::default(), lying, (InvalidHeaderField, 16, 24));
}

#[test]
fn data_for_a_command_that_brought_it_along() {
    let make = |_: &mut World, _: StreamId| {
        let form = Form::default();
        let mut bytes = form.capsule(&write(3, 0, 1), &[0; 512]);
        let header = H2cData { command_id: 3, transfer_tag: 0, offset: 0, length: 512, last: true };
        bytes.extend(form.data(&header, &[0; 512]));
        bytes
    };
    expect_termination_of_queue(&Form::default(), make, (InvalidHeaderField, 10, 24));
}

#[test]
fn an_identifier_in_use_is_a_conflict() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    let tag = ask(&mut world, stream, 3, 128);
    let answers = world.exchange(stream, &form, &form.capsule(&read(3, 0, 1), &[]));
    let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(completion.status().kind(), Status::COMMAND_ID_CONFLICT);
    let header = H2cData { command_id: 3, transfer_tag: tag, offset: 0, length: 64 << 10, last: true };
    let answers = world.exchange(stream, &form, &form.data(&header, &pattern(64 << 10, 0)));
    assert!(matches!(&answers[..], [Answer::Response(completion)] if completion.status().is_success()));
}

#[test]
fn more_commands_than_the_queue_has_entries_all_waiting_for_data() {
    let make = |world: &mut World, stream| {
        (0..128).for_each(|id| {
            ask(world, stream, id, 8);
        });
        Form::default().capsule(&long_write(200, 0, 8), &[])
    };
    expect_termination_of_queue(&Form::default(), make, (SequenceError, 0, 72));
}

#[test]
fn capsule_data_outside_the_capsule_fails_the_command() {
    let form = Form::default();
    let mut world = World::new();
    let (_, controller) = world.admin(&form);
    let stream = world.io(&form, controller, true);
    for sgl in [Sgl::InCapsule { offset: 4, length: 512 }, Sgl::InCapsule { offset: u64::MAX, length: 512 }] {
        let command = support::io(wire::nvme::NvmOpcode::Write, 3, 0, 1, sgl);
        let mut bytes = form.capsule(&command, &[5; 512]);
        bytes.extend(form.capsule(&read(4, 0, 1), &[]));
        let answers = world.exchange(stream, &form, &bytes);
        let [Answer::Response(refused), Answer::Data(_, data), Answer::Response(_)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(refused.status().kind(), Status::SGL_OFFSET_INVALID);
        assert!(data.iter().all(|&byte| byte == 0), "nothing was written");
    }
}

#[test]
fn a_host_that_terminates_is_let_go() {
    let form = Form::default();
    let mut world = World::new();
    let (stream, _) = world.admin(&form);
    let mut bytes = [0; 152];
    let request = TermReq { status_code: 1, information: 0 };
    let len = request.encode(Receiver::Controller, &[7; 24], &mut bytes).unwrap();
    assert_eq!(world.exchange(stream, &form, &bytes[..len]), []);
    assert_eq!(world.env.stream(stream).closed, Some(false));
    assert_eq!(world.server.connections().count(), 0);
}

#[test]
fn a_host_that_does_not_close_is_cut_off() {
    let form = Form::default();
    let mut world = World::new();
    let stream = world.arrive();
    world.exchange(stream, &form, &[0xff; 128]);
    world.env.advance(Duration::from_secs(29));
    world.server.handle_timeout(&mut world.env, &mut world.target);
    assert_eq!(world.env.stream(stream).closed, None);
    world.env.advance(Duration::from_secs(2));
    world.server.handle_timeout(&mut world.env, &mut world.target);
    assert_eq!(world.env.stream(stream).closed, Some(true));
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_off() {
    let form = Form::default();
    let mut world = World::new();
    let (patient, _) = world.admin(&form);
    let silent = world.arrive();
    let slow = world.arrive();
    world.exchange(slow, &form, &form.initialize());
    world.env.advance(world.server.limits().handshake_time);
    assert!(world.server.deadline().unwrap() <= stdx::env::Env::now(&world.env));
    world.server.handle_timeout(&mut world.env, &mut world.target);
    world.run();
    assert_eq!(world.env.stream(silent).closed, Some(true));
    assert_eq!(world.env.stream(slow).closed, Some(true));
    assert_eq!(world.env.stream(patient).closed, None);
    assert_eq!(world.server.counters().handshakes_timed_out, 2);
}
