//! How long to wait before a connection is tried again.

use crate::prng::Prng;
use core::time::Duration;

/// The waits between attempts: doubling, with jitter, so that the initiators of a dead
/// target do not all come back at once.
#[derive(Debug)]
pub struct Backoff {
    prng: Prng,
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The first wait and the longest; the jitter comes from `seed`.
    pub fn new(seed: u64, first: Duration, longest: Duration) -> Self {
        Self { prng: Prng::new(seed), first, longest: longest.max(first), next: first }
    }

    /// The next wait: three to five quarters of what is due.
    pub fn next_wait(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(self.longest);
        due * self.prng.between(75, 125) as u32 / 100
    }

    /// A connection came to be: the next loss is a new one.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}
