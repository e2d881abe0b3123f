//! How long requests took, counted by their latency: what an operator switches on to see more than an average.
//!
//! Latencies fall into ranges, each twice as wide as the one before (but for the first two, which are alike), and each range
//! is cut into 2^granularity buckets: that is the layout that SPDK's tools read.
//!
//! Invariants: counting allocates nothing; what lies outside the ranges counts at their ends.

use crate::Op;
use core::ops::RangeInclusive;
use core::time::Duration;

/// What to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistogramConfig {
    /// Requests of one kind; all if `None`.
    pub kind: Option<RequestKind>,
    /// Each range has 2^granularity buckets. At most [`GRANULARITY_MAX`].
    pub granularity: u8,
    /// The shortest latency to tell from others, in nanoseconds.
    pub min_ns: u64,
    /// The first latency that is too long to tell from others, in nanoseconds. Above `min_ns`.
    pub max_ns: u64,
}

/// Kinds of requests that can be counted by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Flushes.
    Flush,
    /// Discards.
    Discard,
    /// Zeroing.
    Zero,
    /// Compares.
    Compare,
    /// Compare-and-writes.
    CompareWrite,
    /// Copies.
    Copy,
}

/// The counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    config: HistogramConfig,
    ranges: RangeInclusive<u32>,
    /// Range by range, bucket by bucket.
    counts: Vec<u64>,
}

impl Histogram {
    /// Nothing counted yet; `None` if the configuration makes no sense.
    pub fn new(config: HistogramConfig) -> Option<Self> {
        let HistogramConfig { granularity, min_ns, max_ns, .. } = config;
        if granularity > GRANULARITY_MAX || min_ns >= max_ns {
            return None;
        }
        let ranges = range_of(granularity, min_ns)..=range_of(granularity, max_ns - 1);
        let buckets = ((ranges.end() - ranges.start() + 1) as usize) << granularity;
        Some(Self { config, ranges, counts: vec![0; buckets] })
    }

    /// As it was made.
    pub const fn config(&self) -> HistogramConfig {
        self.config
    }

    /// The first and the last range.
    pub const fn ranges(&self) -> &RangeInclusive<u32> {
        &self.ranges
    }

    /// The counts of all buckets: of the first range, then of the next.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many requests took less than so long, as far as the buckets tell: one is counted if all of its bucket did.
    pub fn below(&self, nanos: u64) -> u64 {
        let below = self.counts.iter().enumerate().take_while(|(bucket, _)| self.end_of(*bucket) <= nanos);
        below.map(|(_, count)| count).sum()
    }

    /// Counts a latency, whatever took so long.
    pub fn add(&mut self, latency: Duration) {
        let bucket = self.bucket_of(latency.as_nanos().try_into().unwrap_or(u64::MAX));
        self.counts[bucket] += 1;
    }

    /// Counts the latency of a request, if requests of its kind are counted.
    pub(super) fn count(&mut self, op: Op, latency: Duration) {
        if self.config.kind.is_none_or(|kind| RequestKind::of(op) == Some(kind)) {
            self.add(latency);
        }
    }

    fn bucket_of(&self, nanos: u64) -> usize {
        let granularity = self.config.granularity;
        let range = range_of(granularity, nanos);
        if range < *self.ranges.start() {
            return 0;
        }
        if range > *self.ranges.end() {
            return self.counts.len() - 1;
        }
        let within = (nanos >> range.saturating_sub(1)) & ((1 << granularity) - 1);
        ((range - self.ranges.start()) << granularity) as usize + within as usize
    }

    /// The first latency above those of a bucket.
    fn end_of(&self, bucket: usize) -> u64 {
        let granularity = self.config.granularity;
        let range = *self.ranges.start() + (bucket >> granularity) as u32;
        let next = (bucket as u64 & ((1 << granularity) - 1)) + 1;
        match range.checked_sub(1) {
            None => next,
            Some(shift) => ((1_u64 << granularity) + next).saturating_mul(1 << shift),
        }
    }
}

impl RequestKind {
    /// The kind of an operation, if it is one that is counted by itself.
    const fn of(op: Op) -> Option<Self> {
        Some(match op {
            Op::Read => Self::Read,
            Op::Write => Self::Write,
            Op::Flush => Self::Flush,
            Op::Discard => Self::Discard,
            Op::Zero { .. } => Self::Zero,
            Op::Compare => Self::Compare,
            Op::CompareWrite { .. } => Self::CompareWrite,
            Op::Copy { .. } => Self::Copy,
            Op::OrWrite | Op::Verify | Op::MarkBad | Op::CryptoErase => return None,
        })
    }
}

/// The range a latency falls into.
const fn range_of(granularity: u8, nanos: u64) -> u32 {
    (u64::BITS - nanos.leading_zeros()).saturating_sub(granularity as u32)
}

/// The most buckets of a range, as a power of two: some 400 KiB in all.
pub const GRANULARITY_MAX: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(granularity: u8, min_ns: u64, max_ns: u64) -> Histogram {
        Histogram::new(HistogramConfig { kind: None, granularity, min_ns, max_ns }).expect("it makes sense")
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for granularity in [0, 1, 7] {
            let histogram = histogram(granularity, 0, u64::MAX);
            let mut last = 0;
            for bucket in 0..histogram.counts.len() {
                let end = histogram.end_of(bucket);
                assert!(end > last, "bucket {bucket}");
                assert_eq!((histogram.bucket_of(last), histogram.bucket_of(end - 1)), (bucket, bucket));
                last = end;
            }
        }
    }

    #[test]
    fn what_lies_outside_counts_at_the_ends() {
        let mut histogram = histogram(7, 1000, 1_000_000);
        assert_eq!(histogram.ranges(), &(3..=13));
        for nanos in [0, 999, 1_000_000_000_000] {
            histogram.count(Op::Read, Duration::from_nanos(nanos));
        }
        let (first, last) = (histogram.counts[0], histogram.counts[histogram.counts.len() - 1]);
        assert_eq!((first, last, histogram.counts.iter().sum::<u64>()), (1, 1, 3));
        assert_eq!((histogram.below(1024), histogram.below(1 << 20)), (2, 3));
    }

    #[test]
    fn one_kind_is_counted_by_itself() {
        let kind = Some(RequestKind::Write);
        let config = HistogramConfig { kind, granularity: 7, min_ns: 0, max_ns: 1 << 40 };
        let mut histogram = Histogram::new(config).expect("it makes sense");
        for op in [Op::Read, Op::Write, Op::Verify, Op::Flush] {
            histogram.count(op, Duration::from_micros(1));
        }
        assert_eq!(histogram.counts.iter().sum::<u64>(), 1);
        assert_eq!(Histogram::new(HistogramConfig { granularity: 11, ..config }), None);
        assert_eq!(Histogram::new(HistogramConfig { min_ns: 1 << 40, ..config }), None);
    }
}
