//! One neighbour: a link, our area and its area, and the memory that each has named to the other.

use crate::counters::Counters;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::record::{LAST, Record, TAIL_LEN, WITHIN};
use core::net::IpAddr;
use std::collections::VecDeque;
use stdx::env::LinkId;
use stdx::mem::{Memory, RegionId, Span};
use stdx::planted::{Bug, planted};
use verbs::QpId;
use verbs::parts::{copy_in, copy_out, move_bytes};

/// A neighbour, linked or about to be.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) link: LinkId,
    /// The device's address: whom we asked for, or who the neighbour says it is.
    pub(crate) address: Option<IpAddr>,
    pub(crate) outbox: Outbox,
    /// Its area, once it has said hello.
    pub(crate) inbox: Option<Inbox>,
    /// Its memory: the area, then what it named, by number.
    pub(crate) theirs: Vec<Option<Foreign>>,
    /// Our memory that was named to it, by number less one.
    pub(crate) ours: Vec<Option<Named>>,
    /// Our memory that is to be named.
    pub(crate) to_name: Vec<RegionId>,
    /// Where the memory was found last.
    last: usize,
    /// Refusals of requests for queue pairs that cannot answer themselves.
    pub(crate) strays: VecDeque<Record>,
    /// Queue pairs that wait for room.
    pub(crate) stalled: VecDeque<QpId>,
    /// The sleep that it was woken from last.
    pub(crate) rung: u32,
    /// It is gone.
    pub(crate) has_ended: bool,
}

/// Memory of the neighbour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign {
    pub(crate) region: RegionId,
    pub(crate) len: u64,
}

/// Memory of ours that the neighbour knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    pub(crate) region: RegionId,
    pub(crate) serial: u64,
}

/// Bytes to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bytes<'a> {
    /// They lie there, one after the other.
    Spans(&'a [Span]),
    /// These.
    Inline(&'a [u8]),
}

/// Bytes that came with a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Within([u8; TAIL_LEN], usize),
    Memory(Span),
}

impl Neighbour {
    pub(crate) const fn new(link: LinkId, address: Option<IpAddr>, outbox: Outbox) -> Self {
        Self {
            link,
            address,
            outbox,
            inbox: None,
            theirs: Vec::new(),
            ours: Vec::new(),
            to_name: Vec::new(),
            last: 0,
            strays: VecDeque::new(),
            stalled: VecDeque::new(),
            rung: 0,
            has_ended: false,
        }
    }

    /// Writes a record with as many of the bytes as it can carry, and says how many; `None` if there is no room. The record
    /// is the message's last if it carries all of them.
    pub(crate) fn emit(
        &mut self,
        mem: &mut Memory,
        mut record: Record,
        bytes: Bytes<'_>,
        counters: &mut Counters,
    ) -> Option<u32> {
        if !self.outbox.has_room() {
            return None;
        }
        let left = bytes.len();
        record.len = if left <= TAIL_LEN as u64 {
            record.flags |= WITHIN;
            bytes.copy_out(mem, &mut record.tail[..left as usize]);
            left as u32
        } else if let Some((number, span)) = self.direct(mem, bytes) {
            record.memory = number;
            record.set_tail([span.offset, 0]);
            counters.direct_bytes += u64::from(span.len);
            span.len
        } else {
            let span = self.outbox.room(self.indirect(mem, bytes))?;
            bytes.copy_to(mem, span);
            record.set_tail([span.offset, 0]);
            counters.ring_bytes += u64::from(span.len);
            span.len
        };
        if u64::from(record.len) == left {
            record.flags |= LAST;
        }
        self.outbox.push(mem, &record);
        counters.sent_records += 1;
        Some(record.len)
    }

    /// The same for bytes that may change once this returns: all of them, or nothing.
    pub(crate) fn emit_copied(
        &mut self,
        mem: &mut Memory,
        mut record: Record,
        bytes: Bytes<'_>,
        counters: &mut Counters,
    ) -> Option<u32> {
        if bytes.len() <= TAIL_LEN as u64 {
            return self.emit(mem, record, bytes, counters);
        }
        if !self.outbox.has_room() {
            return None;
        }
        let span = self.outbox.room(bytes.len() as u32)?;
        bytes.copy_to(mem, span);
        record.set_tail([span.offset, 0]);
        record.len = span.len;
        record.flags |= LAST;
        counters.ring_bytes += u64::from(span.len);
        self.outbox.push(mem, &record);
        counters.sent_records += 1;
        Some(span.len)
    }

    /// Where a record's bytes are; `None` if it lies about them.
    pub(crate) fn source(&self, record: &Record) -> Option<Source> {
        if record.has(WITHIN) || record.len == 0 {
            return Some(Source::Within(record.tail, record.len as usize));
        }
        let foreign = (*self.theirs.get(usize::from(record.memory))?)?;
        let (offset, len) = (record.offset(), u64::from(record.len));
        let is_inside = offset <= foreign.len && len <= foreign.len - offset;
        let is_lent = record.memory != 0;
        let offset = if is_lent && planted(Bug::LentFromTheBeginning) { 0 } else { offset };
        is_inside.then_some(Source::Memory(Span { region: foreign.region, len: record.len, offset }))
    }

    /// True if the memory a record speaks of was never named.
    pub(crate) fn is_unheard_of(&self, record: &Record) -> bool {
        record.len > 0
            && !record.has(WITHIN)
            && !matches!(self.theirs.get(usize::from(record.memory)), Some(Some(_)))
    }

    /// The first bytes, if the neighbour can copy them from where they lie: the memory's number, and where.
    fn direct(&mut self, mem: &Memory, bytes: Bytes<'_>) -> Option<(u16, Span)> {
        let Bytes::Spans(spans) = bytes else { return None };
        let span = *spans.iter().find(|span| !span.is_empty())?;
        if span.len < DIRECT_MIN {
            return None;
        }
        let number = self.number(mem, span.region)?;
        Some((number, span))
    }

    /// How many of the first bytes go through the ring.
    fn indirect(&self, mem: &Memory, bytes: Bytes<'_>) -> u32 {
        let Bytes::Spans(spans) = bytes else { return bytes.len() as u32 };
        let is_known = |span: &&Span| span.len >= DIRECT_MIN && self.find(mem, span.region).is_some();
        let run = spans.iter().take_while(|span| !is_known(span)).map(|span| u64::from(span.len));
        run.sum::<u64>().min(u32::MAX.into()) as u32
    }

    /// The number that the neighbour knows a region by. One that it may know, and does not yet, will be named.
    fn number(&mut self, mem: &Memory, region: RegionId) -> Option<u16> {
        if let Some(place) = self.find(mem, region) {
            self.last = place;
            return Some(place as u16 + 1);
        }
        if mem.share(region).is_some() && !self.to_name.contains(&region) && self.to_name.len() < TO_NAME_MAX
        {
            self.to_name.push(region);
        }
        None
    }

    fn find(&self, mem: &Memory, region: RegionId) -> Option<usize> {
        let named = Some(Named { region, serial: mem.serial(region)? });
        if self.ours.get(self.last) == Some(&named) {
            return Some(self.last);
        }
        self.ours.iter().position(|ours| *ours == named)
    }
}

impl Bytes<'_> {
    /// How many.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Spans(spans) => spans.iter().map(|span| u64::from(span.len)).sum(),
            Self::Inline(bytes) => bytes.len() as u64,
        }
    }

    fn copy_out(&self, mem: &Memory, out: &mut [u8]) {
        match self {
            Self::Spans(spans) => copy_out(mem, spans, out),
            Self::Inline(bytes) => out.copy_from_slice(&bytes[..out.len()]),
        }
    }

    fn copy_to(&self, mem: &mut Memory, to: Span) {
        match self {
            Self::Spans(spans) => move_bytes(mem, &[to], spans),
            Self::Inline(bytes) => mem.write(to, &bytes[..to.len()]),
        }
    }
}

impl Source {
    /// How many bytes.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Within(_, len) => *len,
            Self::Memory(span) => span.len(),
        }
    }

    /// Copies them to where they belong.
    pub(crate) fn place(&self, mem: &mut Memory, to: &[Span]) {
        match self {
            Self::Within(bytes, len) => copy_in(mem, to, &bytes[..*len]),
            Self::Memory(span) => move_bytes(mem, to, &[*span]),
        }
    }
}

/// Fewer bytes than this are put into the ring even if they lie in published memory.
const DIRECT_MIN: u32 = 256;

/// Regions that wait to be named, at most.
const TO_NAME_MAX: usize = 16;
