//! A whole NVMe/TCP host against a controller that does anything: right answers, wrong ones, bytes of any kind, silence,
//! ends of streams, time. Whatever it does, each request is completed once, and nothing of a closed host is left.
#![no_main]

mod requests;
#[path = "../../crates/nvme/tests/script/mod.rs"]
mod script;

use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use nvme::host::HostOptions;
use requests::Requests;
use script::pdu::{self, Sent};
use script::{Script, options};
use stdx::env::StreamId;
use wire::nvme::aer::AsyncEvent;
use wire::nvme::log::AnaState;
use wire::nvme::tcp::Digests;
use wire::nvme::{Status, SubmissionQueueEntry};

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let options = HostOptions {
        digests: Digests { header: first & 1 != 0, data: first & 2 != 0 },
        flow_control: first & 4 != 0,
        queue_size: if first & 8 != 0 { 4 } else { 32 },
        fast_io_fail_timeout: (first & 16 != 0).then_some(Duration::from_secs(3)),
        requests_max: REQUESTS_MAX,
        ..options()
    };
    let mut script = Script::begin(options);
    script.access = (first & 32 != 0).then_some(AnaState::Optimized);
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
        let stream = self.stream(argument & 1 == 0);
        let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
        match what % 8 {
            0 => self.submit(argument),
            1 => {
                self.script.deliver(stream, raw);
                return Some(&rest[raw.len()..]);
            }
            2..=4 => self.answer(what, argument),
            5 => self.script.env.advance(Duration::from_millis(u64::from(argument) * 40)),
            6 if argument < 16 => self.script.env.finish(stream),
            6 => self.script.env.stream(stream).cut = usize::from(argument),
            _ if argument & 1 == 0 => self.access(argument >> 1),
            _ => self.script.mute = argument & 2 != 0,
        }
        self.script.run();
        self.take_done();
        Some(rest)
    }

    /// The controller reaches its namespaces otherwise from now on, and says so if it was asked to.
    fn access(&mut self, argument: u8) {
        self.script.mute = false;
        if self.script.access.is_none() {
            return;
        }
        self.script.access = Some(AnaState::ALL[usize::from(argument) % AnaState::ALL.len()]);
        let is_request = |(_, sent): &mut (StreamId, Sent)| sent.is_event_request();
        let later = self.script.seen.extract_if(.., is_request);
        self.script.event_requests.extend(later);
        if let Some((stream, Sent::Command { command, .. })) = self.script.event_requests.pop() {
            let result = AsyncEvent::AnaChange.result().to_dword();
            let told = pdu::response(&command, Status::SUCCESS, result.into(), self.script.digests);
            self.script.deliver(stream, &told);
        }
    }

    fn stream(&self, io: bool) -> StreamId {
        let queues = &self.script.queues;
        let last = queues.iter().rev().find(|(_, id)| (*id > 0) == io);
        last.or(queues.last()).expect("it was connected").0
    }

    fn submit(&mut self, argument: u8) {
        let channel = self.script.channel.as_mut().expect("connected");
        self.requests.submit(&mut self.script.env, &mut **channel, argument);
    }

    /// An answer of the right form to a command the controller has seen; perhaps not the right one.
    fn answer(&mut self, what: u8, argument: u8) {
        let digests = self.script.digests;
        let seen = &mut self.script.seen;
        if seen.is_empty() {
            return;
        }
        let place = usize::from(argument) % seen.len();
        let (stream, command) = match &seen[place] {
            (stream, Sent::Command { command, .. }) => (*stream, *command),
            (_, Sent::Data { .. } | Sent::Initialization(_) | Sent::Terminated(_)) => {
                seen.remove(place);
                return;
            }
        };
        let bytes = match what % 8 {
            2 => {
                seen.remove(place);
                pdu::response(&command, STATUSES[usize::from(argument >> 5)], u64::from(argument), digests)
            }
            3 => data(&command, argument, digests),
            _ => pdu::r2t(&command, u16::from(argument), u32::from(argument & 3) * 4096, 8192, digests),
        };
        self.script.deliver(stream, &bytes);
    }

    fn take_done(&mut self) {
        let channel = self.script.channel.as_mut().expect("connected");
        self.requests.take_done(&mut self.script.env, &mut **channel);
    }

    fn finish(mut self) {
        self.script.host.close(&mut self.script.env);
        self.take_done();
        self.requests.finish(&mut self.script.env);
        for stream in self.script.env.streams() {
            assert!(self.script.env.stream(stream).closed.is_some(), "every stream is closed");
        }
    }
}

/// Data for a command: all of it with success, or a part.
fn data(command: &SubmissionQueueEntry, argument: u8, digests: Digests) -> Vec<u8> {
    let length = command.data.decode().map_or(0, |sgl| sgl.data_length()) as usize;
    let whole = vec![argument; length.clamp(1, 64 << 10)];
    match argument % 4 {
        0 | 1 => pdu::data(command, 0, &whole, true, true, digests),
        2 => pdu::data(command, 0, &whole[..whole.len().div_ceil(2)], false, false, digests),
        _ => pdu::data(
            command,
            u32::from(argument) * 16,
            &whole[..whole.len().min(4096)],
            true,
            false,
            digests,
        ),
    }
}

const STATUSES: [Status; 8] = [
    Status::SUCCESS,
    Status::SUCCESS,
    Status::SUCCESS,
    Status::LBA_OUT_OF_RANGE,
    Status::NAMESPACE_NOT_READY,
    Status::ABORT_REQUESTED,
    Status::TRANSIENT_TRANSPORT_ERROR,
    Status::INVALID_FIELD,
];

const REQUESTS_MAX: usize = 64;
