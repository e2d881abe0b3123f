//! What a device should hold: per block the stamp of what was written last, from which the bytes follow.

use super::Fault;
use stdx::mem::{Memory, Span};
use stdx::prng::Prng;

/// The truth about every block.
#[derive(Clone, Debug)]
pub(super) struct Shadow {
    block_size: usize,
    blocks: Vec<Block>,
    keeps: bool,
}

/// The truth about one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// What the bytes follow from; 0 is a block of zeros.
    stamp: u64,
    /// Bits of these bytes were set since; 0 is none.
    ored: u64,
    /// It was discarded since: it may read as zeros.
    or_zero: bool,
    /// It was marked bad since.
    pub(super) bad: bool,
}

const ZERO: Block = Block { stamp: 0, ored: 0, or_zero: false, bad: false };

impl Shadow {
    /// A device of zeros; one that drops what is written unless it `keeps`.
    pub(super) fn new(block_size: u32, blocks: u64, keeps: bool) -> Self {
        Self { block_size: block_size as usize, blocks: vec![ZERO; blocks as usize], keeps }
    }

    /// What the blocks are.
    pub(super) fn range(&self, lba: u64, blocks: u32) -> &[Block] {
        &self.blocks[lba as usize..][..blocks as usize]
    }

    fn range_mut(&mut self, lba: u64, blocks: u32) -> &mut [Block] {
        &mut self.blocks[lba as usize..][..blocks as usize]
    }

    /// True if the bytes of every block are known.
    pub(super) fn is_certain(&self, lba: u64, blocks: u32) -> bool {
        self.range(lba, blocks).iter().all(|block| !block.or_zero)
    }

    /// True if no bits were set in the blocks since they were written.
    pub(super) fn is_plain(&self, lba: u64, blocks: u32) -> bool {
        self.range(lba, blocks).iter().all(|block| block.ored == 0)
    }

    /// True if any block is marked bad.
    pub(super) fn is_bad(&self, lba: u64, blocks: u32) -> bool {
        self.range(lba, blocks).iter().any(|block| block.bad)
    }

    /// `stamp` was written.
    pub(super) fn write(&mut self, lba: u64, blocks: u32, stamp: u64) {
        let stamp = if self.keeps { stamp } else { 0 };
        self.range_mut(lba, blocks).fill(Block { stamp, ..ZERO });
    }

    /// The bits of `stamp` were set.
    pub(super) fn or(&mut self, lba: u64, blocks: u32, stamp: u64) {
        self.range_mut(lba, blocks).iter_mut().for_each(|block| block.ored = stamp);
    }

    /// The blocks were zeroed.
    pub(super) fn zero(&mut self, lba: u64, blocks: u32) {
        self.range_mut(lba, blocks).fill(ZERO);
    }

    /// The blocks were discarded. One that held zeros holds them still.
    pub(super) fn discard(&mut self, lba: u64, blocks: u32) {
        for block in self.range_mut(lba, blocks) {
            *block = Block { or_zero: block.stamp != 0 || block.ored != 0, bad: false, ..*block };
        }
    }

    /// The blocks were marked bad.
    pub(super) fn mark_bad(&mut self, lba: u64, blocks: u32) {
        self.range_mut(lba, blocks).iter_mut().for_each(|block| block.bad = true);
    }

    /// The blocks from `from` on were copied to `lba`.
    pub(super) fn copy(&mut self, from: u64, lba: u64, blocks: u32) {
        let from = from as usize;
        let from = from..from + blocks as usize;
        // Contents follow from the stamp and the place they were first written to.
        self.blocks.copy_within(from, lba as usize);
    }

    /// Puts into `data` what the blocks hold. They must be certain.
    pub(super) fn render(&self, mem: &mut Memory, lba: u64, blocks: u32, data: Span) {
        for (index, block) in self.range(lba, blocks).iter().enumerate() {
            let bytes = block.content(self.block_size);
            mem.write(data.from(index * self.block_size), &bytes);
        }
    }

    /// Puts into `data` blocks of `stamp`.
    pub(super) fn render_stamp(&self, mem: &mut Memory, data: Span, stamp: u64) {
        let bytes = content(stamp, self.block_size);
        for at in (0..data.len()).step_by(self.block_size) {
            mem.write(data.from(at), &bytes);
        }
    }

    /// Faults at the first block of `data` that is not what it should be.
    pub(super) fn compare(&self, mem: &Memory, lba: u64, data: Span) -> Result<(), Fault> {
        let mut bytes = vec![0; self.block_size];
        let blocks = (data.len() / self.block_size) as u32;
        for (index, block) in self.range(lba, blocks).iter().enumerate() {
            mem.read(data.from(index * self.block_size), &mut bytes);
            if !block.may_read_as(&bytes) {
                return Err(Fault::Content { lba: lba + index as u64 });
            }
        }
        Ok(())
    }

    /// The device has this many blocks now.
    pub(super) fn resize(&mut self, blocks: u64) {
        self.blocks.resize(blocks as usize, ZERO);
    }
}

impl Block {
    /// Its bytes, unless it was discarded.
    fn content(&self, len: usize) -> Vec<u8> {
        let mut bytes = content(self.stamp, len);
        bytes.iter_mut().zip(content(self.ored, len)).for_each(|(byte, more)| *byte |= more);
        bytes
    }

    /// True if these can be its bytes.
    pub(super) fn may_read_as(&self, bytes: &[u8]) -> bool {
        bytes == self.content(bytes.len()) || (self.or_zero && bytes.iter().all(|&byte| byte == 0))
    }
}

/// The bytes of a stamp. None but 0 gives zeros.
fn content(stamp: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if stamp != 0 {
        Prng::new(stamp).fill(&mut bytes);
    }
    bytes
}
