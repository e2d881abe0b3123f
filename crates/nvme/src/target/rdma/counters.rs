//! What has happened, in numbers that only grow.

/// Events of a [`Server`](super::Server).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused, for whatever reason.
    pub rejected: u64,
    /// Connect commands refused.
    pub connects_refused: u64,
    /// Connections that did not finish their handshake in time.
    pub handshakes_timed_out: u64,
    /// Connections that ended without being asked to.
    pub broken: u64,
    /// Connections ended because of what their host sent.
    pub terminated: u64,
    /// Commands with an identifier that was in use.
    pub identifier_conflicts: u64,
    /// Times a command waited for a buffer or for room among the requests under way.
    pub stalls: u64,
}

impl Counters {
    /// Those of two servers together.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            connects_refused: self.connects_refused + other.connects_refused,
            handshakes_timed_out: self.handshakes_timed_out + other.handshakes_timed_out,
            broken: self.broken + other.broken,
            terminated: self.terminated + other.terminated,
            identifier_conflicts: self.identifier_conflicts + other.identifier_conflicts,
            stalls: self.stalls + other.stalls,
        }
    }
}
