//! Our area of a link: what we alone write and the neighbour reads.
//!
//! ```text
//!    0 asleep: odd while we wait for a bell     64 consumed: records of the neighbour's that we took
//!  128 distance: 0 unknown, 1 near, 2 far
//! 4096 records                                  then the ring of bytes
//! ```
//!
//! Records and bytes are free again once the neighbour says that it has consumed the record they came with.

use crate::distance::Found;
use crate::record::{LEN, Record, STAMP_LEN};
use stdx::mem::{Kind, Memory, OutOfMemory, RegionId, Span};

/// The area, and how far it is filled.
#[derive(Debug)]
pub(crate) struct Outbox {
    region: RegionId,
    records: u32,
    bytes: u64,
    /// The record that is next, counted from the first.
    next: u32,
    /// How many the neighbour has consumed, as far as we know.
    consumed: u32,
    /// Bytes that were ever put into the ring, and that are free again.
    filled: u64,
    freed: u64,
    /// How far the ring of bytes was filled when each record was written.
    filled_at: Vec<u64>,
    /// Records were written since the neighbour's sleep was last looked at.
    pub(crate) is_fresh: bool,
}

/// The neighbour says that it has consumed what we never wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lie;

impl Outbox {
    /// An empty area.
    pub(crate) fn new(mem: &mut Memory, records: u32, bytes: u32) -> Result<Self, OutOfMemory> {
        let len = area_len(records, bytes);
        let region = mem.map(Kind::Published, len)?;
        if mem.share(region).is_none() {
            mem.unmap(region);
            return Err(OutOfMemory { bytes: len });
        }
        let filled_at = vec![0; records as usize];
        Ok(Self {
            region,
            records,
            bytes: bytes.into(),
            next: 0,
            consumed: 0,
            filled: 0,
            freed: 0,
            filled_at,
            is_fresh: false,
        })
    }

    /// Gives the memory back; the neighbour's mapping stays its own affair.
    pub(crate) fn close(&self, mem: &mut Memory) {
        mem.unmap(self.region);
    }

    /// The area.
    pub(crate) const fn region(&self) -> RegionId {
        self.region
    }

    /// Says how many of the neighbour's records we took.
    pub(crate) fn say_consumed(&self, mem: &mut Memory, consumed: u32) {
        mem.store(mem.whole(self.region).slice(CONSUMED, STAMP_LEN), consumed);
    }

    /// Says whether we sleep: odd if so.
    pub(crate) fn say_asleep(&self, mem: &mut Memory, epoch: u32) {
        mem.store(mem.whole(self.region).slice(ASLEEP, STAMP_LEN), epoch);
    }

    /// Says how far the neighbour is.
    pub(crate) fn say_distance(&self, mem: &mut Memory, found: Found) {
        mem.store(mem.whole(self.region).slice(DISTANCE, STAMP_LEN), found as u32);
    }

    /// Takes down how many records the neighbour has consumed.
    pub(crate) fn heed_consumed(&mut self, consumed: u32) -> Result<(), Lie> {
        let more = consumed.wrapping_sub(self.consumed);
        if more > self.next.wrapping_sub(self.consumed) {
            return Err(Lie);
        }
        if more > 0 {
            self.consumed = consumed;
            self.freed = self.filled_at[self.place(consumed.wrapping_sub(1))];
        }
        Ok(())
    }

    /// True if a record can be written.
    pub(crate) const fn has_room(&self) -> bool {
        self.next.wrapping_sub(self.consumed) < self.records
    }

    /// How many may find room for something, each for one record and a few bytes.
    pub(crate) const fn writers(&self) -> u32 {
        let records = self.records - self.next.wrapping_sub(self.consumed);
        let bytes = self.bytes - (self.filled - self.freed);
        // One at least, since there are records without bytes.
        let wanted = bytes / FEW_BYTES + 1;
        if wanted < records as u64 { wanted as u32 } else { records }
    }

    /// True if more than half of everything is free, as far as we know.
    pub(crate) const fn has_plenty(&self) -> bool {
        self.next.wrapping_sub(self.consumed) < self.records / 2 && self.filled - self.freed < self.bytes / 2
    }

    /// Room for 1 to `len` bytes in one run, for the next record; `None` if there is not even room for the least.
    pub(crate) fn room(&mut self, len: u32) -> Option<Span> {
        let least = u64::from(len.min(LEAST));
        let at = self.filled % self.bytes;
        let free = self.bytes - (self.filled - self.freed);
        let to_end = self.bytes - at;
        // What is left at the end is passed over if it is too short.
        let (skip, run) =
            if to_end >= least { (0, to_end.min(free)) } else { (to_end, free.saturating_sub(to_end)) };
        if run < least {
            return None;
        }
        let len = u64::from(len).min(run).min(CHUNK_MAX);
        let start = (at + skip) % self.bytes;
        self.filled += skip + len.next_multiple_of(ALIGNMENT).min(run);
        let offset = FRONT + u64::from(self.records) * LEN as u64 + start;
        Some(Span { region: self.region, len: len as u32, offset })
    }

    /// Writes a record. There is room, as was asked before.
    #[inline]
    pub(crate) fn push(&mut self, mem: &mut Memory, record: &Record) {
        debug_assert!(self.has_room());
        let place = self.place(self.next);
        let slot = Span { region: self.region, len: LEN as u32, offset: FRONT + (place * LEN) as u64 };
        self.filled_at[place] = self.filled;
        mem.write(slot.from(STAMP_LEN), &record.encode());
        self.next = self.next.wrapping_add(1);
        mem.store(slot.first(STAMP_LEN), self.next);
        self.is_fresh = true;
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        assert!(self.next.wrapping_sub(self.consumed) <= self.records, "no record is overwritten");
        assert!(self.filled - self.freed <= self.bytes, "no byte is overwritten");
    }

    const fn place(&self, record: u32) -> usize {
        (record & (self.records - 1)) as usize
    }
}

/// Bytes of an area.
pub(crate) fn area_len(records: u32, bytes: u32) -> u64 {
    FRONT + u64::from(records) * LEN as u64 + u64::from(bytes)
}

/// Where the numbers stand, each in a line of its own, and the records begin.
pub(crate) const ASLEEP: usize = 0;
pub(crate) const CONSUMED: usize = 64;
pub(crate) const DISTANCE: usize = 128;
pub(crate) const FRONT: u64 = 4096;

/// Fewer bytes than this, if there are more to come, are not worth a record.
const LEAST: u32 = 4096;
/// Bytes that somebody who waits for room wants, as a guess.
const FEW_BYTES: u64 = 1024;
/// Bytes of one record, so that the neighbour copies the first while we put in the next.
const CHUNK_MAX: u64 = 32 << 10;
/// Runs begin on a line.
const ALIGNMENT: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Opcode;
    use stdx::mem::MemoryLimits;

    #[test]
    fn what_is_not_consumed_is_not_overwritten() {
        let mut mem = Memory::new(MemoryLimits { buffer_bytes: 1 << 16 }).unwrap();
        let mut outbox = Outbox::new(&mut mem, 16, 16 << 10).unwrap();
        let record = Record::new(Opcode::Send, 1, 2, 3);
        for round in 0..100u32 {
            let mut written = 0;
            while outbox.has_room() {
                let Some(span) = outbox.room(5000) else { break };
                assert!((1..=5000).contains(&span.len));
                assert!(span.offset + u64::from(span.len) <= area_len(16, 16 << 10));
                outbox.push(&mut mem, &record);
                outbox.check();
                written += 1;
            }
            assert!((2..=16).contains(&written), "round {round}: {written}");
            assert_eq!(outbox.heed_consumed(outbox.next.wrapping_add(1)), Err(Lie));
            assert_eq!(outbox.heed_consumed(outbox.next), Ok(()));
            assert!(outbox.has_plenty());
            assert_eq!(outbox.heed_consumed(outbox.next.wrapping_sub(1)), Err(Lie));
        }
    }
}
