//! The neighbour's area of a link: what it alone writes and we read. See [`outbox`](crate::outbox) for how it is laid out.

use crate::outbox::{ASLEEP, CONSUMED, FRONT};
use crate::record::{LEN, Record, STAMP_LEN, WITHIN};
use stdx::mem::{Memory, RegionId, Span};

/// The area, and how far we have read it.
#[derive(Debug)]
pub(crate) struct Inbox {
    region: RegionId,
    records: u32,
    /// The record that is next, counted from the first.
    next: u32,
    /// How many the neighbour knows that we took.
    said: u32,
    /// Bytes of its ring that came since.
    unsaid_bytes: u64,
    /// Bytes that its ring has.
    bytes: u64,
}

/// A record that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It means something.
    Record(Record),
    /// It does not.
    Malformed,
}

impl Inbox {
    /// An area with rings of `records` and of `bytes`, nothing of which was read. Its length was checked.
    pub(crate) const fn new(region: RegionId, records: u32, bytes: u32) -> Self {
        Self { region, records, next: 0, said: 0, unsaid_bytes: 0, bytes: bytes as u64 }
    }

    /// True if a record is there.
    #[inline]
    pub(crate) fn has_record(&self, mem: &Memory) -> bool {
        mem.load(self.slot().first(STAMP_LEN)) == self.next.wrapping_add(1)
    }

    /// Takes the next record, if it is there: a copy of its own, whatever the neighbour writes now.
    #[inline]
    pub(crate) fn take(&mut self, mem: &Memory) -> Option<Taken> {
        if !self.has_record(mem) {
            return None;
        }
        let mut bytes = [0; LEN - STAMP_LEN];
        mem.read(self.slot().from(STAMP_LEN), &mut bytes);
        self.next = self.next.wrapping_add(1);
        let Some(record) = Record::decode(&bytes) else { return Some(Taken::Malformed) };
        if record.memory == 0 && !record.has(WITHIN) {
            self.unsaid_bytes = self.unsaid_bytes.saturating_add(record.len.into());
        }
        Some(Taken::Record(record))
    }

    /// How many records we took, if the neighbour has to be told: when much is free again, or everything.
    pub(crate) fn unsaid(&mut self, is_all: bool) -> Option<u32> {
        let count = self.next.wrapping_sub(self.said);
        let is_much =
            count >= self.records / SAID_EVERY || self.unsaid_bytes >= self.bytes / SAID_EVERY_BYTES;
        let is_due = count > 0 && (is_all || is_much);
        is_due.then(|| {
            (self.said, self.unsaid_bytes) = (self.next, 0);
            self.next
        })
    }

    /// How many of our records the neighbour says it has consumed.
    pub(crate) fn consumed(&self, mem: &Memory) -> u32 {
        mem.load(self.number(CONSUMED))
    }

    /// Odd while the neighbour sleeps.
    pub(crate) fn asleep(&self, mem: &Memory) -> u32 {
        mem.load(self.number(ASLEEP))
    }

    #[inline]
    fn slot(&self) -> Span {
        let place = self.next & (self.records - 1);
        Span { region: self.region, len: LEN as u32, offset: FRONT + u64::from(place) * LEN as u64 }
    }

    const fn number(&self, at: usize) -> Span {
        Span { region: self.region, len: STAMP_LEN as u32, offset: at as u64 }
    }
}

/// The neighbour is told after such parts of its rings.
const SAID_EVERY: u32 = 8;
const SAID_EVERY_BYTES: u64 = 8;
