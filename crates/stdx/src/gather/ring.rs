//! Where the headers that are to be sent lie: a small ring for each connection that has something to send.
//!
//! A ring is a block of one private region. A connection borrows a block with its first header and gives it back when
//! all is sent, so that idle connections hold none; there are as many blocks as connections, so that a header always
//! finds room. The block lent next is the one given back last, which is still in the cache.

use crate::mem::{Kind, Memory, OutOfMemory, RegionId, Span};

/// The blocks of a shard.
#[derive(Debug)]
pub struct HeaderBlocks {
    region: RegionId,
    free: Vec<u32>,
    /// Blocks from here on were never used; their memory does not exist yet.
    fresh: u32,
    count: u32,
}

/// A block that is lent to a connection.
#[derive(Debug, PartialEq, Eq)]
struct Block(u32);

impl HeaderBlocks {
    /// Reserves the address space of `count` blocks.
    pub fn new(memory: &mut Memory, count: usize) -> Result<Self, OutOfMemory> {
        let region = memory.map(Kind::Private, (count * RING_BYTES) as u64)?;
        Ok(Self { region, free: Vec::new(), fresh: 0, count: count as u32 })
    }

    /// Gives the address space back. No ring may be in use.
    pub fn free(self, memory: &mut Memory) {
        memory.unmap(self.region);
    }

    fn take(&mut self) -> Block {
        let index = self.free.pop().unwrap_or_else(|| {
            assert!(self.fresh < self.count, "a block for every connection");
            self.fresh += 1;
            self.fresh - 1
        });
        Block(index)
    }

    fn give(&mut self, block: Block) {
        self.free.push(block.0);
    }

    /// How many blocks are lent.
    pub fn lent(&self) -> usize {
        self.fresh as usize - self.free.len()
    }
}

/// The headers of one connection, first in, first out.
#[derive(Debug, Default)]
pub struct HeaderRing {
    block: Option<Block>,
    /// Bytes ever written and given back since the ring was last empty; never more than [`RING_BYTES`] apart.
    head: usize,
    tail: usize,
}

impl HeaderRing {
    /// Bytes that can be written for sure, however they are cut into headers.
    pub const fn room(&self) -> usize {
        // A header does not straddle the end of the block: the rest of it may go unused once. A terminate request must
        // find room whatever else is queued.
        RING_BYTES.saturating_sub(self.head - self.tail + 2 * HEADER_BYTES_MAX)
    }

    /// Writes a header and says where it lies. The caller has looked at [`HeaderRing::room`].
    pub fn push(&mut self, memory: &mut Memory, blocks: &mut HeaderBlocks, header: &[u8]) -> Span {
        let block = self.block.get_or_insert_with(|| blocks.take());
        let left = RING_BYTES - self.head % RING_BYTES;
        if left < header.len() {
            self.head += left;
        }
        assert!(self.head + header.len() - self.tail <= RING_BYTES, "the ring has room");
        let offset = u64::from(block.0) * RING_BYTES as u64 + (self.head % RING_BYTES) as u64;
        let span = Span { region: blocks.region, len: header.len() as u32, offset };
        memory.write(span, header);
        self.head += header.len();
        span
    }

    /// Headers up to the end of `span` are sent. Spans are released in the order they were pushed.
    pub fn release(&mut self, span: Span) {
        let end = (span.offset as usize + span.len() - 1) % RING_BYTES + 1;
        let tail = self.tail % RING_BYTES;
        self.tail += if end > tail { end - tail } else { RING_BYTES - tail + end };
    }

    /// Everything is sent, or never will be: the block goes back.
    pub fn reset(&mut self, blocks: &mut HeaderBlocks) {
        if let Some(block) = self.block.take() {
            blocks.give(block);
        }
        (self.head, self.tail) = (0, 0);
    }
}

/// Bytes of a connection's ring: some 300 reads' worth.
pub const RING_BYTES: usize = 16 << 10;

/// The longest run of header bytes pushed at once: of NVMe/TCP a terminate request with the header it blames (24 + 128).
pub const HEADER_BYTES_MAX: usize = 152;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemoryLimits;
    use crate::prng::Prng;
    use std::collections::VecDeque;

    fn memory() -> Memory {
        Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap()
    }

    #[test]
    fn headers_are_whole_and_apart_however_long_the_ring_runs() {
        let memory = &mut memory();
        let mut blocks = HeaderBlocks::new(memory, 2).unwrap();
        let mut ring = HeaderRing::default();
        let mut prng = Prng::new(1);
        let mut live: VecDeque<(Span, u8)> = VecDeque::new();
        let mut rounds = 0;
        for step in 0..20_000_u32 {
            let len = prng.between(4, HEADER_BYTES_MAX as u64) as usize;
            if prng.chance(1, 2) && ring.room() >= len {
                let value = step as u8;
                live.push_back((ring.push(memory, &mut blocks, &vec![value; len]), value));
            } else if let Some((span, value)) = live.pop_front() {
                assert!(memory.bytes(span).iter().all(|&byte| byte == value), "overwritten");
                // What was sent is released, maybe cut at its front.
                ring.release(span.from(prng.below(span.len() as u64) as usize));
                rounds += usize::from(span.offset == 0);
            }
            if live.is_empty() {
                ring.reset(&mut blocks);
            }
        }
        assert!(rounds > 10, "the ring ran around");
        live.drain(..).for_each(|(span, _)| ring.release(span));
        ring.reset(&mut blocks);
        assert_eq!(blocks.lent(), 0);
    }

    #[test]
    fn a_full_ring_still_takes_the_last_words() {
        let memory = &mut memory();
        let mut blocks = HeaderBlocks::new(memory, 1).unwrap();
        let mut ring = HeaderRing::default();
        while ring.room() >= 28 {
            ring.push(memory, &mut blocks, &[1; 28]);
        }
        ring.push(memory, &mut blocks, &[2; HEADER_BYTES_MAX]);
    }
}
