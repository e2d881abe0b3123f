//! What a connection has to send, in order: headers from its ring, payload from where it lies.
//!
//! Payload is a buffer, which goes back to the shard's memory once sent, or memory a volume lends. Lent memory is only
//! good until the next request is executed: what of it the stream did not take in this turn is copied aside.

use super::{HeaderBlocks, HeaderRing};
use crate::mem::{Memory, Span};
use crate::planted::{Bug, planted};
use std::collections::VecDeque;

/// The queue of bytes to send.
#[derive(Debug, Default)]
pub struct Transmit {
    segments: VecDeque<Segment>,
    ring: HeaderRing,
    /// Bytes of all segments.
    bytes: usize,
    /// Segments that lie in lent memory.
    lent: usize,
}

#[derive(Debug)]
struct Segment {
    span: Span,
    source: Source,
}

/// Whose a segment's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The header ring's.
    Ring,
    /// A volume's.
    Lent,
    /// A buffer's that a later segment gives back.
    Part,
    /// The last of this buffer, to be given back.
    Buffer(Span),
}

impl Transmit {
    /// Bytes waiting.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of headers that can be queued for sure.
    pub const fn header_room(&self) -> usize {
        self.ring.room()
    }

    /// Queues a header.
    pub fn push_header(&mut self, memory: &mut Memory, blocks: &mut HeaderBlocks, header: &[u8]) {
        let span = self.ring.push(memory, blocks, header);
        self.bytes += span.len();
        if let Some(last) = self.segments.back_mut()
            && last.source == Source::Ring
            && last.span.offset + u64::from(last.span.len) == span.offset
        {
            last.span.len += span.len;
            return;
        }
        self.segments.push_back(Segment { span, source: Source::Ring });
    }

    /// Queues payload. Empty payload is no segment; its buffer must not be handed in.
    pub fn push_payload(&mut self, span: Span, source: Source) {
        debug_assert!(!span.is_empty() && source != Source::Ring);
        self.bytes += span.len();
        self.lent += usize::from(source == Source::Lent);
        self.segments.push_back(Segment { span, source });
    }

    /// What to send now.
    pub fn poll(&self, out: &mut Vec<Span>) {
        out.extend(self.segments.iter().take(SPANS_MAX).map(|segment| segment.span));
    }

    /// The first `len` bytes are gone.
    pub fn handle_sent(&mut self, memory: &mut Memory, blocks: &mut HeaderBlocks, mut len: usize) {
        self.bytes -= len;
        while let Some(front) = self.segments.front_mut() {
            if len < front.span.len() {
                front.span = front.span.from(len);
                break;
            }
            len -= front.span.len();
            match front.source {
                Source::Ring => self.ring.release(front.span),
                Source::Lent => self.lent -= 1,
                Source::Part => {}
                Source::Buffer(buffer) => memory.give(buffer),
            }
            self.segments.pop_front();
        }
        if self.segments.is_empty() {
            self.ring.reset(blocks);
        }
    }

    /// Copies what lies in lent memory to buffers: another request is about to be executed. Says how many bytes that
    /// were, or fails for want of a buffer.
    pub fn copy_lent(&mut self, memory: &mut Memory) -> Result<usize, NoBuffer> {
        if self.lent == 0 || planted(Bug::LentDataNotCopied) {
            return Ok(0);
        }
        let mut copied = 0;
        for segment in self.segments.iter_mut().filter(|segment| segment.source == Source::Lent) {
            let buffer = memory.take(segment.span.len()).ok_or(NoBuffer)?;
            memory.copy(buffer, segment.span);
            *segment = Segment { span: buffer, source: Source::Buffer(buffer) };
            self.lent -= 1;
            copied += buffer.len();
        }
        Ok(copied)
    }

    /// Forgets everything; buffers go back.
    pub fn clear(&mut self, memory: &mut Memory, blocks: &mut HeaderBlocks) {
        for segment in self.segments.drain(..) {
            if let Source::Buffer(buffer) = segment.source {
                memory.give(buffer);
            }
        }
        self.ring.reset(blocks);
        (self.bytes, self.lent) = (0, 0);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        assert_eq!(self.bytes, self.segments.iter().map(|segment| segment.span.len()).sum());
        let lent = self.segments.iter().filter(|segment| segment.source == Source::Lent).count();
        assert_eq!(self.lent, lent);
    }

    /// How many buffers it holds.
    pub fn buffers(&self) -> usize {
        let owns = |segment: &&Segment| matches!(segment.source, Source::Buffer(_));
        self.segments.iter().filter(owns).count()
    }
}

/// The shard's buffers are all in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all buffers are in use")]
pub struct NoBuffer;

/// How many spans one send takes: half of what Linux allows in a call, enough for 128 reads with their headers.
const SPANS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Kind, MemoryLimits};
    use crate::prng::Prng;

    fn memory() -> Memory {
        Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap()
    }

    fn sent(memory: &Memory, transmit: &Transmit, len: usize) -> Vec<u8> {
        let mut spans = Vec::new();
        transmit.poll(&mut spans);
        let mut bytes = Vec::new();
        for span in spans {
            let at = bytes.len();
            bytes.resize(at + span.len(), 0);
            memory.read(span, &mut bytes[at..]);
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn bytes_leave_in_order_and_lent_ones_as_they_were() {
        let memory = &mut memory();
        let mut blocks = HeaderBlocks::new(memory, 1).unwrap();
        let region = memory.map(Kind::Shared, 8192).unwrap();
        let lent = memory.whole(region);
        let mut prng = Prng::new(7);
        for _ in 0..200 {
            let mut transmit = Transmit::default();
            let mut expected = Vec::new();
            let mut left = Vec::new();
            for value in 1..20 {
                transmit.push_header(memory, &mut blocks, &[value; 24]);
                expected.extend([value; 24]);
                if prng.chance(1, 2) {
                    memory.fill(lent, value);
                    transmit.push_payload(lent.first(100), Source::Lent);
                    assert_eq!(transmit.copy_lent(memory), Ok(100));
                    expected.extend([value; 100]);
                }
            }
            memory.fill(lent, 0xff);
            while transmit.bytes() > 0 {
                transmit.check();
                let len = 1 + prng.below(transmit.bytes() as u64) as usize;
                left.extend(sent(memory, &transmit, len));
                transmit.handle_sent(memory, &mut blocks, len);
            }
            assert_eq!(left, expected);
            assert_eq!((blocks.lent(), memory.buffers_taken()), (0, 0));
        }
    }

    #[test]
    fn headers_that_follow_each_other_are_one_span() {
        let memory = &mut memory();
        let mut blocks = HeaderBlocks::new(memory, 1).unwrap();
        let mut transmit = Transmit::default();
        (0..100).for_each(|_| transmit.push_header(memory, &mut blocks, &[1; 24]));
        let mut spans = Vec::new();
        transmit.poll(&mut spans);
        assert_eq!((spans.len(), transmit.bytes()), (1, 2400));
        transmit.clear(memory, &mut blocks);
        assert_eq!((blocks.lent(), transmit.bytes()), (0, 0));
    }
}
