//! Everything of this transport that is bounded, in one place. What hosts learn through Identify (in-capsule size, longest
//! transfer) is the target's: [`Options`](crate::target::Options).

use core::time::Duration;

/// What a [`Server`](super::Server) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, those that are being ended included.
    pub connections_max: u32,
    /// Capsules that may come in at once, over all connections.
    pub receives: u32,
    /// Requests of one connection that the device has under way.
    pub sends: u32,
    /// Reads of one host's memory under way at once.
    pub read_depth: u8,
    /// How long a host may take from its connection to the end of its Connect command.
    pub handshake_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            receives: 1024,
            // Of each command of the longest queue: its data, and its response.
            sends: 256,
            read_depth: 16,
            handshake_time: Duration::from_secs(10),
        }
    }
}
