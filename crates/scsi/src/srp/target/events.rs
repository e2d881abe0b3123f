//! Events of logical units (SRP_AER_REQ, section 6.12): an initiator is told, and says that it has heard.
//!
//! One is under way on a channel at a time, so that one receive is enough for all answers; what does not find room is lost, and
//! told by a unit attention condition as ever.

use super::Context;
use super::channel::{Channel, EVENT_TOKEN, OWN_TAG, Phase};
use verbs::{Data, Work};
use wire::scsi::{Lun, Sense};
use wire::srp::AsynchronousEvent;

/// What a channel has to tell.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Vec<(Lun, Sense)>,
    /// One was sent and not answered.
    is_asking: bool,
}

impl Channel {
    /// The initiator is to be told that something changed.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>, lun: Lun, sense: Sense) {
        let waiting = &mut self.events.waiting;
        if self.phase == Phase::Open && waiting.len() < EVENTS_MAX && !waiting.contains(&(lun, sense)) {
            waiting.push((lun, sense));
            self.tell_next(cx);
        }
    }

    /// Sends what waits, if nothing is under way.
    pub(super) fn tell_next(&mut self, cx: &mut Context<'_>) {
        let is_free = self.phase == Phase::Open && !self.events.is_asking;
        if !is_free || self.events.waiting.is_empty() || cx.endpoint.room(self.connection) == 0 {
            return;
        }
        let (lun, sense) = self.events.waiting.remove(0);
        let mut bytes = [0; Sense::LEN_MAX];
        let sense_len = sense.write(&mut bytes);
        let sense = &bytes[..sense_len];
        let solicited = self.login.solicit_event;
        let request_limit_delta = self.credits.give();
        let event = AsynchronousEvent { request_limit_delta, solicited, tag: OWN_TAG, lun, sense };
        let mut unit = [0; EVENT_LEN_MAX];
        let Ok(len) = event.encode(&mut unit) else { return };
        let data = Data::Inline(&unit[..len]);
        let posted = cx.endpoint.post(cx.device, self.connection, EVENT_TOKEN, Work::Send, data, solicited);
        debug_assert!(posted.is_ok(), "{posted:?}");
        self.events.is_asking = true;
        cx.counters.events += 1;
    }

    /// The initiator says that it has heard. False if it was told nothing.
    pub(super) fn handle_heard(&mut self, tag: u64) -> bool {
        tag == OWN_TAG && core::mem::take(&mut self.events.is_asking)
    }
}

/// Events of a channel that wait.
const EVENTS_MAX: usize = 16;
/// Bytes of the longest unit.
const EVENT_LEN_MAX: usize = super::limits::IU_LEN_TO_INITIATOR;
