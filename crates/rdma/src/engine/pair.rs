//! What a queue pair needs besides its queues.

use crate::congestion::limiter::Limiter;
use crate::congestion::notifier::Notifier;
use crate::rc::requester::Requester;
use crate::rc::responder::Responder;
use shm::{HasLane, Lane};
use stdx::time::{Time, earliest};

/// The state of both directions.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// Our requests.
    pub(crate) requester: Requester,
    /// The peer's requests.
    pub(crate) responder: Responder,
    /// Both directions, if the peer is a neighbour.
    pub(crate) lane: Lane,
    /// What the peer is to be told about congestion.
    pub(crate) notifier: Notifier,
    /// What congestion makes of our rate.
    pub(crate) limiter: Limiter,
    /// Until when no payload is sent because of it.
    pub(crate) held_until: Option<Time>,
    /// It stands in the line of those who may send.
    pub(super) is_active: bool,
    /// Its acknowledgement waits for the next turn.
    pub(super) is_deferred: bool,
    /// It stands in the line of those who want room for what they ask.
    pub(super) is_in_line: bool,
    /// The deadline that counts, of those in the heap.
    pub(super) timer_at: Option<Time>,
}

impl Engine {
    /// Forgets both directions.
    pub(super) fn reset(&mut self) {
        self.requester = Requester::default();
        self.responder = Responder::default();
        self.lane = Lane::default();
        (self.notifier, self.limiter, self.held_until) = (Notifier::default(), Limiter::default(), None);
    }

    /// When something is due without a packet.
    pub(super) fn deadline(&self) -> Option<Time> {
        earliest(self.requester.deadline(), self.held_until)
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
