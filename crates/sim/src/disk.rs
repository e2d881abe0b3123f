//! A disk with a volatile cache: what was written shows at once; what survives a power cut is what was flushed, plus any
//! part of the rest, in any order, torn at sectors.

use std::collections::BTreeMap;
use stdx::env::FileExtent;
use stdx::prng::Prng;

/// A file on a node's disk. It outlives the node's crashes.
#[derive(Clone, Debug)]
pub struct Disk {
    len: u64,
    /// What a power cut leaves whole, in bytes.
    sector: usize,
    /// What reads see, by sector.
    now: BTreeMap<u64, Sector>,
    /// What survives for certain, by sector; only sectors that differ from `now` are here.
    safe: BTreeMap<u64, Option<Sector>>,
}

type Sector = Box<[u8]>;

impl Disk {
    /// Zeros, in sectors of `sector` bytes, which a power cut does not tear.
    pub fn new(len: u64, sector: usize) -> Self {
        Self { len, sector, now: BTreeMap::new(), safe: BTreeMap::new() }
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Longer or shorter; at once and for good.
    pub fn resize(&mut self, len: u64) {
        self.len = len;
        let first_gone = len.div_ceil(self.sector as u64);
        self.now.split_off(&first_gone);
        self.safe.split_off(&first_gone);
    }

    /// The bytes from `offset` on that lie in sectors which were all written, or none of which was.
    pub fn extent(&self, offset: u64) -> FileExtent {
        let size = self.sector as u64;
        let first = offset / size;
        let mapped = self.now.contains_key(&first);
        let end = if mapped {
            let run = self.now.range(first..).zip(first..).take_while(|((sector, _), at)| *sector == at);
            (first + run.count() as u64) * size
        } else {
            self.now.range(first..).next().map_or(self.len, |(sector, _)| sector * size)
        };
        FileExtent { len: end.min(self.len).saturating_sub(offset), mapped }
    }

    /// Reads at `offset`; says how many bytes there were.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(offset).min(out.len() as u64) as usize;
        for_sectors(self.sector, offset, len, |sector, within, at| {
            let to = &mut out[at..at + within.len()];
            match self.now.get(&sector) {
                Some(bytes) => to.copy_from_slice(&bytes[within]),
                None => to.fill(0),
            }
        });
        len
    }

    /// Writes at `offset`, growing the file if need be. Not safe yet.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.len = self.len.max(offset + bytes.len() as u64);
        let size = self.sector;
        for_sectors(size, offset, bytes.len(), |sector, within, at| {
            let old = self.now.get(&sector).cloned();
            let mut new = old.clone().unwrap_or_else(|| vec![0; size].into());
            new[within.clone()].copy_from_slice(&bytes[at..at + within.len()]);
            self.safe.entry(sector).or_insert(old);
            self.now.insert(sector, new);
        });
    }

    /// Zeroes at `offset`. Not safe yet.
    pub fn zero(&mut self, offset: u64, len: u64) {
        let len = len.min(self.len.saturating_sub(offset)) as usize;
        self.write(offset, &vec![0; len]);
    }

    /// All that was written is safe.
    pub fn sync(&mut self) {
        self.safe.clear();
    }

    /// These bytes are safe (a durable write); others stay as they were.
    pub fn sync_range(&mut self, offset: u64, len: usize) {
        for_sectors(self.sector, offset, len, |sector, _, _| {
            self.safe.remove(&sector);
        });
    }

    /// The power fails: each sector not yet safe is as it was when last safe, or as written last.
    pub fn power_cut(&mut self, prng: &mut Prng) {
        for (sector, old) in core::mem::take(&mut self.safe) {
            if prng.chance(1, 2) {
                continue;
            }
            match old {
                Some(bytes) => self.now.insert(sector, bytes),
                None => self.now.remove(&sector),
            };
        }
    }
}

/// Calls `each(sector, range within it, position in the request)` for the bytes at `offset`.
fn for_sectors(
    size: usize,
    offset: u64,
    len: usize,
    mut each: impl FnMut(u64, core::ops::Range<usize>, usize),
) {
    let mut at = 0;
    while at < len {
        let position = offset + at as u64;
        let start = (position % size as u64) as usize;
        let end = size.min(start + len - at);
        each(position / size as u64, start..end, at);
        at += end - start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_spares_what_was_synced_and_mixes_the_rest() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..50 {
            let mut disk = Disk::new(8192, 512);
            disk.write(0, &[1; 1024]);
            disk.sync();
            disk.write(512, &[2; 1024]);
            disk.write(4000, &[3; 10]);
            disk.sync_range(4000, 10);
            disk.power_cut(&mut Prng::new(seed));
            let mut out = [0; 8192];
            assert_eq!(disk.read(0, &mut out), 8192);
            assert!(out[..512].iter().all(|&b| b == 1));
            assert!(out[4000..4010].iter().all(|&b| b == 3));
            assert!(out[512..1024].iter().all(|&b| b == out[512]), "a sector is never torn");
            match out[512] {
                1 => lost += 1,
                2 => kept += 1,
                other => panic!("{other} was never written there"),
            }
        }
        assert!(kept > 10 && lost > 10);
    }
}
