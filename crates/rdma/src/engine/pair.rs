//! What a queue pair needs besides its queues.

use crate::rc::requester::Requester;
use crate::rc::responder::Responder;
use stdx::time::Time;

/// The state of both directions.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// Our requests.
    pub(crate) requester: Requester,
    /// The peer's requests.
    pub(crate) responder: Responder,
    /// It stands in the line of those who may send.
    pub(super) is_active: bool,
    /// Its acknowledgement waits for the next turn.
    pub(super) is_deferred: bool,
    /// The deadline that counts, of those in the heap.
    pub(super) timer_at: Option<Time>,
}

impl Engine {
    /// Forgets both directions.
    pub(super) fn reset(&mut self) {
        self.requester = Requester::default();
        self.responder = Responder::default();
    }
}
