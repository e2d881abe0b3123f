//! Copies within memory, through the cache or past it.

use super::cache;
use super::{Kind, Memory, Span};

impl Memory {
    /// Like [`Memory::write`], for bytes that this processor will not look at soon: another is about to.
    pub fn write_past_cache(&mut self, dst: Span, src: &[u8]) {
        let at = self.at_to_write(dst.first(src.len()));
        self.copied += src.len() as u64;
        // SAFETY: as in [`Memory::write`].
        unsafe { cache::copy(at, src.as_ptr(), src.len(), true) }
        cache::fence();
    }

    /// Copies all of `src` to the start of `dst`, which is as long or longer. They may overlap.
    #[inline]
    pub fn copy(&mut self, dst: Span, src: Span) {
        if self.are_readers_far && src.len() >= PAST_MIN && self.is_outward(dst, src) {
            return self.copy_past(dst, src);
        }
        let (to, from) = (self.at_to_write(dst.first(src.len())), self.at(src));
        self.copied += src.len() as u64;
        // SAFETY: both ranges were checked to lie in live mappings, and `copy` allows overlap.
        unsafe { to.copy_from(from, src.len()) }
    }

    /// Like [`Memory::copy`], to where nobody looked lately, and nobody will soon. What comes from memory that is not this thread's
    /// alone goes past the cache: lines that are written whole need not be fetched first. What the kernel just wrote to a private
    /// region does not: its next copy was found to be slower then.
    pub fn put_away(&mut self, dst: Span, src: Span) {
        let is_worth = self.kind(src.region) != Kind::Private && src.len() >= PAST_MIN;
        if is_worth && src.region != dst.region {
            self.copy_past(dst, src);
        } else {
            self.copy(dst, src);
        }
    }

    /// Copies between two regions, past the cache.
    #[inline]
    fn copy_past(&mut self, dst: Span, src: Span) {
        assert_ne!(src.region, dst.region, "what lies in one region may overlap");
        let (to, from) = (self.at_to_write(dst.first(src.len())), self.at(src));
        self.copied += src.len() as u64;
        self.is_unordered = true;
        // SAFETY: both ranges were checked to lie in live mappings, of two regions, so that they do not overlap.
        unsafe { cache::copy(to, from, src.len(), true) }
    }

    /// Whether bytes are copied to where another process will read them. What comes from one was read by it already.
    #[inline]
    fn is_outward(&self, dst: Span, src: Span) -> bool {
        self.kind(dst.region) == Kind::Published
            && src.region != dst.region
            && self.kind(src.region) != Kind::Foreign
    }

    /// The span will be read soon: the processor may begin to fetch it. Changes nothing but how long that takes.
    pub fn fetch(&self, span: Span) {
        cache::fetch(self.at(span), span.len());
    }
}

/// Fewer bytes than this are copied through the cache wherever they go.
const PAST_MIN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemoryLimits;

    fn memory() -> Memory {
        Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap()
    }

    #[test]
    fn what_goes_past_the_cache_arrives() {
        let mut memory = memory();
        let region = memory.map(Kind::Shared, 8192).unwrap();
        let bytes: Vec<u8> = (0..1000_u32).map(|at| (at * 7 % 251) as u8).collect();
        for (start, len) in [(0, 1000), (64, 64), (1, 300), (16, 63), (4096, 0), (48, 999)] {
            let place = memory.whole(region);
            memory.fill(place, 0xee);
            memory.write_past_cache(place.from(start), &bytes[..len]);
            let mut all = vec![0; 8192];
            memory.read(place, &mut all);
            assert_eq!(all[start..start + len], bytes[..len]);
            assert!(
                all[..start].iter().chain(&all[start + len..]).all(|byte| *byte == 0xee),
                "{start}, {len}"
            );
        }
    }

    #[test]
    fn what_is_put_away_arrives_whole() {
        let mut memory = memory();
        let volume = memory.map(Kind::Shared, 1 << 16).unwrap();
        let volume = memory.whole(volume).first(1 << 16);
        let private = memory.map(Kind::Private, 9000).unwrap();
        let sources = [memory.take(9000).unwrap(), memory.whole(private).first(9000), volume.from(1 << 15)];
        let bytes: Vec<u8> = (0..9000u32).map(|number| (number % 251) as u8).collect();
        for from in sources {
            memory.write(from, &bytes);
            // Long and short, with and without a rest, where the processor can and where it cannot; the last lie over each other.
            for (at, len) in
                [(0, 9000), (64, 1024), (16, 1023), (7, 5000), (4096, 4096), ((1 << 15) - 16, 4096)]
            {
                memory.fill(volume.slice(at, len).first(16.min(len)), 0xee);
                memory.put_away(volume.slice(at, len), from.first(len));
                let mut there = vec![0; len];
                memory.read(volume.slice(at, len), &mut there);
                assert!(there == bytes[..len], "{at}+{len} of {from:?}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files without a name")]
    fn what_goes_out_arrives_whole() {
        let mut memory = memory();
        let (from, to) = (memory.take(9000).unwrap(), memory.map(Kind::Published, 9100).unwrap());
        let to = memory.whole(to).first(9100);
        let bytes: Vec<u8> = (0..9000u32).map(|number| (number % 251) as u8).collect();
        memory.write(from, &bytes);
        memory.readers_are_far(true);
        // Long and short, with and without a rest, and where the processor cannot.
        for (at, len) in [(0, 9000), (64, 1024), (16, 1023), (7, 5000), (32, 2111)] {
            memory.write(to.slice(at, 16), &[0xee; 16]);
            memory.write(to.slice(at + len - 16, 16), &[0xee; 16]);
            memory.write(to.slice(at + len, 16), &[0xee; 16]);
            memory.copy(to.slice(at, len), from.first(len));
            assert_eq!(memory.first_difference(to.slice(at, len), from.first(len)), None, "{at}+{len}");
            let mut behind = [0; 16];
            memory.read(to.slice(at + len, 16), &mut behind);
            assert_eq!(behind, [0xee; 16]);
        }
    }
}
