//! A whole iSCSI initiator against a target that does anything: right answers, wrong ones, bytes of any kind, silence, ends of
//! streams, time; with one connection or several, at every error recovery level. Whatever the target does, each request is
//! completed once, and nothing of a closed initiator is left.
#![no_main]

mod requests;
#[path = "../../crates/scsi/tests/script/mod.rs"]
mod script;

use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use requests::Requests;
use script::{Script, Sent, options};
use scsi::iscsi::initiator::InitiatorOptions;
use scsi::iscsi::login::{DigestPolicy, Limits};
use stdx::env::StreamId;
use wire::iscsi::{
    AsyncEvent, AsyncMessage, NopIn, Opcode, RESERVED_TAG, Reject, RejectReason, Residual, Serial,
    TaskRequest, TaskResponse, TaskResult,
};
use wire::scsi::{Lun, Sense, SenseKey, Status};

fuzz_target!(|input: &[u8]| {
    let [first, second, rest @ ..] = input else { return };
    let digest = |bit: u8| if first & bit != 0 { DigestPolicy::Required } else { DigestPolicy::Never };
    let options = InitiatorOptions {
        header_digest: digest(1),
        data_digest: digest(2),
        connections: 1 + u16::from(first >> 2 & 3),
        sessions: 1 + u16::from(first >> 4 & 1),
        error_recovery_level: (first >> 5 & 3).min(2),
        commands_max: if first & 128 != 0 { 2 } else { 32 },
        fast_io_fail_timeout: (second & 1 != 0).then_some(Duration::from_secs(3)),
        requests_max: REQUESTS_MAX,
        ..options()
    };
    let mut script = Script::begin(options);
    script.limits = Limits {
        max_connections: 4,
        error_recovery_level: 2,
        initial_r2t: second & 2 != 0,
        immediate_data: second & 4 == 0,
        max_recv_data_segment_len: if second & 8 != 0 { 512 } else { 256 << 10 },
        max_burst_len: if second & 16 != 0 { 4096 } else { 1 << 20 },
        ..Limits::default()
    };
    script.strict = false;
    let mut run = Run { script: script.up(), requests: Requests::new(4096, 8) };
    requests::play(rest, |rest| run.step(rest));
    run.finish();
});

struct Run {
    script: Script,
    requests: Requests,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let stream = self.stream(what >> 4);
        let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
        match what % 10 {
            0 => self.submit(argument),
            1 => {
                self.script.deliver(stream, raw);
                return Some(&rest[raw.len()..]);
            }
            2..=4 => self.answer(what % 10, argument),
            5 => self.script.env.advance(Duration::from_millis(u64::from(argument) * 60)),
            6 if argument < 32 => self.script.env.finish(stream),
            6 => self.script.env.stream(stream).cut = usize::from(argument),
            7 => self.tell(stream, argument),
            8 => self.script.window = u32::from(argument) % 70,
            _ if argument & 1 == 0 => self.script.mute = argument & 2 != 0,
            _ => self.script.resume_at = Serial(self.script.resume_at.0.wrapping_add(argument.into())),
        }
        self.script.run();
        self.take_done();
        Some(rest)
    }

    fn stream(&self, which: u8) -> StreamId {
        let newest = self.script.connections.keys().rev();
        *newest.cycle().nth(usize::from(which)).expect("it was connected")
    }

    fn submit(&mut self, argument: u8) {
        let channel = self.script.channel.as_mut().expect("connected");
        self.requests.submit(&mut self.script.env, &mut **channel, argument);
    }

    /// An answer of the right form to something the target has seen; perhaps not the right one.
    fn answer(&mut self, what: u8, argument: u8) {
        let seen = &mut self.script.seen;
        if seen.is_empty() {
            return;
        }
        let place = usize::from(argument) % seen.len();
        let sent = seen[place].clone();
        let stream = sent.stream;
        // Some answers go by another connection.
        self.script.at = Some(if argument & 128 != 0 { self.stream(argument & 3) } else { stream });
        let at = self.script.stream();
        let bytes = match (sent.opcode(), what) {
            (Opcode::ScsiCommand, 2) => {
                self.script.seen.remove(place);
                let sense = (argument & 32 != 0).then(|| SENSES[usize::from(argument >> 6)]);
                let status = if sense.is_some() { Status::CheckCondition } else { Status::Good };
                let residual = if argument & 64 != 0 { Residual::Underflow(512) } else { Residual::None };
                self.script.response(&sent.command(), status, sense, residual)
            }
            (Opcode::ScsiCommand, 3) => self.data(&sent, argument),
            (Opcode::ScsiCommand, _) => {
                let (number, offset) = (u32::from(argument & 3), u32::from(argument >> 2 & 3) * 4096);
                self.script.r2t(&sent.command(), number, offset, 4096)
            }
            (Opcode::TaskRequest, _) => {
                self.script.seen.remove(place);
                let Ok(request) = TaskRequest::decode(&sent.bhs) else { return };
                let result = RESULTS[usize::from(argument >> 5) % RESULTS.len()];
                let numbers = self.script.count(at);
                let response = TaskResponse { result, task_tag: request.task_tag, numbers };
                self.script.pdu(at, &response.encode(), &[])
            }
            _another => {
                self.script.seen.remove(place);
                return;
            }
        };
        self.script.deliver(at, &damaged(bytes, argument));
        self.script.at = None;
    }

    /// Data for a command: all of it with success, or a part.
    fn data(&mut self, sent: &Sent, argument: u8) -> Vec<u8> {
        let command = sent.command();
        let whole = vec![argument; command.expected_length.clamp(1, 64 << 10) as usize];
        match argument % 4 {
            0 | 1 => self.script.data(&command, 0, 0, &whole, true),
            2 => self.script.data(&command, 0, 0, &whole[..whole.len().div_ceil(2)], false),
            _ => {
                let half = whole.len().div_ceil(2);
                self.script.data(
                    &command,
                    u32::from(argument >> 4),
                    half as u32,
                    &whole[half..],
                    argument & 8 != 0,
                )
            }
        }
    }

    /// Something that was not asked for.
    fn tell(&mut self, stream: StreamId, argument: u8) {
        let numbers =
            if argument & 64 != 0 { self.script.numbers(stream) } else { self.script.count(stream) };
        let (bhs, data) = match argument % 5 {
            0 => {
                let tag = u32::from(argument >> 3);
                (
                    NopIn { lun: Lun::default(), task_tag: RESERVED_TAG, transfer_tag: tag, numbers }
                        .encode(0),
                    vec![],
                )
            }
            1..=3 => {
                let event = EVENTS[usize::from(argument >> 3) % EVENTS.len()];
                (AsyncMessage { lun: Lun::default(), numbers, event }.encode(0), vec![])
            }
            _ => {
                let header =
                    self.script.seen.last().map_or([0; 48].to_vec(), |sent| sent.bhs.bytes().to_vec());
                let reason = REASONS[usize::from(argument >> 3) % REASONS.len()];
                (Reject { reason, numbers, data_sn: Serial(0) }.encode(48), header)
            }
        };
        let bytes = self.script.pdu(stream, &bhs, &data);
        self.script.deliver(stream, &damaged(bytes, argument));
    }

    fn take_done(&mut self) {
        let channel = self.script.channel.as_mut().expect("connected");
        self.requests.take_done(&mut self.script.env, &mut **channel);
    }

    fn finish(mut self) {
        self.script.initiator.close(&mut self.script.env);
        self.take_done();
        self.requests.finish(&mut self.script.env);
        for stream in self.script.env.streams() {
            assert!(self.script.env.stream(stream).closed.is_some(), "every stream is closed");
        }
    }
}

/// Now and then the last byte arrives changed: of a digest, where there is one.
fn damaged(mut bytes: Vec<u8>, argument: u8) -> Vec<u8> {
    if argument.is_multiple_of(7)
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    bytes
}

const SENSES: [Sense; 4] = [
    Sense::CAPACITY_DATA_CHANGED,
    Sense::REPORTED_LUNS_CHANGED,
    Sense::new(SenseKey::MediumError, 0x11, 0),
    Sense::new(SenseKey::IllegalRequest, 0x20, 0),
];

const RESULTS: [TaskResult; 4] =
    [TaskResult::Complete, TaskResult::NoSuchTask, TaskResult::Complete, TaskResult::Rejected];

const EVENTS: [AsyncEvent; 5] = [
    AsyncEvent::Scsi,
    AsyncEvent::LogoutRequest { within_s: 1 },
    AsyncEvent::SessionDrop { time_to_wait_s: 1, time_to_retain_s: 1 },
    AsyncEvent::TasksTerminated,
    AsyncEvent::Scsi,
];

const REASONS: [RejectReason; 3] =
    [RejectReason::DataDigestError, RejectReason::InvalidDataAck, RejectReason::ProtocolError];

const REQUESTS_MAX: usize = 64;
