//! What has happened, in numbers that only grow.

/// Events of a [`Server`](super::Server).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Logins accepted.
    pub logins: u64,
    /// Logins refused, for whatever reason.
    pub rejected: u64,
    /// Channels that a later login of their nexus ended.
    pub replaced: u64,
    /// Channels that their initiators logged out of.
    pub logged_out: u64,
    /// Channels that ended without a word.
    pub broken: u64,
    /// Channels ended because of what their initiator sent.
    pub terminated: u64,
    /// Commands with fields that contradict each other.
    pub invalid: u64,
    /// Commands whose data came with them.
    pub immediate: u64,
    /// Tables of descriptors that were read from initiators' memory.
    pub tables: u64,
    /// Times a request waited for a buffer or for room among the work under way.
    pub stalls: u64,
    /// Times a channel waited for what an earlier nexus of its name left.
    pub holds: u64,
    /// Events of logical units that initiators were told.
    pub events: u64,
    /// Datagrams of device management that were answered.
    pub discovered: u64,
}

impl Counters {
    /// These and those.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            rejected: self.rejected + other.rejected,
            replaced: self.replaced + other.replaced,
            logged_out: self.logged_out + other.logged_out,
            broken: self.broken + other.broken,
            terminated: self.terminated + other.terminated,
            invalid: self.invalid + other.invalid,
            immediate: self.immediate + other.immediate,
            tables: self.tables + other.tables,
            stalls: self.stalls + other.stalls,
            holds: self.holds + other.holds,
            events: self.events + other.events,
            discovered: self.discovered + other.discovered,
        }
    }
}
