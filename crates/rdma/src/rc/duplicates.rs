//! What is remembered of reads and atomics, should they come again (9.7.5.1.6, 9.4.5).
//!
//! As many are kept as the peer may have under way at once: one that is older was answered, or the peer would not have begun
//! another. A read is done again; an atomic never is: its answer is kept.

use std::collections::VecDeque;
use wire::roce::{Psn, Reth};

/// A read or atomic that was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// A read, and the packets that answered it.
    Read { first: Psn, packets: u32, reth: Reth },
    /// An atomic, and what it found.
    Atomic { psn: Psn, original: u64 },
}

/// The last reads and atomics.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    done: VecDeque<Done>,
    limit: usize,
}

impl Duplicates {
    /// Remembers at most `limit` from now on, and nothing of before.
    pub(super) fn begin(&mut self, limit: u8) {
        self.done.clear();
        self.limit = usize::from(limit);
        self.done.reserve(self.limit);
    }

    /// Remembers one.
    pub(super) fn remember(&mut self, done: Done) {
        if self.done.len() >= self.limit {
            self.done.pop_front();
        }
        if self.limit > 0 {
            self.done.push_back(done);
        }
    }

    /// What the atomic at `psn` found.
    pub(super) fn atomic(&self, wanted: Psn) -> Option<u64> {
        self.done.iter().find_map(|done| match *done {
            Done::Atomic { psn, original } if psn == wanted => Some(original),
            Done::Atomic { .. } | Done::Read { .. } => None,
        })
    }

    /// True if a read of `reth` at `psn` asks for bytes, or the last bytes, of one that was done.
    pub(super) fn is_read(&self, psn: Psn, reth: &Reth, mtu: u32) -> bool {
        self.done.iter().any(|done| match *done {
            Done::Read { first, packets, reth: before } => {
                let skipped = psn.since(first);
                let is_within = skipped >= 0 && (skipped as u32) < packets;
                let offset = u64::from(skipped.max(0) as u32) * u64::from(mtu);
                is_within
                    && reth.key == before.key
                    && reth.address == before.address.wrapping_add(offset)
                    && u64::from(reth.len) + offset <= u64::from(before.len)
            }
            Done::Atomic { .. } => false,
        })
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut duplicates = Duplicates::default();
        duplicates.begin(2);
        let at = |psn: u32| Psn::new(psn);
        duplicates.remember(Done::Atomic { psn: at(0xff_ffff), original: 7 });
        duplicates.remember(Done::Atomic { psn: at(0), original: 8 });
        assert_eq!(duplicates.atomic(at(0xff_ffff)), Some(7));
        let reth = Reth { address: 1000, key: 5, len: 2500 };
        duplicates.remember(Done::Read { first: at(1), packets: 3, reth });
        assert_eq!((duplicates.atomic(at(0xff_ffff)), duplicates.len()), (None, 2));
        assert!(duplicates.is_read(at(1), &reth, 1024));
        let rest = Reth { address: 1000 + 2048, key: 5, len: 452 };
        assert!(duplicates.is_read(at(3), &rest, 1024));
        assert!(!duplicates.is_read(at(4), &rest, 1024));
        assert!(!duplicates.is_read(at(2), &rest, 1024));
        assert!(!duplicates.is_read(at(1), &Reth { len: 2501, ..reth }, 1024));
        assert!(!duplicates.is_read(at(1), &Reth { key: 6, ..reth }, 1024));
    }
}
