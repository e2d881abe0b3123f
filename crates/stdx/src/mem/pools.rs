//! Buffers in regions of their own, for uses that may not share the shard's: memory that one peer may read, say.
//!
//! A pool goes when its owner has given it up and its last buffer is back. [`Memory`] gives the region back then.

use super::buffers::Buffers;
use super::{Kind, Memory, OutOfMemory, RegionId, Span};
use std::collections::BTreeMap;

/// The pools of a shard, by their regions.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<RegionId, Pool>,
}

#[derive(Debug)]
struct Pool {
    buffers: Buffers,
    /// Nobody takes from it any more.
    is_given_up: bool,
}

impl Memory {
    /// Makes a pool of buffers in a region of `len` bytes, divided among sizes from 4 KiB to 2 MiB and paid for only as far as
    /// buffers are used at once. It is known by its region.
    ///
    /// # Errors
    /// When the system refuses to map them.
    pub fn map_pool(&mut self, kind: Kind, len: usize) -> Result<RegionId, OutOfMemory> {
        let region = self.map(kind, len as u64)?;
        let pool = Pool { buffers: Buffers::new(region, len), is_given_up: false };
        self.pools.pools.insert(region, pool);
        Ok(region)
    }

    /// Takes a buffer of `len` bytes from a pool, or else any I/O buffer, as [`Memory::take`] does; `None` if neither has one
    /// that is free and large enough. Both are given back alike. What is in it is left over.
    pub fn take_from(&mut self, pool: Option<RegionId>, len: usize) -> Option<Span> {
        let pool = pool.and_then(|pool| self.pools.pools.get_mut(&pool));
        pool.and_then(|pool| pool.buffers.take(len)).or_else(|| self.take(len))
    }

    /// Gives a pool up: it goes with the last of its buffers that is out.
    pub fn unmap_pool(&mut self, pool: RegionId) {
        if let Some(found) = self.pools.pools.get_mut(&pool) {
            found.is_given_up = true;
            self.sweep(pool);
        }
    }

    /// Gives a buffer of a pool back. Panics if there is no such pool, as for any buffer that is not out.
    pub(super) fn give_to_pool(&mut self, buffer: Span) {
        let pool = self.pools.pools.get_mut(&buffer.region).expect("an I/O buffer");
        pool.buffers.give(buffer);
        if pool.is_given_up {
            self.sweep(buffer.region);
        }
    }

    fn sweep(&mut self, region: RegionId) {
        let is_over = |pool: &Pool| pool.is_given_up && pool.buffers.taken() == 0;
        if self.pools.pools.get(&region).is_some_and(is_over) {
            self.pools.pools.remove(&region);
            self.unmap(region);
        }
    }
}

impl Pools {
    /// How many buffers of all pools are out.
    pub(super) fn taken(&self) -> usize {
        self.pools.values().map(|pool| pool.buffers.taken()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemoryLimits;

    #[test]
    fn a_pool_has_memory_of_its_own() {
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: 1 << 20 }).unwrap();
        let pool = memory.map_pool(Kind::Shared, 80 << 10).unwrap();
        // Four of 4 KiB, one of 16.
        let buffers: Vec<Span> = (0..5).filter_map(|_| memory.take_from(Some(pool), 4000)).collect();
        assert_eq!((buffers.len(), memory.buffers_taken()), (5, 5));
        assert!(buffers.iter().all(|buffer| buffer.region == pool && buffer.len == 4000));
        memory.fill(buffers[4], 1);
        for from in [Some(pool), None] {
            let other = memory.take_from(from, 4000).unwrap();
            assert_ne!(other.region, pool);
            memory.give(other);
        }
        let (last, others) = buffers.split_last().unwrap();
        others.iter().for_each(|buffer| memory.give(*buffer));
        memory.unmap_pool(pool);
        memory.fill(*last, 2);
        assert!(memory.serial(pool).is_some(), "a buffer is out");
        memory.give(*last);
        assert_eq!((memory.serial(pool), memory.buffers_taken()), (None, 0));
        let other = memory.take_from(Some(pool), 1).unwrap();
        assert_ne!(other.region, pool, "it is gone");
        memory.give(other);
    }
}
