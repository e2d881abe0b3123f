//! What a queue pair needs besides its queues.

use crate::rc::requester::Requester;
use crate::rc::responder::Responder;
use shm::{HasLane, Lane};
use stdx::time::Time;

/// The state of both directions.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// Our requests.
    pub(crate) requester: Requester,
    /// The peer's requests.
    pub(crate) responder: Responder,
    /// Both directions, if the peer is a neighbour.
    pub(crate) lane: Lane,
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
        self.lane = Lane::default();
    }
}

impl HasLane for Engine {
    fn lane(&self) -> &Lane {
        &self.lane
    }

    fn lane_mut(&mut self) -> &mut Lane {
        &mut self.lane
    }
}
