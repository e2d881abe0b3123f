//! Which pages of a device have space: one bit each, and how close together they lie.

/// Pages, each with space or without.
#[derive(Debug, Default)]
pub(super) struct Pages {
    bits: Vec<u64>,
    /// Pages with space in each run of [`RUN_PAGES`].
    runs: Vec<u16>,
    /// Runs with any such page, and with no other.
    touched: u64,
    whole: u64,
}

impl Pages {
    /// So many pages; new ones have no space.
    pub(super) fn resize(&mut self, pages: u64) {
        let (words, runs) = (pages.div_ceil(64) as usize, pages.div_ceil(RUN_PAGES) as usize);
        if self.bits.is_empty() {
            // Zeros of the system's, which cost nothing until a bit is set: volumes may be large, and sparse.
            (self.bits, self.runs) = (vec![0; words], vec![0; runs]);
        }
        let known = (self.bits.len() * 64) as u64;
        self.set(pages.min(known)..known, false);
        self.bits.resize(words, 0);
        self.runs.resize(runs, 0);
    }

    /// These pages have space now, or none.
    pub(super) fn set(&mut self, pages: core::ops::Range<u64>, mapped: bool) {
        let mut at = pages.start;
        while at < pages.end {
            let (word, bit) = ((at / 64) as usize, at % 64);
            let count = (64 - bit).min(pages.end - at);
            let bits = (u64::MAX >> (64 - count)) << bit;
            let before = self.bits[word];
            let after = if mapped { before | bits } else { before & !bits };
            if after != before {
                self.bits[word] = after;
                self.count((at / RUN_PAGES) as usize, after.count_ones(), before.count_ones());
            }
            at += count;
        }
    }

    /// A word of a run has so many bits set now, and had so many.
    fn count(&mut self, run: usize, now: u32, before: u32) {
        let old = self.runs[run];
        let new = (u32::from(old) + now - before) as u16;
        self.runs[run] = new;
        self.touched = self.touched + u64::from(new > 0) - u64::from(old > 0);
        let is_whole = |pages: u16| u64::from(u64::from(pages) == RUN_PAGES);
        self.whole = self.whole + is_whole(new) - is_whole(old);
    }

    /// Whether most of what has any space in it has space all over.
    pub(super) const fn is_dense(&self) -> bool {
        self.whole >= DENSE_RUNS_MIN && self.whole * 4 >= self.touched * 3
    }

    /// Whether much of it has not.
    pub(super) const fn is_scattered(&self) -> bool {
        self.whole * 2 < self.touched
    }

    /// Whether a page has space, and the next page of which that is not so, or the end.
    pub(super) fn run(&self, page: u64, end: u64) -> (bool, u64) {
        let flip = |mapped: bool| if mapped { u64::MAX } else { 0 };
        let mapped = self.bits[(page / 64) as usize] >> (page % 64) & 1 != 0;
        let mut at = page;
        while at < end {
            let others = (self.bits[(at / 64) as usize] ^ flip(mapped)) >> (at % 64);
            if others != 0 {
                return (mapped, (at + u64::from(others.trailing_zeros())).min(end));
            }
            at = (at / 64 + 1) * 64;
        }
        (mapped, end)
    }
}

/// Pages of a run: those of one of the processor's large pages, where a page is 4 KiB.
const RUN_PAGES: u64 = 512;

/// Fewer whole runs tell nothing of how a volume is written.
const DENSE_RUNS_MIN: u64 = 8;

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
    fn dense_is_what_is_written_run_by_run() {
        let mut pages = Pages::default();
        pages.resize(40 * RUN_PAGES);
        let verdict = |pages: &Pages| (pages.is_dense(), pages.is_scattered());
        pages.set(0..7 * RUN_PAGES, true);
        assert_eq!(verdict(&pages), (false, false), "too little to tell");
        pages.set(0..12 * RUN_PAGES, true);
        assert_eq!((verdict(&pages), pages.touched, pages.whole), ((true, false), 12, 12));
        (12..24).for_each(|run| pages.set(run * RUN_PAGES + 5..run * RUN_PAGES + 6, true));
        assert_eq!((verdict(&pages), pages.touched, pages.whole), ((false, false), 24, 12));
        pages.set(3..4, false);
        assert_eq!((verdict(&pages), pages.touched, pages.whole), ((false, true), 24, 11));
        pages.resize(12 * RUN_PAGES - 1);
        assert_eq!((verdict(&pages), pages.touched, pages.whole), ((true, false), 12, 10));
        pages.set(0..12 * RUN_PAGES - 1, false);
        assert_eq!((pages.touched, pages.whole), (0, 0));
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
