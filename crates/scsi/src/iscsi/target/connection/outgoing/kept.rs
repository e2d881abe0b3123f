//! What was said and not acknowledged, kept to be said again (RFC 7143, section 7.1.3): at error recovery levels 1 and 2.
//!
//! Answers are kept by their StatSN until ExpStatSN has passed them, read data until the status of its command is
//! acknowledged. The initiator may have it again by a SNACK, or by another connection once this one is lost.
//!
//! Invariants: a kept buffer is given back only when no PDU that lies in the transmit queue points into it; the number of
//! answers and the bytes of data have limits, and what is over them is not kept.

use super::item::{Item, Response};
use std::collections::VecDeque;
use stdx::mem::{Memory, Span};
use wire::iscsi::Serial;
use wire::scsi::Lun;

/// See the module.
#[derive(Debug, Default)]
pub(in super::super) struct Kept {
    answers: VecDeque<Answer>,
    reads: Vec<KeptRead>,
    /// Bytes of the buffers of reads.
    bytes: usize,
    last_ack_tag: u32,
    /// Tags of reads that became done, and may still have data in the backlog.
    gone: Vec<u32>,
}

/// An answer that was said.
#[derive(Debug)]
struct Answer {
    stat_sn: Serial,
    item: Item,
    /// The position in the stream behind it.
    said_to: u64,
}

/// The data of a read.
#[derive(Debug)]
pub(crate) struct KeptRead {
    /// Its command's tag.
    pub tag: u32,
    /// Its logical unit.
    pub lun: Lun,
    /// All of it.
    pub data: Span,
    /// The buffer it lies in.
    pub buffer: Span,
    /// How it is cut into PDUs.
    pub cuts: Cuts,
    /// The number after that of the last PDU said.
    pub next_sn: Serial,
    /// The PDUs before this one are acknowledged.
    pub acknowledged: Serial,
    /// What its response bears, if the data was cut anew.
    pub snack_tag: u32,
    /// What acknowledgements of its data bear.
    pub ack_tag: u32,
    /// The position in the stream behind what was said of it last.
    said_to: u64,
    /// The status is acknowledged, or need not be.
    done: bool,
}

/// How data is cut into numbered PDUs: none longer than the other end takes, none across the end of a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cuts {
    /// The first number.
    pub first_sn: Serial,
    /// Where it begins.
    pub offset: u32,
    /// The most bytes of a PDU.
    pub segment: u32,
    /// The most bytes of a sequence.
    pub burst: u32,
}

impl Cuts {
    /// How many bytes the PDU has that begins at `offset`, of data that ends at `end`.
    pub(super) fn len(&self, offset: u32, end: u32) -> u32 {
        (end - offset).min(self.segment).min(self.burst - offset % self.burst)
    }

    /// Where the PDU of a number begins, of data that ends at `end`; `end` for the number after the last.
    pub(super) fn offset_of(&self, number: Serial, end: u32) -> Option<u32> {
        let (mut offset, mut left) = (self.offset, number.since(self.first_sn));
        while left > 0 {
            if offset >= end {
                return None;
            }
            offset += self.len(offset, end);
            left -= 1;
        }
        Some(offset)
    }

    /// The number after that of the last PDU.
    pub(super) fn end_sn(&self, end: u32) -> Serial {
        let (mut offset, mut number) = (self.offset, self.first_sn);
        while offset < end {
            offset += self.len(offset, end);
            number = number.next();
        }
        number
    }
}

impl KeptRead {
    /// Data that nothing was said of yet.
    pub(crate) fn new(tag: u32, lun: Lun, data: Span, buffer: Span, cuts: Cuts) -> Self {
        let (next_sn, acknowledged) = (cuts.first_sn, cuts.first_sn);
        let (snack_tag, ack_tag, said_to, done) = (0, 0, 0, false);
        Self { tag, lun, data, buffer, cuts, next_sn, acknowledged, snack_tag, ack_tag, said_to, done }
    }

    /// It is cut anew from what is acknowledged on.
    pub(super) fn cut_anew(&mut self, segment: u32) -> Option<()> {
        let offset = self.cuts.offset_of(self.acknowledged, self.data.len)?;
        self.cuts = Cuts { first_sn: self.acknowledged, offset, segment, ..self.cuts };
        self.next_sn = self.acknowledged;
        Some(())
    }
}

impl Kept {
    /// Bytes of the buffers of reads.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether another answer must wait for what is under way to be sent: the oldest cannot be forgotten yet.
    pub(super) fn is_full(&self, sent: u64) -> bool {
        self.answers.len() >= ANSWERS_MAX && self.answers.front().is_some_and(|oldest| oldest.said_to > sent)
    }

    /// Keeps an answer that was just said. The oldest is forgotten if there are too many.
    pub(super) fn keep(&mut self, memory: &mut Memory, stat_sn: Serial, item: Item, said_to: u64) {
        if self.answers.len() >= ANSWERS_MAX
            && let Some(oldest) = self.answers.pop_front()
        {
            self.forget(memory, &oldest.item);
        }
        self.answers.push_back(Answer { stat_sn, item, said_to });
    }

    /// The answer of this number.
    pub(super) fn answer(&self, stat_sn: Serial) -> Option<&Item> {
        self.answers.iter().find(|answer| answer.stat_sn == stat_sn).map(|answer| &answer.item)
    }

    /// It was said again.
    pub(super) fn said_again(&mut self, stat_sn: Serial, said_to: u64) {
        if let Some(answer) = self.answers.iter_mut().find(|answer| answer.stat_sn == stat_sn) {
            answer.said_to = said_to;
        }
    }

    /// The numbers of all answers that are kept.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Serial> {
        self.answers.iter().map(|answer| answer.stat_sn)
    }

    /// The number that the response of a task was said with.
    pub(super) fn response_sn(&self, tag: u32) -> Option<Serial> {
        let of = |answer: &&Answer| matches!(&answer.item, Item::Response(response) if response.tag == tag);
        self.answers.iter().rev().find(of).map(|answer| answer.stat_sn)
    }

    /// Keeps the data of a read.
    pub(super) fn keep_read(&mut self, mut read: KeptRead) {
        self.last_ack_tag = if self.last_ack_tag < ACK_TAG_MAX { self.last_ack_tag + 1 } else { 1 };
        read.ack_tag = self.last_ack_tag;
        (read.said_to, read.done) = (0, false);
        self.bytes += read.buffer.len();
        self.reads.push(read);
    }

    /// The data of a task's read.
    pub(super) fn read(&mut self, tag: u32) -> Option<&mut KeptRead> {
        self.reads.iter_mut().find(|read| read.tag == tag && !read.done)
    }

    /// Data of a read was said up to this number.
    pub(super) fn said_data(&mut self, tag: u32, next_sn: Serial, said_to: u64) {
        if let Some(read) = self.reads.iter_mut().find(|read| read.tag == tag && !read.done) {
            read.said_to = said_to;
            if read.next_sn.precedes(next_sn) {
                read.next_sn = next_sn;
            }
        }
    }

    /// Data up to a number has come to the initiator. False if that cannot be. Of data that is not kept any more, since its
    /// status came first or others needed the memory, it tells nothing new.
    pub(super) fn acknowledge_data(&mut self, ack_tag: u32, number: Serial) -> bool {
        let Some(read) = self.reads.iter_mut().find(|read| read.ack_tag == ack_tag && !read.done) else {
            return (1..=self.last_ack_tag).contains(&ack_tag);
        };
        let can_be = !number.precedes(read.acknowledged) && !read.next_sn.precedes(number);
        if can_be {
            read.acknowledged = number;
        }
        can_be
    }

    /// The initiator has all answers before this one.
    pub(super) fn acknowledge(&mut self, memory: &mut Memory, expected: Serial, sent: u64) {
        while let Some(oldest) = self.answers.front()
            && oldest.stat_sn.precedes(expected)
            && oldest.said_to <= sent
        {
            let Some(oldest) = self.answers.pop_front() else { return };
            self.forget(memory, &oldest.item);
        }
    }

    /// A tag whose data need not be said any more.
    pub(super) fn poll_gone(&mut self) -> Option<u32> {
        self.gone.pop()
    }

    /// Gives back the buffers of reads that are done and of which nothing lies in the transmit queue.
    pub(super) fn sweep(&mut self, memory: &mut Memory, sent: u64) {
        let bytes = &mut self.bytes;
        self.reads.retain(|read| {
            let goes = read.done && read.said_to <= sent;
            if goes {
                *bytes -= read.buffer.len();
                memory.give(read.buffer);
            }
            !goes
        });
    }

    /// Memory is short: gives back the data of reads that were said and sent whole, but for those that `still_wanted` names.
    pub(super) fn release(&mut self, memory: &mut Memory, sent: u64, still_wanted: impl Fn(u32) -> bool) {
        for read in self.reads.iter_mut().filter(|read| !read.done) {
            let whole = read.next_sn == read.cuts.end_sn(read.data.len);
            read.done = whole && read.said_to <= sent && !still_wanted(read.tag);
        }
        self.sweep(memory, sent);
    }

    /// Takes what another connection can go on with: all responses, each with its data. The rest is given back; nothing may
    /// lie in the transmit queue any more.
    pub(super) fn take(
        &mut self,
        memory: &mut Memory,
        unsaid: impl Iterator<Item = Response>,
    ) -> Vec<(Response, Option<KeptRead>)> {
        let mut responses = Vec::new();
        for answer in self.answers.drain(..) {
            match answer.item {
                Item::Response(response) => responses.push(response),
                other if !other.buffer().is_empty() => memory.give(other.buffer()),
                _without_buffer => {}
            }
        }
        responses.extend(unsaid);
        let mut taken = Vec::new();
        for response in responses {
            let place = self.reads.iter().position(|read| read.tag == response.tag && !read.done);
            let read = place.map(|place| self.reads.swap_remove(place));
            // Without its data it is of no use to anybody.
            if response.read_bytes == 0 || read.is_some() {
                taken.push((response, read));
            }
        }
        self.clear(memory);
        taken
    }

    /// Forgets everything; nothing may lie in the transmit queue any more.
    pub(super) fn clear(&mut self, memory: &mut Memory) {
        for answer in self.answers.drain(..) {
            if !answer.item.buffer().is_empty() {
                memory.give(answer.item.buffer());
            }
        }
        for read in self.reads.drain(..) {
            memory.give(read.buffer);
        }
        self.bytes = 0;
        self.gone.clear();
    }

    /// How many buffers it holds.
    pub(super) fn buffers(&self) -> usize {
        let answers = self.answers.iter().filter(|answer| !answer.item.buffer().is_empty()).count();
        answers + self.reads.len()
    }

    /// An answer is not kept any more.
    fn forget(&mut self, memory: &mut Memory, item: &Item) {
        if !item.buffer().is_empty() {
            memory.give(item.buffer());
        }
        if let Item::Response(response) = item {
            for read in self.reads.iter_mut().filter(|read| read.tag == response.tag && !read.done) {
                read.done = true;
                self.gone.push(read.tag);
            }
        }
    }

    /// Asserts what always holds.
    pub(super) fn check(&self) {
        assert!(self.answers.len() <= ANSWERS_MAX);
        assert_eq!(self.bytes, self.reads.iter().map(|read| read.buffer.len()).sum::<usize>());
    }
}

/// Answers that are kept. An initiator acknowledges with everything it sends, so that more than its window is a rarity.
const ANSWERS_MAX: usize = 1024;

/// Tags of ours: none of them is reserved.
const ACK_TAG_MAX: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_cut_at_the_ends_of_bursts() {
        let cuts = Cuts { first_sn: Serial(0), offset: 0, segment: 300, burst: 1000 };
        let starts: Vec<_> = (0..8).map(|number| cuts.offset_of(Serial(number), 2100)).collect();
        assert_eq!(starts[..5], [Some(0), Some(300), Some(600), Some(900), Some(1000)]);
        assert_eq!(cuts.end_sn(2100), Serial(9));
        assert_eq!((cuts.offset_of(Serial(9), 2100), cuts.offset_of(Serial(10), 2100)), (Some(2100), None));
    }

    #[test]
    fn data_is_cut_anew_from_what_is_acknowledged() {
        let cuts = Cuts { first_sn: Serial(0), offset: 0, segment: 300, burst: 1000 };
        let data = Span { len: 2100, ..Span::EMPTY };
        let mut read = KeptRead::new(1, Lun::default(), data, data, cuts);
        (read.acknowledged, read.next_sn) = (Serial(4), Serial(6));
        read.cut_anew(500).unwrap();
        assert_eq!(read.cuts, Cuts { first_sn: Serial(4), offset: 1000, segment: 500, burst: 1000 });
        assert_eq!((read.next_sn, read.cuts.end_sn(2100)), (Serial(4), Serial(7)));
    }
}
