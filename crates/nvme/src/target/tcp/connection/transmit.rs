//! What a connection has to send, in order: headers from its ring, payload from where it lies.
//!
//! Payload is a buffer, which goes back to the shard's memory once sent, or memory a volume lends. Lent memory is only
//! good until the next request is executed: what of it the stream did not take in this turn is copied aside.

use super::super::headers::{HeaderBlocks, HeaderRing};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};

/// The queue of bytes to send.
#[derive(Debug, Default)]
pub(crate) struct Transmit {
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
pub(crate) enum Source {
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
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of headers that can be queued for sure.
    pub(crate) const fn header_room(&self) -> usize {
        self.ring.room()
    }

    /// Queues a header.
    pub(crate) fn push_header(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, header: &[u8]) {
        let span = self.ring.push(env, blocks, header);
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
    pub(crate) fn push_payload(&mut self, span: Span, source: Source) {
        debug_assert!(!span.is_empty() && source != Source::Ring);
        self.bytes += span.len();
        self.lent += usize::from(source == Source::Lent);
        self.segments.push_back(Segment { span, source });
    }

    /// What to send now.
    pub(crate) fn poll(&self, out: &mut Vec<Span>) {
        out.extend(self.segments.iter().take(SPANS_MAX).map(|segment| segment.span));
    }

    /// The first `len` bytes are gone.
    pub(crate) fn handle_sent(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, mut len: usize) {
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
                Source::Buffer(buffer) => env.mem().give(buffer),
            }
            self.segments.pop_front();
        }
        if self.segments.is_empty() {
            self.ring.reset(blocks);
        }
    }

    /// Copies what lies in lent memory to buffers: another request is about to be executed. Says how many bytes that
    /// were, or fails for want of a buffer.
    pub(crate) fn copy_lent(&mut self, env: &mut dyn Env) -> Result<usize, NoBuffer> {
        if self.lent == 0 || planted(Bug::LentDataNotCopied) {
            return Ok(0);
        }
        let mut copied = 0;
        for segment in self.segments.iter_mut().filter(|segment| segment.source == Source::Lent) {
            let buffer = env.mem().take(segment.span.len()).ok_or(NoBuffer)?;
            env.mem().copy(buffer, segment.span);
            *segment = Segment { span: buffer, source: Source::Buffer(buffer) };
            self.lent -= 1;
            copied += buffer.len();
        }
        Ok(copied)
    }

    /// Forgets everything; buffers go back.
    pub(crate) fn clear(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks) {
        for segment in self.segments.drain(..) {
            if let Source::Buffer(buffer) = segment.source {
                env.mem().give(buffer);
            }
        }
        self.ring.reset(blocks);
        (self.bytes, self.lent) = (0, 0);
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        assert_eq!(self.bytes, self.segments.iter().map(|segment| segment.span.len()).sum());
        let lent = self.segments.iter().filter(|segment| segment.source == Source::Lent).count();
        assert_eq!(self.lent, lent);
    }

    /// How many buffers it holds.
    pub(crate) fn buffers(&self) -> usize {
        let owns = |segment: &&Segment| matches!(segment.source, Source::Buffer(_));
        self.segments.iter().filter(owns).count()
    }
}

/// The shard's buffers are all in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoBuffer;

/// How many spans one send takes: half of what Linux allows in a call, enough for 128 reads with their headers.
const SPANS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::super::tests::MemoryOnly;
    use super::*;
    use stdx::mem::Kind;
    use stdx::prng::Prng;

    fn sent(env: &mut MemoryOnly, transmit: &Transmit, len: usize) -> Vec<u8> {
        let mut spans = Vec::new();
        transmit.poll(&mut spans);
        let mut bytes = Vec::new();
        for span in spans {
            let at = bytes.len();
            bytes.resize(at + span.len(), 0);
            env.mem().read(span, &mut bytes[at..]);
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn bytes_leave_in_order_and_lent_ones_as_they_were() {
        let mut env = MemoryOnly::new();
        let mut blocks = HeaderBlocks::new(&mut env, 1).unwrap();
        let region = env.mem().map(Kind::Shared, 8192).unwrap();
        let lent = env.mem().whole(region);
        let mut prng = Prng::new(7);
        for _ in 0..200 {
            let mut transmit = Transmit::default();
            let mut expected = Vec::new();
            let mut left = Vec::new();
            for value in 1..20 {
                transmit.push_header(&mut env, &mut blocks, &[value; 24]);
                expected.extend([value; 24]);
                if prng.chance(1, 2) {
                    env.mem().fill(lent, value);
                    transmit.push_payload(lent.first(100), Source::Lent);
                    assert_eq!(transmit.copy_lent(&mut env), Ok(100));
                    expected.extend([value; 100]);
                }
            }
            env.mem().fill(lent, 0xff);
            while transmit.bytes() > 0 {
                transmit.check();
                let len = 1 + prng.below(transmit.bytes() as u64) as usize;
                left.extend(sent(&mut env, &transmit, len));
                transmit.handle_sent(&mut env, &mut blocks, len);
            }
            assert_eq!(left, expected);
            assert_eq!((blocks.lent(), env.mem().buffers_taken()), (0, 0));
        }
    }

    #[test]
    fn headers_that_follow_each_other_are_one_span() {
        let mut env = MemoryOnly::new();
        let mut blocks = HeaderBlocks::new(&mut env, 1).unwrap();
        let mut transmit = Transmit::default();
        (0..100).for_each(|_| transmit.push_header(&mut env, &mut blocks, &[1; 24]));
        let mut spans = Vec::new();
        transmit.poll(&mut spans);
        assert_eq!((spans.len(), transmit.bytes()), (1, 2400));
        transmit.clear(&mut env, &mut blocks);
        assert_eq!((blocks.lent(), transmit.bytes()), (0, 0));
    }
}
