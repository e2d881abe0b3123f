//! What has happened, in numbers that only grow.

/// Events of a [`Server`](super::Server).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because there were too many.
    pub turned_away: u64,
    /// Logins refused.
    pub logins_refused: u64,
    /// Of those, for want of proof (CHAP).
    pub authentications_failed: u64,
    /// Logins that did not end in time.
    pub logins_timed_out: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Sessions that ended because their initiator began them anew.
    pub reinstated: u64,
    /// Connections ended because of what they sent.
    pub protocol_errors: u64,
    /// Connections that ended without a logout.
    pub broken: u64,
    /// Connections that were silent for too long.
    pub heartbeats_missed: u64,
    /// PDUs rejected.
    pub rejected: u64,
    /// Commands out of the window, and data nobody waits for: passed over in silence.
    pub ignored: u64,
    /// Headers that did not match their digest.
    pub header_digest_errors: u64,
    /// PDUs whose data did not match its digest.
    pub data_digest_errors: u64,
    /// Data-Out that came after one that was missing.
    pub sequence_errors: u64,
    /// R2Ts for data that had been asked for before.
    pub recovery_r2ts: u64,
    /// SNACKs by which something was sent again.
    pub snacks: u64,
    /// Connections that were lost, and whose tasks were kept for another.
    pub connections_lost: u64,
    /// Tasks that went on by another connection.
    pub reassigned: u64,
    /// Commands answered with BUSY for want of buffers.
    pub busy: u64,
    /// Times a connection stopped reading for want of room.
    pub holds: u64,
    /// Bytes of lent memory that had to be copied because a stream did not take them at once.
    pub lent_bytes_copied: u64,
}
