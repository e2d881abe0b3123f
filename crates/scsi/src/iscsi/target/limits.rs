//! Everything of this transport that is bounded, in one place. What initiators negotiate is each node's:
//! [`login::Limits`](crate::iscsi::login::Limits).

use core::time::Duration;

/// What a [`Server`](super::Server) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Addresses listened on at once.
    pub listeners_max: usize,
    /// Connections at once, those that are being ended included. One more is closed as soon as it is accepted.
    pub connections_max: usize,
    /// Sessions at once, those that are being ended included.
    pub sessions_max: usize,
    /// How long a login may take.
    pub login_time: Duration,
    /// How often a connection is looked at for a sign of life; silent ones are asked for one (NOP-In).
    pub heartbeat_interval: Duration,
    /// How many such intervals a question may stay without an answer.
    pub heartbeats_missed_max: u32,
    /// How long an initiator that is to log out may take, and a connection to take in its last words.
    pub leave_time: Duration,
    /// Tasks management requests and other immediate commands of a session at once.
    pub immediates_max: usize,
    /// PDUs a connection may have queued to be sent before it reads no further.
    pub backlog_max: usize,
    /// Read data that one connection may have under way (executing or waiting to be sent), in bytes. A single command
    /// may pass it, so that the largest is served too.
    pub read_ahead_bytes_max: usize,
    /// The same while the volume lends its memory. Less, because such reads complete at once, and what the stream does
    /// not take at once must be copied.
    pub lent_ahead_bytes_max: usize,
    /// Read data of this shard that is kept until initiators acknowledge it, in bytes, where error recovery was agreed on. What
    /// is over that is sent, and cannot be had again.
    pub kept_bytes_max: usize,
    /// Buffers of this shard that may wait for data that initiators still have to send, in bytes: what is left of the
    /// shard's I/O buffers always serves commands that need nothing of the initiator to complete.
    pub solicited_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listeners_max: 64,
            connections_max: 4096,
            sessions_max: 4096,
            login_time: Duration::from_secs(15),
            heartbeat_interval: Duration::from_secs(30),
            heartbeats_missed_max: 2,
            leave_time: Duration::from_secs(10),
            immediates_max: 32,
            backlog_max: 256,
            read_ahead_bytes_max: 4 << 20,
            lent_ahead_bytes_max: 1 << 20,
            kept_bytes_max: 16 << 20,
            solicited_bytes_max: 32 << 20,
        }
    }
}
