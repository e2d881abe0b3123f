//! A whole NVMe/RDMA host against a controller that does anything: right answers, wrong ones, messages of any bytes, keys closed
//! that are not the command's, writes where they do not belong, silence, ends of connections, time. Whatever it does, each
//! request is completed once, and nothing of a closed host is left.
#![no_main]

#[path = "../../crates/nvme/tests/peer/mod.rs"]
mod peer;
mod requests;

use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use nvme::host::HostOptions;
use peer::{Peer, options};
use requests::Requests;
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::{CompletionQueueEntry, Sgl, Status, SubmissionQueueEntry};

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let options = HostOptions {
        flow_control: first & 1 != 0,
        queue_size: if first & 2 != 0 { 4 } else { 32 },
        io_queues: if first & 4 != 0 { 2 } else { 1 },
        fast_io_fail_timeout: (first & 8 != 0).then_some(Duration::from_secs(3)),
        requests_max: 64,
        ..options()
    };
    let peer = Peer::connected(options);
    let mut run = Run { peer, requests: Requests::new(4096, 8) };
    requests::play(rest, |rest| run.step(rest));
    run.finish();
});

struct Run {
    peer: Peer,
    requests: Requests,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], mut rest) = bytes.split_first_chunk()?;
        match what % 8 {
            0 | 1 => self.submit(argument),
            2 | 3 => self.answer(argument),
            4 => self.write(argument),
            5 => {
                let raw = rest.get(..usize::from(argument % 20)).unwrap_or(rest);
                rest = &rest[raw.len()..];
                self.say(argument, raw);
            }
            6 => self.peer.run_for(Duration::from_millis(u64::from(argument) * 40)),
            _ if argument < 16 => {
                if let Some(connection) = self.connection(argument) {
                    self.peer.hang_up(connection);
                }
            }
            _ => self.peer.mute = argument & 1 != 0,
        }
        self.peer.settle();
        self.take_done();
        Some(rest)
    }

    fn connection(&self, argument: u8) -> Option<Key> {
        let queues = &self.peer.queues;
        queues.get(usize::from(argument) % queues.len().max(1)).map(|(connection, _)| *connection)
    }

    fn command(&self, argument: u8) -> Option<(usize, Key, SubmissionQueueEntry)> {
        let place = usize::from(argument) % self.peer.seen.len().max(1);
        let (connection, command) = self.peer.seen.get(place)?;
        Some((place, *connection, *command))
    }

    fn submit(&mut self, argument: u8) {
        let channel = self.peer.channel.as_mut().expect("connected");
        self.requests.submit(&mut self.peer.env, &mut **channel, argument);
    }

    /// A response to a command that the controller has seen, perhaps again.
    fn answer(&mut self, argument: u8) {
        let Some((place, connection, command)) = self.command(argument) else { return };
        let status = STATUSES[usize::from(argument >> 5)];
        self.peer.answer(connection, &command, status, u64::from(argument));
        if argument & 16 == 0 {
            self.peer.seen.remove(place);
        }
    }

    /// Data for a command, where it belongs or not.
    fn write(&mut self, argument: u8) {
        let Some((_, connection, command)) = self.command(argument) else { return };
        let length = command.data.decode().map_or(0, |sgl| sgl.data_length()) as usize;
        let data = vec![argument; length.min(64 << 10)];
        let offset = if argument & 0x80 == 0 { 0 } else { u64::from(argument & 0x7f) };
        self.peer.write(connection, &command, offset, &data);
    }

    /// Bytes of any kind, or a response with another's key.
    fn say(&mut self, argument: u8, raw: &[u8]) {
        let Some(connection) = self.connection(argument) else { return };
        let other = self.command(argument.wrapping_add(1));
        let key = other.and_then(|(.., command)| match command.data.decode() {
            Ok(Sgl::Keyed { key, .. }) => Some(key),
            _ => None,
        });
        match self.command(argument) {
            Some((_, connection, command)) if argument & 0x40 != 0 => {
                let mut bytes = [0; CompletionQueueEntry::LEN];
                let completion = CompletionQueueEntry::new(command.command_id.get(), Status::SUCCESS);
                completion.encode(&mut bytes).expect("there is room");
                self.peer.say(connection, &bytes, key);
            }
            _ => self.peer.say(connection, raw, key.filter(|_| argument & 0x80 != 0)),
        }
    }

    fn take_done(&mut self) {
        let channel = self.peer.channel.as_mut().expect("connected");
        self.requests.take_done(&mut self.peer.env, &mut **channel);
    }

    fn finish(mut self) {
        self.peer.host.close(&mut self.peer.env);
        self.peer.settle();
        self.take_done();
        self.requests.finish(&mut self.peer.env);
        self.peer.run_for(Duration::from_secs(60));
        assert!(self.peer.host.is_quiet(), "every connection is closed");
        self.peer.host.free(&mut self.peer.env, &mut self.peer.device);
        assert_eq!(self.peer.env.mem().buffers_taken(), 0, "and every buffer is back");
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
