//! Which pages of a device have space: one bit each.

/// Pages, each with space or without.
#[derive(Debug, Default)]
pub(super) struct Pages(Vec<u64>);

impl Pages {
    /// So many pages; new ones have no space.
    pub(super) fn resize(&mut self, pages: u64) {
        let words = pages.div_ceil(64) as usize;
        if self.0.is_empty() {
            // Zeros of the system's, which cost nothing until a bit is set: volumes may be large, and sparse.
            self.0 = vec![0; words];
        }
        self.0.resize(words, 0);
        let used = pages % 64;
        if let Some(last) = self.0.last_mut().filter(|_| used > 0) {
            *last &= (1 << used) - 1;
        }
    }

    /// These pages have space now, or none.
    pub(super) fn set(&mut self, pages: core::ops::Range<u64>, mapped: bool) {
        let mut at = pages.start;
        while at < pages.end {
            let (word, bit) = ((at / 64) as usize, at % 64);
            let count = (64 - bit).min(pages.end - at);
            let bits = (u64::MAX >> (64 - count)) << bit;
            if mapped {
                self.0[word] |= bits;
            } else {
                self.0[word] &= !bits;
            }
            at += count;
        }
    }

    /// Whether a page has space, and the next page of which that is not so, or the end.
    pub(super) fn run(&self, page: u64, end: u64) -> (bool, u64) {
        let flip = |mapped: bool| if mapped { u64::MAX } else { 0 };
        let mapped = self.0[(page / 64) as usize] >> (page % 64) & 1 != 0;
        let mut at = page;
        while at < end {
            let others = (self.0[(at / 64) as usize] ^ flip(mapped)) >> (at % 64);
            if others != 0 {
                return (mapped, (at + u64::from(others.trailing_zeros())).min(end));
            }
            at = (at / 64 + 1) * 64;
        }
        (mapped, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::prng::Prng;

    #[test]
    fn they_are_a_table_of_bits() {
        let mut prng = Prng::new(3);
        let (mut pages, mut shadow) = (Pages::default(), [false; 300]);
        pages.resize(300);
        for _ in 0..5000 {
            let start = prng.below(300);
            let end = prng.between(start, 300);
            let mapped = prng.chance(1, 2);
            pages.set(start..end, mapped);
            shadow[start as usize..end as usize].fill(mapped);
            let at = prng.below(300) as usize;
            let other = shadow[at..].iter().position(|is| *is != shadow[at]);
            let next = other.map_or(300, |distance| at + distance);
            assert_eq!(pages.run(at as u64, 300), (shadow[at], next as u64));
        }
    }

    #[test]
    fn what_is_cut_off_has_no_space() {
        let mut pages = Pages::default();
        pages.resize(100);
        pages.set(0..100, true);
        pages.resize(70);
        pages.resize(100);
        assert_eq!((pages.run(0, 100), pages.run(70, 100)), ((true, 70), (false, 100)));
    }
}
