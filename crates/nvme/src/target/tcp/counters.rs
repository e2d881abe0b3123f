//! What has happened, in numbers that only grow.

/// Events of a [`Server`](super::Server).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because there were too many.
    pub turned_away: u64,
    /// Connect commands refused.
    pub connects_refused: u64,
    /// Connections that did not finish their handshake in time.
    pub handshakes_timed_out: u64,
    /// Connections ended by a terminate request of ours.
    pub terminated: u64,
    /// Connections that ended without being asked to.
    pub broken: u64,
    /// Commands with an identifier that was in use.
    pub identifier_conflicts: u64,
    /// PDUs whose data did not match its digest.
    pub data_digest_errors: u64,
    /// Times a connection stopped reading for want of room.
    pub holds: u64,
    /// Bytes of lent memory that had to be copied because a stream did not take them at once.
    pub lent_bytes_copied: u64,
}
