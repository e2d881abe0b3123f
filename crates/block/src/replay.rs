//! May a request whose answer was lost with the connection be sent again?
//!
//! Reads and flushes may: they change nothing, and a flush that ran twice flushed. Flushes say more than they know,
//! though: if the controller's machine lost its cache between a write's answer and the flush, the flush of the new
//! connection cannot tell; neither NVMe nor SCSI has a notion of it.
//!
//! Writes (and zeroing, and discarding) are idempotent each by itself, but not among others. Suppose W1 and W2 write the
//! same block, W2 was answered, and the connection breaks before W1 is. W1 may have run before W2. To send it again could
//! bring W1's data back over W2's: a reader sees W1, W2, W1, which no order of the two explains. So a write is sent again
//! only if no overlapping write was answered while it was under way; otherwise it ends as
//! [`Aborted`](crate::Status::Aborted), which tells its submitter to assume either outcome. (Who keeps overlapping writes
//! apart, as file systems do, never meets that.) Writes that were not sent at all are not in question.
//!
//! What is known is bounded: the last [`REMEMBERED`] writes that were answered. A write under way for longer than that
//! many answers is not sent again.
//!
//! What remains is the network: the old connection's copy of a write could still be executed after the new one's was
//! answered. Whoever gives a connection up therefore resets it, so that what did not leave never will, and the other end
//! ends what came by the old connection before it lets us connect anew, as our NVMe target does, or the reinstatement of
//! an iSCSI session (RFC 7143, section 6.3.5). One that does not could only be waited for (NVMe Base 2.1, communication
//! loss handling).

use crate::Op;

/// The writes that were answered last.
#[derive(Debug)]
pub struct Acknowledged {
    ring: Vec<Range>,
    /// How many there were since the beginning.
    count: u64,
}

/// Blocks of a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Which volume, as the one who asks counts them.
    pub volume: u64,
    /// The first block.
    pub lba: u64,
    /// How many.
    pub blocks: u32,
}

/// What to do with a request whose answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it again.
    Again,
    /// It could undo what came after it.
    Unknown,
}

impl Default for Acknowledged {
    fn default() -> Self {
        Self::new()
    }
}

impl Acknowledged {
    /// None yet.
    pub fn new() -> Self {
        Self { ring: Vec::with_capacity(REMEMBERED), count: 0 }
    }

    /// How many writes were answered so far: to be remembered by a request when it is submitted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// A write was answered with success.
    pub fn record(&mut self, range: Range) {
        if self.ring.len() < REMEMBERED {
            self.ring.push(range);
        } else {
            self.ring[(self.count % REMEMBERED as u64) as usize] = range;
        }
        self.count += 1;
    }

    /// What to do with a request that was submitted when `since` writes had been answered.
    pub fn judge(&self, op: &Op, range: Range, since: u64) -> Verdict {
        if !op.is_write() {
            return Verdict::Again;
        }
        let later = self.count - since;
        let remembered = later <= self.ring.len() as u64;
        let mut answered = (since..self.count).map(|at| self.ring[(at % REMEMBERED as u64) as usize]);
        if remembered && !answered.any(|other| other.overlaps(&range)) {
            Verdict::Again
        } else {
            Verdict::Unknown
        }
    }
}

impl Range {
    fn overlaps(&self, other: &Self) -> bool {
        let end = self.lba.saturating_add(u64::from(self.blocks));
        let other_end = other.lba.saturating_add(u64::from(other.blocks));
        self.volume == other.volume && self.lba < other_end && other.lba < end
    }
}

/// How many answered writes are remembered.
pub const REMEMBERED: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(lba: u64, blocks: u32) -> Range {
        Range { volume: 1, lba, blocks }
    }

    #[test]
    fn a_write_is_sent_again_unless_an_overlapping_one_was_answered_meanwhile() {
        let mut acknowledged = Acknowledged::new();
        acknowledged.record(range(0, 8));
        let since = acknowledged.count();
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 8), since), Verdict::Again, "answered before");
        acknowledged.record(range(8, 8));
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 8), since), Verdict::Again, "a neighbour");
        acknowledged.record(Range { volume: 2, ..range(0, 8) });
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 8), since), Verdict::Again, "another volume");
        acknowledged.record(range(7, 1));
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 8), since), Verdict::Unknown);
        assert_eq!(acknowledged.judge(&Op::Discard, range(0, 8), since), Verdict::Unknown);
        assert_eq!(acknowledged.judge(&Op::Read, range(0, 8), since), Verdict::Again);
        assert_eq!(acknowledged.judge(&Op::Flush, range(0, 8), since), Verdict::Again);
    }

    #[test]
    fn what_is_forgotten_counts_as_overlapping() {
        let mut acknowledged = Acknowledged::new();
        for _ in 0..REMEMBERED {
            acknowledged.record(range(100, 1));
        }
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 1), 0), Verdict::Again);
        acknowledged.record(range(100, 1));
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 1), 0), Verdict::Unknown);
        assert_eq!(acknowledged.judge(&Op::Write, range(0, 1), 1), Verdict::Again);
    }
}
