//! The data of a write whose parts may come in any order, or a second time (RFC 7143, sections 7.9, 13.18 and 13.19): where
//! DataPDUInOrder or DataSequenceInOrder is No, or the error recovery level is 1 or 2.
//!
//! What it is not: it has no buffer and sends no R2T. It says which bytes have come and which to ask for next.
//!
//! Invariants: what has come is said by ascending ranges that do not touch; a sequence is open from the R2T (or the command
//! that announces it) to its last PDU; nothing is asked for twice while it may still come.

use core::ops::Range;
use wire::iscsi::{RESERVED_TAG, Serial};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    have: Vec<Range<u32>>,
    open: Vec<Sequence>,
    landing: Option<Arrival>,
    /// Sequences that ended with bytes missing.
    repairs: u32,
}

/// A sequence of Data-Out that is expected.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// What its PDUs bear; the reserved tag if they come unasked.
    pub transfer_tag: u32,
    /// The number of its R2T.
    pub r2t_sn: Serial,
    /// Where it lies in the command's data.
    pub range: Range<u32>,
    /// What the next PDU bears and where it begins, if PDUs come in order.
    next: (Serial, u32),
}

/// A Data-Out PDU.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// What it bears.
    pub transfer_tag: u32,
    /// Its number in its sequence.
    pub data_sn: Serial,
    /// Where it lies in the command's data.
    pub range: Range<u32>,
    /// It is the last of its sequence.
    pub is_final: bool,
}

/// A PDU does not belong where it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Misplaced {
    /// Its sequence is not open.
    Unknown,
    /// It is not within its sequence.
    Outside,
}

impl Pieces {
    /// For a command with so much data in its own PDU, and more to come unasked up to `unsolicited_end`, if it is said to.
    pub(crate) fn new(immediate: u32, unsolicited_end: Option<u32>) -> Self {
        let mut pieces = Self::default();
        if let Some(end) = unsolicited_end {
            pieces.expect(RESERVED_TAG, Serial(0), immediate..end);
        }
        if immediate > 0 {
            let (data_sn, range) = (Serial(0), 0..immediate);
            // It is of no sequence: that it is the last of one is of no consequence.
            pieces.landing = Some(Arrival { transfer_tag: IMMEDIATE, data_sn, range, is_final: false });
        }
        pieces
    }

    /// A sequence is asked for.
    pub(crate) fn expect(&mut self, transfer_tag: u32, r2t_sn: Serial, range: Range<u32>) {
        let next = (Serial(0), range.start);
        self.open.push(Sequence { transfer_tag, r2t_sn, range, next });
    }

    /// Sequences that were asked for and have not come to their end.
    pub(crate) fn outstanding(&self) -> usize {
        self.open.iter().filter(|sequence| sequence.transfer_tag != RESERVED_TAG).count()
    }

    /// Data that was not asked for is still to come.
    pub(crate) fn is_unsolicited(&self) -> bool {
        self.outstanding() < self.open.len()
    }

    /// The initiator still has to send something.
    pub(crate) fn owed(&self) -> bool {
        !self.open.is_empty() || self.landing.is_some()
    }

    /// All of the first `wanted` bytes are there.
    pub(crate) fn is_complete(&self, wanted: u32) -> bool {
        wanted == 0 || self.have.first().is_some_and(|first| first.start == 0 && first.end >= wanted)
    }

    /// Sequences that ended with bytes missing.
    pub(crate) const fn repairs(&self) -> u32 {
        self.repairs
    }

    /// The open sequences that were asked for.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &Sequence> {
        self.open.iter().filter(|sequence| sequence.transfer_tag != RESERVED_TAG)
    }

    /// The header of a PDU is here; its data follows. `in_order`: PDUs of a sequence are to come in order. Says whether one
    /// before it is missing.
    pub(crate) fn arrive(&mut self, arrival: Arrival, in_order: bool) -> Result<bool, Misplaced> {
        let found = self.open.iter_mut().find(|sequence| sequence.transfer_tag == arrival.transfer_tag);
        let sequence = found.ok_or(Misplaced::Unknown)?;
        let Range { start, end } = arrival.range;
        if start < sequence.range.start || end > sequence.range.end || start > end {
            return Err(Misplaced::Outside);
        }
        let gap = in_order && sequence.next != (arrival.data_sn, start);
        sequence.next = (arrival.data_sn.next(), end);
        self.landing = Some(arrival);
        Ok(gap)
    }

    /// The data of the PDU that arrived last has landed. Says whether its sequence ended with bytes missing.
    pub(crate) fn land(&mut self, intact: bool) -> bool {
        let Some(arrival) = self.landing.take() else { return false };
        if intact {
            self.add(arrival.range.clone());
        }
        if !arrival.is_final {
            return false;
        }
        let place = self.open.iter().position(|sequence| sequence.transfer_tag == arrival.transfer_tag);
        let Some(sequence) = place.map(|place| self.open.swap_remove(place)) else { return false };
        // What comes unasked may end before its limit.
        let end = if sequence.transfer_tag == RESERVED_TAG { sequence.next.1 } else { sequence.range.end };
        let missing = self.hole(sequence.range.start..end).is_some();
        self.repairs += u32::from(missing);
        missing
    }

    /// What to ask for next: the first bytes that are not there and not on their way, of the first `wanted`, and no more than
    /// `most`.
    pub(crate) fn next_to_ask(&self, wanted: u32, most: u32) -> Option<Range<u32>> {
        let mut from = 0;
        while let Some(hole) = self.hole(from..wanted) {
            let coming = self.open.iter().map(|sequence| &sequence.range);
            let coming = coming.chain(self.landing.iter().map(|arrival| &arrival.range));
            let ahead = coming.filter(|range| range.end > hole.start);
            let Some(first) = ahead.min_by_key(|range| range.start) else {
                return Some(hole.start..hole.end.min(hole.start.saturating_add(most)));
            };
            if first.start > hole.start {
                let end = hole.end.min(first.start).min(hole.start.saturating_add(most));
                return Some(hole.start..end);
            }
            from = first.end;
        }
        None
    }

    /// The connection is gone: what was on its way will not come.
    pub(crate) fn forget_expected(&mut self) {
        self.open.clear();
        self.landing = None;
    }

    /// The first bytes of a range that are not there.
    fn hole(&self, range: Range<u32>) -> Option<Range<u32>> {
        let mut start = range.start;
        for have in &self.have {
            if start >= range.end || have.start > start {
                break;
            }
            start = start.max(have.end);
        }
        let next = self.have.iter().find(|have| have.start > start).map_or(range.end, |have| have.start);
        (start < range.end).then(|| start..next.min(range.end))
    }

    fn add(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let from = self.have.partition_point(|have| have.end < range.start);
        let to = self.have.partition_point(|have| have.start <= range.end);
        if from == to && self.have.len() >= RANGES_MAX {
            // Pieces cut this small are asked for again.
            return;
        }
        let touched = &self.have[from..to];
        let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
        let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
        self.have.splice(from..to, core::iter::once(start..end));
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        for (one, next) in self.have.iter().zip(self.have.iter().skip(1)) {
            assert!(one.end < next.start && one.start < one.end, "ranges ascend and do not touch");
        }
        assert!(self.have.len() <= RANGES_MAX);
    }
}

/// Ranges that are kept apart. More come of PDUs in an order that nobody has a reason for.
const RANGES_MAX: usize = 256;

/// The tag of data that comes with its command: no sequence has it.
const IMMEDIATE: u32 = RESERVED_TAG - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(transfer_tag: u32, number: u32, range: Range<u32>, is_final: bool) -> Arrival {
        Arrival { transfer_tag, data_sn: Serial(number), range, is_final }
    }

    #[test]
    fn what_is_missing_is_asked_for_once() {
        let mut pieces = Pieces::new(100, None);
        assert!(pieces.owed() && !pieces.land(true));
        assert_eq!(pieces.next_to_ask(1000, 400), Some(100..500));
        pieces.expect(7, Serial(0), 100..500);
        assert_eq!(pieces.next_to_ask(1000, 400), Some(500..900));
        pieces.expect(8, Serial(1), 500..900);
        assert_eq!((pieces.next_to_ask(1000, 400), pieces.outstanding()), (Some(900..1000), 2));
        assert_eq!(pieces.arrive(arrival(8, 0, 500..900, true), true), Ok(false));
        assert!(!pieces.land(true));
        assert_eq!(pieces.arrive(arrival(7, 0, 100..300, false), true), Ok(false));
        assert!(!pieces.land(false), "damaged, but the sequence goes on");
        assert_eq!(pieces.arrive(arrival(7, 1, 300..500, true), true), Ok(false));
        assert!(pieces.land(true), "it ended, and the damaged part is missing");
        assert_eq!(pieces.next_to_ask(1000, 400), Some(100..300));
        pieces.expect(9, Serial(2), 100..300);
        pieces.expect(10, Serial(3), 900..1000);
        assert_eq!(pieces.next_to_ask(1000, 400), None);
        for (tag, range) in [(10, 900..1000), (9, 100..300)] {
            assert_eq!(pieces.arrive(arrival(tag, 0, range, true), true), Ok(false));
            assert!(!pieces.land(true));
        }
        assert!(pieces.is_complete(1000) && !pieces.owed());
        pieces.check();
    }

    #[test]
    fn parts_come_in_any_order() {
        let mut pieces = Pieces::default();
        pieces.expect(7, Serial(0), 0..400);
        for (number, start, is_final) in [(0, 300, false), (1, 100, false), (2, 0, false), (3, 200, true)] {
            let range = start..start + 100;
            assert_eq!(pieces.arrive(arrival(7, number, range, is_final), false), Ok(false));
            assert!(!pieces.land(true));
            pieces.check();
        }
        assert!(pieces.is_complete(400));
    }

    #[test]
    fn what_does_not_belong_is_told() {
        let mut pieces = Pieces::new(0, Some(200));
        assert_eq!(pieces.arrive(arrival(5, 0, 0..10, false), true), Err(Misplaced::Unknown));
        let unasked = |range, last| arrival(RESERVED_TAG, 0, range, last);
        assert_eq!(pieces.arrive(unasked(100..201, false), true), Err(Misplaced::Outside));
        assert_eq!(pieces.arrive(unasked(100..200, true), true), Ok(true));
        assert!(pieces.is_unsolicited() && pieces.land(true));
        assert_eq!(pieces.next_to_ask(200, 1000), Some(0..100));
        assert!(!pieces.is_complete(200));
        pieces.expect(3, Serial(0), 0..100);
        pieces.forget_expected();
        assert!(!pieces.owed());
        assert_eq!(pieces.next_to_ask(200, 1000), Some(0..100));
    }

    #[test]
    fn what_comes_unasked_may_end_early() {
        let mut pieces = Pieces::new(0, Some(200));
        assert_eq!(pieces.arrive(arrival(RESERVED_TAG, 0, 0..120, true), true), Ok(false));
        assert!(!pieces.land(true));
        assert_eq!((pieces.repairs(), pieces.next_to_ask(200, 1000)), (0, Some(120..200)));
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut pieces = Pieces::default();
        pieces.expect(7, Serial(0), 0..100_000);
        for number in 0..2000 {
            let start = number * 20;
            assert!(pieces.arrive(arrival(7, number, start..start + 10, false), false).is_ok());
            assert!(!pieces.land(true));
        }
        pieces.check();
    }
}
