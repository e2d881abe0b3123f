//! What the host sends for requests, when it sends it, and what it does about answers that do not come.

mod script;

use block::{Io, Op, Status as Outcome};
use core::time::Duration;
use nvme::host::{Failure, HostEvent, HostOptions};
use script::pdu::{self, Sent};
use script::{Script, options};
use stdx::env::Env;
use stdx::mem::Span;
use wire::nvme::dsm::DatasetRange;
use wire::nvme::identify::NvmControllerData;
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::tcp::Digests;
use wire::nvme::{AdminOpcode, NvmOpcode, Sgl, Status, SubmissionQueueEntry};
use zerocopy::FromBytes;

const NONE: Digests = Digests { header: false, data: false };
const NOTHING: Io =
    Io { tag: 1, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };

fn succeed(script: &mut Script, command: &SubmissionQueueEntry) {
    let stream = script.io_stream();
    script.deliver(stream, &pdu::response(command, Status::SUCCESS, 0, NONE));
}

/// The commands with this opcode that the controller was sent and did not answer.
fn seen(script: &Script, opcode: u8) -> Vec<SubmissionQueueEntry> {
    let commands = script.seen.iter().filter_map(|(_, sent)| match sent {
        Sent::Command { command, .. } if command.opcode == opcode => Some(*command),
        _ => None,
    });
    commands.collect()
}

#[test]
fn a_short_write_goes_in_its_capsule() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Write, 5, 2);
    script.env.mem().fill(io.data, 0xab);
    let channel = script.channel.as_mut().unwrap();
    channel.submit(&mut script.env, io).unwrap();
    channel.poll(&mut script.env, &mut Vec::new());
    script.run();
    let Some((_, Sent::Command { command, data })) = script.seen.pop() else { panic!("no command") };
    assert_eq!(command.data.decode(), Ok(Sgl::InCapsule { offset: 0, length: 8192 }));
    assert_eq!((command.cdw10.get(), command.cdw12.get()), (5, 1));
    assert_eq!(data, [0xab; 8192]);
    succeed(&mut script, &command);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

#[test]
fn a_long_write_is_sent_as_it_is_asked_for() {
    let mut script = Script::connected(options());
    let io = script.io(1, Op::Write, 0, 16);
    for block in 0..16 {
        script.env.mem().fill(io.data.slice(block * 4096, 4096), block as u8);
    }
    let command = script.submit(io);
    assert_eq!(command.data.decode(), Ok(Sgl::Transport { length: 65_536 }));
    let stream = script.io_stream();
    let mut got = Vec::new();
    for (tag, offset, length) in [(7, 0, 40_000), (8, 40_000, 25_536)] {
        script.deliver(stream, &pdu::r2t(&command, tag, offset, length, NONE));
        let mut expected = offset;
        for (_, sent) in std::mem::take(&mut script.seen) {
            let Sent::Data { header, data } = sent else { panic!("{sent:?}") };
            assert_eq!((header.transfer_tag, header.offset), (tag, expected));
            assert_eq!(header.command_id, command.command_id.get());
            assert!(header.length <= 16 << 10, "MAXH2CDATA");
            expected += header.length;
            assert_eq!(header.last, expected == offset + length);
            got.extend(data);
        }
        assert_eq!(expected, offset + length);
    }
    let blocks: Vec<u8> = (0..16).flat_map(|block| [block; 4096]).collect();
    assert_eq!(got, blocks);
    succeed(&mut script, &command);
    assert_eq!(script.done()[0].status, Outcome::Ok);
}

/// A host whose controller has these limits: Write Zeroes of 32 KiB, ranges of 100 blocks.
fn limited() -> Script {
    let mut limits = NvmControllerData::zeroed();
    limits.write_zeroes_size_limit = 3;
    limits.dataset_range_size_limit = 100.into();
    limits.dataset_size_limit = 1000.into();
    let mut script = Script::begin(options());
    script.limits = Some(limits);
    script.up()
}

/// What the commands of a request without data say, each answered when it was seen: opcode, first block, blocks, and FUA.
fn commands_of(script: &mut Script, io: Io) -> Vec<(u8, u64, u32, bool)> {
    let channel = script.channel.as_mut().unwrap();
    channel.submit(&mut script.env, io).unwrap();
    channel.poll(&mut script.env, &mut Vec::new());
    script.run();
    let mut said = Vec::new();
    while !script.seen.is_empty() {
        for (_, sent) in std::mem::take(&mut script.seen) {
            let Sent::Command { command, data } = sent else { panic!("{sent:?}") };
            let block = BlockCommand::read(&command);
            let range = DatasetRange::read_from_bytes(&data).ok();
            let (first, blocks) = match range {
                Some(range) => (range.first_block.get(), range.blocks.get()),
                None if command.opcode == NvmOpcode::Flush.code() => (0, 0),
                None => (block.first_block, block.blocks),
            };
            let durable = range.is_none() && block.control.contains(Control::FORCE_UNIT_ACCESS);
            said.push((command.opcode, first, blocks, durable));
            succeed(script, &command);
        }
    }
    assert_eq!(script.done()[0].status, Outcome::Ok);
    said
}

#[test]
fn zeroing_is_cut_as_the_controller_limits_it() {
    let mut script = limited();
    let zero = Io { op: Op::Zero { deallocate: false }, lba: 5, blocks: 20, fua: true, ..NOTHING };
    let opcode = NvmOpcode::WriteZeroes.code();
    let said = commands_of(&mut script, zero);
    assert_eq!(said, [(opcode, 5, 8, true), (opcode, 13, 8, true), (opcode, 21, 4, true)]);
}

#[test]
fn discards_are_cut_and_a_durable_one_is_flushed() {
    let mut script = limited();
    let discard = Io { op: Op::Discard, lba: 5, blocks: 210, ..NOTHING };
    let opcode = NvmOpcode::DatasetManagement.code();
    let pieces = [(opcode, 5, 100, false), (opcode, 105, 100, false), (opcode, 205, 10, false)];
    assert_eq!(commands_of(&mut script, discard), pieces);
    let said = commands_of(&mut script, Io { fua: true, ..discard });
    assert_eq!(said[..3], pieces);
    assert_eq!(said[3..], [(NvmOpcode::Flush.code(), 0, 0, false)]);
}

#[test]
fn no_more_commands_are_outstanding_than_the_queue_has_room_for() {
    let mut script = Script::connected(HostOptions { queue_size: 8, flow_control: true, ..options() });
    for tag in 0..20 {
        let io = script.io(tag, Op::Read, tag, 1);
        script.channel.as_mut().unwrap().submit(&mut script.env, io).unwrap();
    }
    script.done();
    script.run();
    let mut answered = 0;
    while answered < 20 {
        let commands = seen(&script, NvmOpcode::Read.code());
        script.seen.clear();
        assert!(!commands.is_empty() && commands.len() <= 7);
        for command in commands {
            let stream = script.io_stream();
            let mut bytes = pdu::data(&command, 0, &[1; 4096], true, false, NONE);
            let mut response = pdu::response(&command, Status::SUCCESS, 0, NONE);
            // The head: every command so far was taken.
            answered += 1;
            response[16] = (answered % 8) as u8;
            bytes.extend(response);
            script.env.deliver(stream, &bytes);
        }
        script.run();
    }
    assert_eq!(script.done().len(), 20);
}

#[test]
fn commands_submitted_in_one_turn_leave_in_one_send() {
    let mut script = Script::connected(options());
    let stream = script.io_stream();
    let before = script.env.stream(stream).sends;
    for tag in 0..100 {
        let io = script.io(tag, Op::Read, tag, 1);
        script.channel.as_mut().unwrap().submit(&mut script.env, io).unwrap();
    }
    script.done();
    assert_eq!(script.env.stream(stream).sends, before + 1);
    assert_eq!(pdu::parse(&script.env.stream(stream).sent, NONE).len(), 100);
}

#[test]
fn a_write_that_could_undo_an_answered_one_is_not_sent_again() {
    let mut script = Script::connected(options());
    let apart = script.io(1, Op::Write, 50, 1);
    let first = script.io(2, Op::Write, 0, 2);
    let second = script.io(3, Op::Write, 1, 2);
    script.submit(apart);
    script.submit(first);
    let answered = script.submit(second);
    succeed(&mut script, &answered);
    let stream = script.io_stream();
    script.env.finish(stream);
    script.run();
    let done: Vec<_> = script.done().iter().map(|done| (done.tag, done.status)).collect();
    assert_eq!(done, [(3, Outcome::Ok), (2, Outcome::Aborted)]);
    script.env.advance(Duration::from_secs(1));
    script.run();
    let again = seen(&script, NvmOpcode::Write.code());
    assert_eq!(again.iter().map(|command| command.cdw10.get()).collect::<Vec<_>>(), [50]);
}

#[test]
fn a_late_command_is_aborted_and_then_the_connection_given_up() {
    let timeout = Duration::from_secs(8);
    let mut script = Script::connected(HostOptions { command_timeout: timeout, ..options() });
    let io = script.io(1, Op::Read, 0, 1);
    let command = script.submit(io);
    let step = |script: &mut Script, seconds: u64| {
        for _ in 0..seconds {
            script.env.advance(Duration::from_secs(1));
            script.run();
        }
    };
    step(&mut script, 6);
    assert_eq!(seen(&script, AdminOpcode::Abort.code()), []);
    step(&mut script, 4);
    let aborts = seen(&script, AdminOpcode::Abort.code());
    assert_eq!(aborts.len(), 1);
    assert_eq!(aborts[0].cdw10.get(), 1 | u32::from(command.command_id.get()) << 16);
    assert_eq!(script.host.poll_event(), None);
    step(&mut script, 8);
    assert_eq!(script.host.poll_event(), Some(HostEvent::ConnectionLost(Failure::CommandTimedOut)));
}

#[test]
fn an_aborted_command_has_timed_out() {
    let mut script = Script::connected(HostOptions { command_timeout: Duration::from_secs(8), ..options() });
    let io = script.io(1, Op::Read, 0, 1);
    let command = script.submit(io);
    let stream = script.io_stream();
    script.deliver(stream, &pdu::response(&command, Status::ABORT_REQUESTED, 0, NONE));
    assert_eq!(script.done()[0].status, Outcome::TimedOut);
}

#[test]
fn a_controller_without_a_sign_of_life_is_given_up() {
    let mut script = Script::connected(HostOptions { keep_alive: Duration::from_secs(4), ..options() });
    for _ in 0..20 {
        script.env.advance(Duration::from_secs(1));
        script.run();
    }
    assert_eq!(script.host.poll_event(), None, "signs of life are answered");
    script.mute = true;
    for _ in 0..8 {
        script.env.advance(Duration::from_secs(1));
        script.run();
    }
    assert_eq!(script.host.poll_event(), Some(HostEvent::ConnectionLost(Failure::CommandTimedOut)));
}

#[test]
fn a_controller_that_never_answers_is_not_waited_for_longer_than_allowed() {
    let mut script = Script::begin(options());
    script.mute = true;
    script.run();
    assert_eq!(script.host.poll_event(), None);
    script.env.advance(Duration::from_secs(10));
    script.run();
    assert!(matches!(script.host.poll_event(), Some(HostEvent::Failed(Failure::ConnectTimedOut(_)))));
}
