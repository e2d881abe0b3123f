//! Every limit and choice of sockets, in one place.

use crate::Options;
use core::time::Duration;
use verbs::{Access, Limits, endpoint};

/// What sockets are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// What connections are made with. Its receives are those of a stream among few: where so many streams may come that all of
    /// theirs would be more than [`Config::receives_max`], later ones bring fewer, at least [`Options::RECEIVES_MIN`].
    pub connection: Options,
    /// Streams at once.
    pub streams_max: u32,
    /// Receives of all streams.
    pub receives_max: u32,
    /// Listeners at once.
    pub listeners_max: u32,
    /// Connections that wait to be accepted, of one listener.
    pub backlog_max: u32,
    /// Frames that one stream's bytes may wait in, unless its owner says otherwise; each holds as much as one message of ours.
    pub frames_each: u32,
    /// Frames of all streams.
    pub frames_max: u32,
    /// Bytes of memory that is lent for a write ([`Sockets::write_from`](super::Sockets::write_from)) from which on the peer reads
    /// them from there; fewer are copied. What it spares is a copy, and what it costs a round trip.
    pub zero_copy_min: u32,
    /// The same where bytes go to the peer in packets, each of which the peer has to ask for.
    pub zero_copy_network_min: u32,
    /// The same where the peer has memory waiting for all of them, so that it asks for nothing.
    pub zero_copy_placed_min: u32,
    /// Bytes of memory that is given for a read ([`Sockets::read_into`](super::Sockets::read_into)) from which on the peer is told of it, or
    /// what it offers is read there; into shorter memory bytes are copied.
    pub place_min: u32,
    /// Writes and reads of all streams at once that peers reach memory of.
    pub keys_max: u32,
    /// How long a stream may take from the word that it is to pause until it goes on; then it ends.
    pub resume_timeout: Duration,
    /// Bytes that are being read from one peer's memory and were not read by the stream's owner.
    pub reading_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        let connection = Options {
            receives: 16,
            receive_len: MESSAGE_LEN,
            desired_remote_len: MESSAGE_LEN,
            // Nobody would send later what is held back now: streams are driven by their owners' calls alone.
            no_delay: true,
            close_timeout: Duration::from_secs(2),
            ..Options::default()
        };
        Self {
            connection,
            streams_max: 10_240,
            receives_max: 65_535,
            listeners_max: 64,
            backlog_max: 1024,
            frames_each: 24,
            frames_max: 4096,
            zero_copy_min: 256 << 10,
            zero_copy_network_min: 1 << 20,
            zero_copy_placed_min: 128 << 10,
            place_min: 64 << 10,
            keys_max: 4096,
            resume_timeout: Duration::from_secs(10),
            reading_max: 1 << 20,
        }
    }
}

impl Config {
    /// What a device must allow, if it allows the usual otherwise.
    pub fn limits(&self, usual: Limits) -> Limits {
        let (streams, receives) = (self.streams_max, self.receives());
        Limits {
            qps: usual.qps.max(streams),
            queue_entries: usual.queue_entries.max(receives),
            cq_entries: usual.cq_entries.max(receives + streams * SENDS),
            // Those that ended are remembered for a while.
            connections: usual.connections.max(streams.saturating_mul(2)),
            backlog: usual.backlog.max(self.backlog_max),
            ..usual
        }
    }

    /// What the streams' end of verbs is made for.
    pub(super) fn endpoint(&self) -> endpoint::Options {
        endpoint::Options {
            connections_max: self.streams_max,
            receives: self.receives(),
            receive_len: self.receive_len(),
            sends: SENDS,
            pieces: PIECES as u32,
            inline_bytes: crate::Message::HEAD_MAX as u32,
            access: Access::LOCAL_WRITE.with(Access::REMOTE),
        }
    }

    /// What the next of so many streams is made with, when `left` receives are nobody's: as many of them as leave enough for all
    /// that may yet come.
    pub(super) fn of_next(&self, streams: u32, left: u32) -> Options {
        let free = self.spare(streams + 1, left);
        let most = self.connection.receives.max(Options::RECEIVES_MIN);
        let receives = free.clamp(Options::RECEIVES_MIN.into(), most.into()) as u16;
        Options { receives, ..self.connection }
    }

    /// Of so many receives that are nobody's, those that the streams which may yet come beside these do not need.
    pub(super) fn spare(&self, streams: u32, left: u32) -> u32 {
        let others = self.streams_max.saturating_sub(streams);
        left.saturating_sub(others.saturating_mul(Options::RECEIVES_MIN.into()))
    }

    /// Bytes of our longest message, with its header.
    pub(super) const fn message_len(&self) -> u32 {
        self.connection.desired_remote_len
    }

    /// Bytes that each receive has room for.
    fn receive_len(&self) -> u32 {
        self.connection.receive_len.max(self.connection.receive_len_max)
    }

    /// Receives that are there: no more than one region of memory has room for.
    fn receives(&self) -> u32 {
        let wanted = self.streams_max.saturating_mul(self.connection.receives.into());
        wanted.min(self.receives_max).min(u32::MAX / self.receive_len())
    }
}

/// Bytes of a message, with its header.
const MESSAGE_LEN: u32 = 64 << 10;
/// Requests of one stream under way.
const SENDS: u32 = 32;
/// Pieces that a message's bytes lie in: its header, and frames.
pub(super) const PIECES: usize = 4;
