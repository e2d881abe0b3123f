//! The submission queue as far as a host sees it: over Fabrics, a count (Base 3.3.3.2).

use super::Connected;

/// How far the queue has been taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubmissionQueue {
    entries: u32,
    head: u32,
    flow_control: bool,
}

impl SubmissionQueue {
    /// The queue that Connect made, and of which it took the first entry.
    pub(super) const fn new(connected: &Connected) -> Self {
        Self { entries: connected.entries, head: 1, flow_control: !connected.flow_control_disabled }
    }

    /// A command was taken from it.
    pub(super) const fn advance(&mut self) {
        self.head = (self.head + 1) % self.entries;
    }

    /// SQHD.
    pub(super) const fn head(&self) -> u16 {
        if self.flow_control { self.head as u16 } else { 0 }
    }

    /// Its entries.
    pub(super) const fn entries(&self) -> u32 {
        self.entries
    }

    /// Whether the host follows the head.
    pub(super) const fn has_flow_control(&self) -> bool {
        self.flow_control
    }
}
