//! The neighbour's area of a link: what it alone writes and we read. See [`outbox`](crate::outbox) for how it is laid out.

use crate::distance::{Distance, Found};
use crate::outbox::{ASLEEP, CONSUMED, DISTANCE, FRONT};
use crate::record::{LEN, Record, STAMP_LEN, WITHIN};
use stdx::mem::{Memory, RegionId, Span};
use stdx::time::Time;

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
    /// The next record was looked for in vain.
    is_awaited: bool,
    /// How many of our records it said last that it consumed, while lines were timed.
    last_consumed: u32,
    /// How far the neighbour is.
    distance: Distance,
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
    pub(crate) fn new(region: RegionId, records: u32, bytes: u32) -> Self {
        Self {
            region,
            records,
            next: 0,
            said: 0,
            unsaid_bytes: 0,
            bytes: bytes.into(),
            is_awaited: false,
            last_consumed: 0,
            distance: Distance::default(),
        }
    }

    /// True if a record is there.
    #[inline]
    pub(crate) fn has_record(&self, mem: &Memory) -> bool {
        mem.load(self.slot().first(STAMP_LEN)) == self.next.wrapping_add(1)
    }

    /// Takes the next record, if it is there: a copy of its own, whatever the neighbour writes now.
    #[inline]
    pub(crate) fn take(&mut self, mem: &Memory) -> Option<Taken> {
        let is_there =
            if self.distance.is_asking() { self.has_record_timed(mem) } else { self.has_record(mem) };
        if !is_there {
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

    /// The same as [`Inbox::has_record`], which tells how far the neighbour is.
    fn has_record_timed(&mut self, mem: &Memory) -> bool {
        let (stamp, took_ns) = mem.load_timed(self.slot().first(STAMP_LEN));
        let is_there = stamp == self.next.wrapping_add(1);
        let was_awaited = core::mem::replace(&mut self.is_awaited, !is_there);
        if let (true, true, Some(took_ns)) = (is_there, was_awaited, took_ns) {
            self.distance.note(took_ns);
        }
        is_there
    }

    /// To be called once a turn: says how far the neighbour is, once that is found.
    pub(crate) fn find_distance(&mut self, now: Time, mem: &Memory) -> Option<Found> {
        if self.distance.is_asking() {
            let (consumed, took_ns) = mem.load_timed(self.number(CONSUMED));
            if let (true, Some(took_ns)) =
                (core::mem::replace(&mut self.last_consumed, consumed) != consumed, took_ns)
            {
                self.distance.note(took_ns);
            }
        }
        let theirs = self.number(DISTANCE);
        self.distance.turn(now, || Found::from_code(mem.load(theirs)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outbox;
    use crate::record::Opcode;
    use core::sync::atomic::{AtomicU64, Ordering};
    use stdx::mem::MemoryLimits;

    /// A clock by which whatever is timed takes 300 nanoseconds.
    fn slow_clock() -> u64 {
        static NOW: AtomicU64 = AtomicU64::new(0);
        NOW.fetch_add(300, Ordering::Relaxed)
    }

    #[test]
    fn records_that_were_waited_for_tell_the_distance() {
        let mut mem = Memory::new(MemoryLimits { buffer_bytes: 1 << 16 }).unwrap();
        mem.set_clock(slow_clock);
        let mut outbox = Outbox::new(&mut mem, 64, 16 << 10).unwrap();
        let mut inbox = Inbox::new(outbox.region(), 64, 16 << 10);
        let record = Record::new(Opcode::Send, 1, 2, 3);
        assert_eq!(inbox.find_distance(Time::ZERO, &mem), None);
        let mut waited = 0;
        while inbox.find_distance(Time::ZERO, &mem) != Some(Found::Far) {
            assert_eq!(inbox.take(&mem), None);
            outbox.push(&mut mem, &record);
            // One that was there when it was looked for tells nothing.
            outbox.push(&mut mem, &record);
            assert_eq!(inbox.take(&mem), Some(Taken::Record(record)));
            assert_eq!(inbox.take(&mem), Some(Taken::Record(record)));
            waited += 1;
        }
        assert_eq!(waited, 7);
    }
}
