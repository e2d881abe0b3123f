//! What a connection has yet to send, in order: headers, which lie in a ring of the connection's own memory, and users'
//! data, which is sent from where it lies.
//!
//! Headers that follow each other in the ring are one segment, so a turn's worth of commands without data is one span.
//! The ring is bounded: whoever puts a header first asks for [`Transmit::room`].

use crate::mem::{Memory, Span};
use std::collections::VecDeque;

/// The queue of segments and the ring that headers lie in.
#[derive(Debug)]
pub struct Transmit {
    /// Private memory; headers are written here and sent from here.
    ring: Span,
    /// Where the next header goes, in bytes from the ring's start.
    head: usize,
    /// Bytes of the ring that are not free, those skipped at its end among them.
    used: usize,
    segments: VecDeque<Segment>,
}

/// A run of bytes to send.
#[derive(Clone, Copy, Debug)]
struct Segment {
    span: Span,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Bytes of the ring; `skipped` more before them were left unused because the ring ended there.
    Ring { skipped: usize },
    /// Data of the command in this slot.
    Data { slot: u16 },
}

impl Transmit {
    /// Nothing to send. `segments` is how many segments are foreseen, so that none is allocated later.
    pub fn new(ring: Span, segments: usize) -> Self {
        Self { ring, head: 0, used: 0, segments: VecDeque::with_capacity(segments) }
    }

    /// True if nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many bytes of headers are sure to fit, whatever their sizes (each at most [`HEADER_MAX`]).
    pub fn room(&self) -> usize {
        (self.ring.len() - self.used).saturating_sub(HEADER_MAX)
    }

    /// Appends a header, or a digest. The caller has made sure of room for it.
    pub fn put_header(&mut self, memory: &mut Memory, bytes: &[u8]) {
        debug_assert!(bytes.len() <= HEADER_MAX);
        let skipped = if self.head + bytes.len() > self.ring.len() { self.ring.len() - self.head } else { 0 };
        let start = if skipped > 0 { 0 } else { self.head };
        assert!(
            self.used + skipped + bytes.len() <= self.ring.len(),
            "room for a header was asked for first"
        );
        let span = self.ring.slice(start, bytes.len());
        memory.write(span, bytes);
        self.head = start + bytes.len();
        self.used += skipped + bytes.len();
        match self.segments.back_mut() {
            Some(last) if last.continues_with(span) => last.span.len += span.len,
            _ => self.segments.push_back(Segment { span, source: Source::Ring { skipped } }),
        }
    }

    /// Appends data of the command in `slot`.
    pub fn put_data(&mut self, span: Span, slot: u16) {
        self.segments.push_back(Segment { span, source: Source::Data { slot } });
    }

    /// Appends what is to be sent next, at most as much as one send is good for.
    pub fn collect(&self, out: &mut Vec<Span>) {
        out.extend(self.segments.iter().take(SEGMENTS_A_SEND).map(|segment| segment.span));
    }

    /// The first `len` bytes are gone. Tells `data_gone` each slot of which a whole data segment went.
    pub fn sent(&mut self, mut len: usize, mut data_gone: impl FnMut(u16)) {
        while len > 0 {
            let Some(front) = self.segments.front_mut() else { return };
            let gone = len.min(front.span.len());
            len -= gone;
            front.span = front.span.from(gone);
            if let Source::Ring { skipped } = &mut front.source {
                self.used -= gone + core::mem::take(skipped);
            }
            if front.span.is_empty() {
                if let Source::Data { slot } = front.source {
                    data_gone(slot);
                }
                self.segments.pop_front();
            }
        }
        if self.segments.is_empty() {
            debug_assert_eq!(self.used, 0, "an empty queue uses no ring");
            self.head = 0;
        }
    }
}

impl Segment {
    fn continues_with(&self, next: Span) -> bool {
        matches!(self.source, Source::Ring { .. })
            && !self.span.is_empty()
            && self.span.offset + u64::from(self.span.len) == next.offset
    }
}

/// The longest header put at once, in bytes: NVMe/TCP's, whose data offset counts in one byte.
pub const HEADER_MAX: usize = 256;

/// How many segments are offered to one send.
const SEGMENTS_A_SEND: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Kind, MemoryLimits};

    fn setup(ring: u64) -> (Memory, Transmit) {
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap();
        let region = memory.map(Kind::Private, ring).unwrap();
        let ring = memory.whole(region).first(ring as usize);
        (memory, Transmit::new(ring, 8))
    }

    fn drain(memory: &Memory, transmit: &mut Transmit, step: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !transmit.is_empty() {
            let mut out = Vec::new();
            transmit.collect(&mut out);
            let mut all = Vec::new();
            for span in out {
                let mut part = vec![0; span.len()];
                memory.read(span, &mut part);
                all.extend(part);
            }
            all.truncate(step);
            transmit.sent(all.len(), |_| ());
            bytes.extend(all);
        }
        bytes
    }

    #[test]
    fn headers_in_a_row_are_one_segment() {
        let (mut memory, mut transmit) = setup(4096);
        transmit.put_header(&mut memory, &[1; 72]);
        transmit.put_header(&mut memory, &[2; 72]);
        let mut out = Vec::new();
        transmit.collect(&mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(drain(&memory, &mut transmit, 1000), [[1; 72], [2; 72]].concat());
    }

    #[test]
    fn bytes_come_out_in_order_however_they_are_cut_and_the_ring_wraps() {
        let (mut memory, mut transmit) = setup(4096);
        let data = memory.take(500).unwrap();
        memory.fill(data, 0xd5);
        for step in [1, 7, 100, 4096] {
            let mut expected = Vec::new();
            for round in 0..40_u8 {
                let header = vec![round; 30 + usize::from(round)];
                transmit.put_header(&mut memory, &header);
                expected.extend(header);
                if round % 3 == 0 {
                    transmit.put_data(data, 9);
                    expected.extend([0xd5; 500]);
                }
                if round % 10 == 9 {
                    assert_eq!(drain(&memory, &mut transmit, step), expected);
                    expected.clear();
                }
            }
        }
    }

    #[test]
    fn a_stream_that_never_runs_empty_still_frees_the_ring() {
        let (mut memory, mut transmit) = setup(4096);
        transmit.put_header(&mut memory, &[0; 72]);
        for _ in 0..1000 {
            assert!(transmit.room() >= 72);
            transmit.put_header(&mut memory, &[0; 72]);
            transmit.sent(72, |_| ());
        }
    }

    #[test]
    fn data_is_told_gone_once_when_its_last_byte_went() {
        let (mut memory, mut transmit) = setup(4096);
        let data = memory.take(100).unwrap();
        transmit.put_header(&mut memory, &[0; 10]);
        transmit.put_data(data, 3);
        let mut gone = Vec::new();
        transmit.sent(109, |slot| gone.push(slot));
        assert!(gone.is_empty());
        transmit.sent(1, |slot| gone.push(slot));
        assert_eq!(gone, [3]);
    }
}
