//! Everything of this transport that is bounded, in one place. What hosts learn through Identify (in-capsule size, longest
//! transfer) is the target's: [`Options`](crate::target::Options).

use core::time::Duration;

/// What a [`Server`](super::Server) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Addresses listened on at once.
    pub listeners_max: usize,
    /// Connections at once, those that are being ended included. One more is closed as soon as it is accepted.
    pub connections_max: usize,
    /// How long a peer may take from its connection to the end of its Connect command.
    pub handshake_time: Duration,
    /// How long a peer that was told to end its connection may take to do so (TCP transport 3.5: 30 s).
    pub termination_time: Duration,
    /// The longest H2CData a host may send (MAXH2CDATA), in bytes: a multiple of 4, at least 4096.
    pub h2c_data_bytes_max: u32,
    /// The longest C2HData this end sends, in bytes: a multiple of 128.
    pub c2h_data_bytes_max: u32,
    /// Read data that one connection may have under way (executing or waiting to be sent), in bytes. A single command
    /// may pass it, so that the largest is served too.
    pub read_ahead_bytes_max: usize,
    /// The same while the volume lends its memory. Less, because such reads complete at once, and what the stream does
    /// not take at once must be copied.
    pub lent_ahead_bytes_max: usize,
    /// Buffers of this shard that may wait for data that hosts still have to send, in bytes: what is left of the
    /// shard's I/O buffers always serves commands that need nothing of the host to complete.
    pub solicited_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listeners_max: 64,
            connections_max: 4096,
            handshake_time: Duration::from_secs(10),
            termination_time: Duration::from_secs(30),
            h2c_data_bytes_max: 1 << 20,
            c2h_data_bytes_max: 1 << 20,
            read_ahead_bytes_max: 4 << 20,
            lent_ahead_bytes_max: 1 << 20,
            solicited_bytes_max: 32 << 20,
        }
    }
}
