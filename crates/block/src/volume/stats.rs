//! What a volume has done so far.

use crate::{Op, Status};
use core::time::Duration;

/// Counters of a volume since it was made, or since they were reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Reads, compares and verifies.
    pub reads: Counter,
    /// Writes, the writing half of those that read first among them.
    pub writes: Counter,
    /// Discards and zeroing.
    pub unmaps: Counter,
    /// Copies.
    pub copies: Counter,
    /// Flushes.
    pub flushes: Counter,
    /// Requests that failed, for any reason but a miscompare.
    pub errors: u64,
}

/// Requests of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counter {
    /// How many were completed.
    pub requests: u64,
    /// Bytes that they covered.
    pub bytes: u64,
    /// Time from submission to completion, summed, in nanoseconds.
    pub latency_ns: u64,
    /// The longest of these times, in nanoseconds.
    pub latency_ns_max: u64,
}

impl Stats {
    pub(super) fn count(&mut self, op: Op, bytes: u64, latency: Duration, status: Status) {
        match status {
            Status::Ok | Status::Miscompare { .. } => {}
            _ => self.errors += 1,
        }
        let counter = match op {
            Op::Read | Op::Compare | Op::Verify => &mut self.reads,
            Op::Write | Op::CompareWrite { .. } | Op::OrWrite => &mut self.writes,
            Op::Zero { .. } | Op::Discard | Op::MarkBad | Op::CryptoErase => &mut self.unmaps,
            Op::Copy { .. } => &mut self.copies,
            Op::Flush => &mut self.flushes,
        };
        let latency_ns = latency.as_nanos() as u64;
        counter.requests += 1;
        counter.bytes += bytes;
        counter.latency_ns += latency_ns;
        counter.latency_ns_max = counter.latency_ns_max.max(latency_ns);
    }
}
