//! What a volume may hold: for every block the values a read may give now, and those it may fall back to in a power cut.
//!
//! The client that is watched has at most one request under way on any block, so that a block's history is a sequence;
//! a write whose outcome is unknown leaves the old and the new value possible.

use std::collections::{BTreeMap, BTreeSet};
use stdx::prng::Prng;

/// What a block holds: the number of the write that filled it, 0 for zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Content(pub u64);

/// The truth about a volume.
#[derive(Clone, Debug)]
pub struct Shadow {
    block_size: usize,
    blocks: BTreeMap<u64, Block>,
    /// The number of the last write.
    writes: u64,
    acknowledged: u64,
    /// The moment of the last power cut.
    last_power_cut: u64,
}

#[derive(Clone, Debug)]
struct Block {
    /// What a read may give.
    now: BTreeSet<Content>,
    /// What may be there after a power cut.
    fallback: BTreeSet<Content>,
    /// When the last write of it was acknowledged, in acknowledgements.
    acknowledged: u64,
}

/// A read gave what cannot be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The block.
    pub lba: u64,
    /// What came.
    pub found: Option<Content>,
    /// What could have come.
    pub allowed: Vec<Content>,
}

impl Content {
    /// The bytes of a block with this content: different for every block and every write.
    pub fn fill(self, lba: u64, out: &mut [u8]) {
        match self.0 {
            0 => out.fill(0),
            number => {
                out[..8].copy_from_slice(&number.to_le_bytes());
                Prng::new(number ^ lba << 40).fill(&mut out[8..]);
            }
        }
    }

    /// What a block holds whose key is gone: anything.
    const SCRAMBLED: Self = Self(u64::MAX);

    /// What it is when its key is gone. Zeros are zeros under every key.
    const fn scrambled(self) -> Self {
        if self.0 == 0 { self } else { Self::SCRAMBLED }
    }

    /// The content that a block's bytes show; `None` if no write ever left them so.
    pub fn of(lba: u64, bytes: &[u8]) -> Option<Self> {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[..8]);
        let content = Self(u64::from_le_bytes(number));
        let mut expected = vec![0; bytes.len()];
        content.fill(lba, &mut expected);
        (expected == bytes).then_some(content)
    }
}

impl Shadow {
    /// A volume of zeros. Writes are numbered from `first` on: those of two shadows are told apart by that.
    pub const fn new(block_size: usize, first: u64) -> Self {
        Self { block_size, blocks: BTreeMap::new(), writes: first, acknowledged: 0, last_power_cut: 0 }
    }

    /// Bytes a block.
    pub const fn block_size(&self) -> usize {
        self.block_size
    }

    /// What a block holds, if that is certain.
    pub fn known(&self, lba: u64) -> Option<Content> {
        match self.blocks.get(&lba) {
            None => Some(Content(0)),
            Some(block) if block.now.len() == 1 => block.now.first().copied(),
            Some(_) => None,
        }
    }

    /// True if the power failed after that moment.
    pub const fn had_power_cut_since(&self, moment: u64) -> bool {
        self.last_power_cut > moment
    }

    /// A number for the next write.
    pub fn next_content(&mut self) -> Content {
        self.writes += 1;
        Content(self.writes)
    }

    /// A write (or zeroing) was acknowledged; `durable` if it was to survive a power cut.
    pub fn wrote(&mut self, lba: u64, blocks: u32, content: Content, durable: bool) {
        self.acknowledged += 1;
        let acknowledged = self.acknowledged;
        for block in self.range(lba, blocks) {
            block.now = BTreeSet::from([content]);
            if durable {
                block.fallback.clear();
            }
            block.fallback.insert(content);
            block.acknowledged = acknowledged;
        }
    }

    /// Nobody knows whether a write was carried out.
    pub fn may_have_written(&mut self, lba: u64, blocks: u32, content: Content) {
        self.acknowledged += 1;
        let acknowledged = self.acknowledged;
        for block in self.range(lba, blocks) {
            block.now.insert(content);
            block.fallback.insert(content);
            block.acknowledged = acknowledged;
        }
    }

    /// The moment a flush is submitted, for [`Shadow::flushed`].
    pub const fn moment(&self) -> u64 {
        self.acknowledged
    }

    /// A flush that was submitted at `moment` was acknowledged: what was acknowledged before it is safe.
    pub fn flushed(&mut self, moment: u64) {
        for block in self.blocks.values_mut().filter(|block| block.acknowledged <= moment) {
            block.fallback = block.now.clone();
        }
    }

    /// The power of the machine below failed: what was not safe may be there or not.
    pub fn power_cut(&mut self) {
        self.acknowledged += 1;
        self.last_power_cut = self.acknowledged;
        for block in self.blocks.values_mut() {
            block.now.extend(block.fallback.iter().copied());
            block.fallback = block.now.clone();
        }
    }

    /// The key of the volume was changed for good: what was written before is seen no more.
    pub fn erased(&mut self) {
        let scramble = |contents: &BTreeSet<Content>| contents.iter().map(|one| one.scrambled()).collect();
        for block in self.blocks.values_mut() {
            block.now = scramble(&block.now);
            block.fallback = scramble(&block.fallback);
        }
    }

    /// Nobody knows whether the key of the volume was changed.
    pub fn may_be_erased(&mut self) {
        for block in self.blocks.values_mut() {
            for contents in [&mut block.now, &mut block.fallback] {
                let scrambled: Vec<_> = contents.iter().map(|one| one.scrambled()).collect();
                contents.extend(scrambled);
            }
        }
    }

    /// A read came back; what it shows is what is there from now on.
    pub fn read(&mut self, lba: u64, bytes: &[u8]) -> Result<(), Violation> {
        let size = self.block_size;
        for (place, bytes) in bytes.chunks(size).enumerate() {
            let lba = lba + place as u64;
            let found = Content::of(lba, bytes);
            let block = self.blocks.entry(lba).or_insert_with(Block::zero);
            let shown = found.unwrap_or(Content::SCRAMBLED);
            let Some(content) = Some(shown).filter(|content| block.now.contains(content)) else {
                return Err(Violation { lba, found, allowed: block.now.iter().copied().collect() });
            };
            block.now = BTreeSet::from([content]);
        }
        Ok(())
    }

    /// A read that raced with writes came back: of each block it may show any write, but a whole one.
    pub fn read_racing(&self, lba: u64, bytes: &[u8]) -> Result<(), Violation> {
        for (place, bytes) in bytes.chunks(self.block_size).enumerate() {
            let lba = lba + place as u64;
            if Content::of(lba, bytes).is_none() {
                return Err(Violation { lba, found: None, allowed: Vec::new() });
            }
        }
        Ok(())
    }

    fn range(&mut self, lba: u64, blocks: u32) -> impl Iterator<Item = &mut Block> {
        for lba in lba..lba + u64::from(blocks) {
            self.blocks.entry(lba).or_insert_with(Block::zero);
        }
        self.blocks.range_mut(lba..lba + u64::from(blocks)).map(|(_, block)| block)
    }
}

impl Block {
    fn zero() -> Self {
        let zero = BTreeSet::from([Content(0)]);
        Self { now: zero.clone(), fallback: zero, acknowledged: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(lba: u64, content: Content) -> [u8; 512] {
        let mut out = [0; 512];
        content.fill(lba, &mut out);
        out
    }

    #[test]
    fn a_lost_acknowledged_write_is_seen() {
        let mut shadow = Shadow::new(512, 0);
        let (first, second) = (shadow.next_content(), shadow.next_content());
        shadow.wrote(3, 1, first, false);
        assert_eq!(shadow.read(3, &bytes(3, first)), Ok(()));
        shadow.wrote(3, 1, second, false);
        assert!(shadow.read(3, &bytes(3, first)).is_err(), "a stale read");
        assert!(shadow.read(3, &bytes(4, second)).is_err(), "another block's bytes");
        assert!(shadow.read(3, &[7; 512]).is_err(), "bytes nobody wrote");
    }

    #[test]
    fn a_power_cut_takes_back_what_was_not_flushed_and_no_more() {
        let mut shadow = Shadow::new(512, 0);
        let (first, second) = (shadow.next_content(), shadow.next_content());
        shadow.wrote(0, 1, first, false);
        let moment = shadow.moment();
        shadow.wrote(1, 1, first, false);
        shadow.flushed(moment);
        shadow.wrote(0, 1, second, false);
        let mut cut = shadow.clone();
        cut.power_cut();
        assert_eq!(cut.clone().read(0, &bytes(0, first)), Ok(()));
        assert_eq!(cut.clone().read(0, &bytes(0, second)), Ok(()));
        assert!(cut.clone().read(0, &bytes(0, Content(0))).is_err(), "it was flushed");
        assert_eq!(cut.clone().read(1, &bytes(1, Content(0))), Ok(()), "it was not");
        assert_eq!(cut.read(0, &bytes(0, first)), Ok(()));
        assert!(cut.read(0, &bytes(0, second)).is_err(), "once read, it is settled");
    }

    #[test]
    fn what_was_erased_is_seen_no_more() {
        let mut shadow = Shadow::new(512, 0);
        let content = shadow.next_content();
        shadow.wrote(0, 1, content, true);
        assert!(shadow.clone().read(0, &[7; 512]).is_err());
        let mut perhaps = shadow.clone();
        perhaps.may_be_erased();
        assert_eq!(perhaps.clone().read(0, &bytes(0, content)), Ok(()));
        assert_eq!(perhaps.read(0, &[7; 512]), Ok(()));
        shadow.wrote(1, 1, Content(0), true);
        shadow.erased();
        assert!(shadow.clone().read(0, &bytes(0, content)).is_err());
        assert_eq!(shadow.read(0, &[7; 512]), Ok(()));
        assert_eq!(shadow.read(1, &[0; 512]), Ok(()), "zeros are zeros under every key");
        assert!(shadow.read(1, &[7; 512]).is_err());
    }

    #[test]
    fn an_unknown_outcome_allows_both_until_read() {
        let mut shadow = Shadow::new(512, 0);
        let content = shadow.next_content();
        shadow.may_have_written(0, 1, content);
        assert_eq!(shadow.clone().read(0, &bytes(0, Content(0))), Ok(()));
        assert_eq!(shadow.read(0, &bytes(0, content)), Ok(()));
        assert!(shadow.read(0, &bytes(0, Content(0))).is_err());
    }
}
