//! Deadlines in the order they come. One that was put off stays until it comes, and then counts no more.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use stdx::time::Time;
use verbs::QpId;

/// Deadlines of queue pairs.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, QpId)>>,
}

impl Timers {
    /// Adds a deadline.
    pub(super) fn push(&mut self, qp: QpId, at: Time) {
        self.heap.push(Reverse((at, qp)));
    }

    /// The next one that has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<(QpId, Time)> {
        let Reverse((at, qp)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((qp, at))
    }

    /// When the next one comes.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}
