//! Sets of block ranges: those that one request holds for itself, and those that cannot be read.

use std::collections::BTreeMap;

/// Disjoint ranges of blocks, bounded in number.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// True if there is none; the data path asks nothing else.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one of `blocks` blocks from `lba` on is in the set.
    pub(super) fn overlaps(&self, lba: u64, blocks: u64) -> bool {
        let before = self.0.range(..lba.saturating_add(blocks)).next_back();
        blocks > 0 && before.is_some_and(|(_, end)| *end > lba)
    }

    /// Adds a range; false, and nothing added, if there would be more than `limit`.
    pub(super) fn insert(&mut self, lba: u64, blocks: u64, limit: usize) -> bool {
        if self.0.len() >= limit {
            return false;
        }
        let (mut start, mut end) = (lba, lba + blocks);
        while let Some((&from, &to)) = self.0.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            self.0.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.0.insert(start, end);
        true
    }

    /// Takes the blocks out of the set, splitting ranges where need be.
    pub(super) fn remove(&mut self, lba: u64, blocks: u64) {
        let end = lba + blocks;
        while let Some((&from, &to)) = self.0.range(..end).next_back().filter(|(_, to)| **to > lba) {
            self.0.remove(&from);
            if from < lba {
                self.0.insert(from, lba);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::prng::Prng;

    #[test]
    fn it_is_a_set_of_blocks() {
        let mut prng = Prng::new(1);
        let (mut ranges, mut shadow) = (Ranges::default(), [false; 100]);
        for _ in 0..20_000 {
            let lba = prng.below(100);
            let blocks = prng.between(1, 100 - lba);
            let part = lba as usize..(lba + blocks) as usize;
            match prng.below(3) {
                0 => {
                    assert!(ranges.insert(lba, blocks, 1000));
                    shadow[part].fill(true);
                }
                1 => {
                    ranges.remove(lba, blocks);
                    shadow[part].fill(false);
                }
                _ => assert_eq!(ranges.overlaps(lba, blocks), shadow[part].contains(&true)),
            }
            assert_eq!(ranges.is_empty(), !shadow.contains(&true));
        }
    }

    #[test]
    fn it_is_bounded() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(0, 1, 1));
        assert!(!ranges.insert(5, 1, 1));
        assert!(!ranges.overlaps(5, 1));
    }
}
