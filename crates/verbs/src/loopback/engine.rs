//! What a queue pair here needs besides its queues: the tries of a send that finds no receive.

use crate::parts::QueuePair;
use core::time::Duration;
use stdx::time::Time;

/// Tries of the send at the front of the queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Engine {
    /// How often it found no receive.
    tries: u32,
    /// When it is tried again.
    pub(super) retry_at: Option<Time>,
}

/// What to do with a send that found no receive.
pub(super) enum Patience {
    /// Wait until the time the engine says.
    Waits,
    /// It was tried often enough.
    Ended,
}

impl Engine {
    /// The send at the front found no receive.
    pub(super) fn not_ready(pair: &mut QueuePair<Self>, now: Time) -> Patience {
        let limit = u32::from(pair.sending.rnr_retry_count);
        if limit != FOR_EVER && pair.engine.tries >= limit {
            return Patience::Ended;
        }
        pair.engine.tries = pair.engine.tries.saturating_add(1);
        pair.engine.retry_at = Some(now + RETRY_AFTER);
        Patience::Waits
    }

    /// The send at the front is done.
    pub(super) fn went_on(&mut self) {
        *self = Self::default();
    }
}

/// The retry count that means without end.
const FOR_EVER: u32 = 7;

/// Between two tries. The peer's timer is about packets, and here there are none.
const RETRY_AFTER: Duration = Duration::from_micros(640);
