//! What a carrier spares: calls that move bytes without the kernel, less those that it takes to wait and to wake.
//!
//! The program's calls are counted here, and written to the page now and then: it is shared with other processes, and each of its
//! words costs as much as the call.

use super::Connection;
use crate::rows;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls of one connection that the page does not know of yet. Each is counted under the guard of its direction.
#[derive(Debug)]
pub(super) struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Tally {
    /// None.
    pub(super) const fn new() -> Self {
        Self { sent: AtomicU64::new(0), received: AtomicU64::new(0) }
    }
}

impl Connection {
    /// A call put bytes into the memory. For who has the guard of what is sent.
    pub(super) fn count_sent(self) {
        count(&self.own.tally.sent);
    }

    /// A call got bytes out of it. For who has the guard of what is received.
    pub(super) fn count_received(self) {
        count(&self.own.tally.received);
    }

    /// Writes down what was counted: nobody counts any more.
    pub fn tell_tally(self) {
        tell(
            self.own.tally.sent.swap(0, Ordering::Relaxed)
                + self.own.tally.received.swap(0, Ordering::Relaxed),
        );
    }

    /// A child counts its own calls; its parent tells what was counted before.
    pub fn forget_tally(self) {
        self.own.tally.sent.store(0, Ordering::Relaxed);
        self.own.tally.received.store(0, Ordering::Relaxed);
    }
}

fn count(calls: &AtomicU64) {
    let count = calls.load(Ordering::Relaxed) + 1;
    let is_told = count >= TOLD_EVERY;
    calls.store(if is_told { 0 } else { count }, Ordering::Relaxed);
    if is_told {
        tell(count);
    }
}

fn tell(count: u64) {
    if count > 0
        && let Some(header) = rows::header()
    {
        header.carried_calls.fetch_add(count, Ordering::Relaxed);
    }
}

const TOLD_EVERY: u64 = 64;
