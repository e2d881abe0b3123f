//! A whole iSCSI initiator over iSER against a target that does anything: right answers, wrong ones, messages of any bytes, writes
//! where they do not belong, memory closed in its face, silence, ends of connections, time. Whatever it does, each request is completed
//! once, and nothing of a closed initiator is left.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![no_main]

#[path = "../../crates/scsi/tests/iser_script/mod.rs"]
mod iser_script;
mod requests;

use block::{BlockDevice, Channel};
use core::time::Duration;
use iser_script::{Script, bhs, options};
use libfuzzer_sys::fuzz_target;
use requests::Requests;
use scsi::iscsi::initiator::InitiatorOptions;
use stdx::env::Env;
use stdx::slab::Key;
use verbs::{Data, Key as MemoryKey};
use wire::iscsi::{
    AsyncEvent, AsyncMessage, NopIn, Opcode, RESERVED_TAG, Reject, RejectReason, ScsiCommand, Serial,
    TaskRequest, TaskResponse, TaskResult,
};
use wire::iser::{Header, PrivateData};
use wire::scsi::Lun;

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let options = InitiatorOptions {
        sessions: 1 + u16::from(first & 1),
        commands_max: if first & 2 != 0 { 2 } else { 16 },
        fast_io_fail_timeout: (first & 4 != 0).then_some(Duration::from_secs(3)),
        requests_max: 64,
        lun: Some(0),
        ..options()
    };
    let script = Script::connected(options);
    let channel = script.initiator.disk(0).expect("a disk").open();
    let mut run = Run { script, channel, requests: Requests::new(4096, 8) };
    requests::play(rest, |rest| run.step(rest));
    run.finish();
});

struct Run {
    script: Script,
    channel: Box<dyn Channel>,
    requests: Requests,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let mut left = rest;
        match what % 8 {
            0 | 1 => self.requests.submit(&mut self.script.env, &mut *self.channel, argument),
            2 | 3 => self.answer(argument),
            4 => {
                let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
                left = &rest[raw.len()..];
                if let Some(connection) = self.at(what >> 3) {
                    self.script.send_bytes(connection, raw);
                }
            }
            5 => self.say(what, argument),
            6 => self.script.pass(Duration::from_millis(u64::from(argument) * 60)),
            _ => self.change(argument),
        }
        self.settle();
        Some(left)
    }

    fn at(&self, which: u8) -> Option<Key> {
        let count = self.script.connections.len().max(1);
        self.script.connections.keys().nth(usize::from(which) % count).copied()
    }

    /// An answer to a message that has come, perhaps again, perhaps not the right one.
    fn answer(&mut self, argument: u8) {
        let messages = &self.script.messages;
        let place = usize::from(argument & 15) % messages.len().max(1);
        let Some((connection, message)) = messages.get(place).cloned() else { return };
        if argument & 16 == 0 {
            self.script.messages.remove(place);
        }
        let Some(bhs) = bhs(&message) else { return };
        match (bhs.opcode(), argument >> 5) {
            (Some(Opcode::ScsiCommand), how @ 3..) => {
                let Ok(command) = ScsiCommand::decode(bhs) else { return };
                let (status, moved) = match how {
                    3 => (2, command.expected_length),
                    4 => (0, command.expected_length / 2),
                    5 => (0x18, 0),
                    6 => (0, command.expected_length.saturating_add(512)),
                    _ => return self.close_memory(connection, &message),
                };
                self.script.respond(connection, &command, status, moved);
            }
            (Some(Opcode::TaskRequest), how) => {
                let Ok(request) = TaskRequest::decode(bhs) else { return };
                let result = RESULTS[usize::from(how) % RESULTS.len()];
                let numbers = self.script.count(connection);
                let answer = TaskResponse { result, task_tag: request.task_tag, numbers };
                self.script.send(connection, &answer.encode(), &[]);
            }
            _ => self.script.answer(connection, &message),
        }
    }

    /// An answer to nothing that closes the memory of a command.
    fn close_memory(&mut self, connection: Key, message: &[u8]) {
        let Ok(header) = Header::decode(message) else { return };
        let Some(advertised) = header.read.or(header.write) else { return };
        let numbers = self.script.count(connection);
        let nop = NopIn { lun: Lun::default(), task_tag: RESERVED_TAG, transfer_tag: RESERVED_TAG, numbers };
        let bytes = [&Header::default().encode()[..], nop.encode(0).bytes()].concat();
        let Script { device, target, .. } = &mut self.script;
        let data = Data::Inline(&bytes);
        let _ = target.send_invalidate(device, connection, 1, MemoryKey(advertised.key), data);
    }

    /// What a target says unasked, and writes where it pleases.
    fn say(&mut self, what: u8, argument: u8) {
        let Some(connection) = self.at(what >> 3) else { return };
        match argument % 8 {
            0 => {
                let (numbers, transfer_tag) = (self.script.count(connection), u32::from(argument >> 3));
                let nop = NopIn { lun: Lun::default(), task_tag: RESERVED_TAG, transfer_tag, numbers };
                self.script.send(connection, &nop.encode(0), &[]);
            }
            1 | 2 => {
                let event = EVENTS[usize::from(argument >> 3) % EVENTS.len()];
                let numbers = self.script.count(connection);
                let message = AsyncMessage { lun: Lun::default(), numbers, event };
                self.script.send(connection, &message.encode(0), &[]);
            }
            3 => {
                let header = self.script.seen.last().map_or(vec![0; 48], |seen| seen[28..76].to_vec());
                let reason = REASONS[usize::from(argument >> 3) % REASONS.len()];
                let numbers = self.script.count(connection);
                let reject = Reject { reason, numbers, data_sn: Serial(0) };
                self.script.send(connection, &reject.encode(48), &header);
            }
            4 if argument > 128 => {
                let Script { env, device, target, .. } = &mut self.script;
                target.disconnect(env, device, connection);
            }
            _ => self.write(argument),
        }
    }

    /// Data for a command, of the right length or another.
    fn write(&mut self, argument: u8) {
        let messages = &self.script.messages;
        let found = messages.get(usize::from(argument) % messages.len().max(1)).cloned();
        let Some((connection, message)) = found else { return };
        self.script.write(connection, &message, &vec![argument; usize::from(argument) * 64]);
    }

    /// How connections and commands are taken from now on.
    fn change(&mut self, argument: u8) {
        let answer = PrivateData { no_zero_based: true, no_remote_invalidate: argument & 8 != 0 };
        self.script.answers_with = (argument & 7 != 0).then_some(answer);
        self.script.window = u32::from(argument >> 4);
    }

    fn settle(&mut self) {
        for _ in 0..TURNS {
            self.script.turn();
        }
        self.requests.take_done(&mut self.script.env, &mut *self.channel);
    }

    fn finish(mut self) {
        self.script.initiator.close(&mut self.script.env);
        self.settle();
        self.script.pass(Duration::from_secs(60));
        self.settle();
        self.requests.finish(&mut self.script.env);
        assert!(self.script.initiator.is_quiet(), "every connection is closed");
        self.script.initiator.free(&mut self.script.env, &mut self.script.device);
        assert_eq!(self.script.env.mem().buffers_taken(), 0, "and every buffer is back");
    }
}

const RESULTS: [TaskResult; 4] =
    [TaskResult::Complete, TaskResult::NoSuchTask, TaskResult::Complete, TaskResult::Rejected];

const EVENTS: [AsyncEvent; 4] = [
    AsyncEvent::Scsi,
    AsyncEvent::LogoutRequest { within_s: 1 },
    AsyncEvent::SessionDrop { time_to_wait_s: 1, time_to_retain_s: 1 },
    AsyncEvent::TasksTerminated,
];

const REASONS: [RejectReason; 3] =
    [RejectReason::DataDigestError, RejectReason::InvalidDataAck, RejectReason::ProtocolError];

/// Turns after a step.
const TURNS: usize = 4;
