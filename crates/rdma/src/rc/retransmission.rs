//! Going back to what was lost, after a time-out or because the peer says so (9.7.5.1, 9.7.6.1).

use super::requester::Requester;
use crate::engine::Core;
use core::time::Duration;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use verbs::{QpId, Status};
use wire::roce::Psn;

/// A packet was sent: time starts to run for the oldest, if it does not already.
pub(crate) fn start_timer(core: &mut Core, qp: QpId, psn: Psn, now: Time) {
    if let Some(pair) = core.pair(qp) {
        pair.engine.requester.round_trip.sent(psn, now);
    }
    run_timer(core, qp, now);
}

fn run_timer(core: &mut Core, qp: QpId, now: Time) {
    let Some(pair) = core.pair(qp) else { return };
    let code = pair.sending.ack_timeout;
    let requester = &mut pair.engine.requester;
    let timeout = timeout(code, requester.tries);
    if requester.lost_at.is_none()
        && requester.is_waiting()
        && let Some(timeout) = timeout
    {
        requester.lost_at = Some(now + timeout);
        requester.be_patient(now);
        core.schedule(qp);
    }
}

/// Something was acknowledged: time runs anew for what is left.
pub(super) fn restart_timer(core: &mut Core, qp: QpId, now: Time) {
    let Some(pair) = core.pair(qp) else { return };
    let requester = &mut pair.engine.requester;
    (requester.tries, requester.rnr_tries, requester.lost_at, requester.early_at) = (0, 0, None, None);
    requester.round_trip.acknowledged(requester.unacked, now);
    run_timer(core, qp, now);
}

/// The time has come that the queue pair waits for.
pub(crate) fn handle_timeout(core: &mut Core, qp: QpId, now: Time) {
    let Some(pair) = core.pair(qp) else { return };
    let requester = &mut pair.engine.requester;
    if requester.wait_until.is_some_and(|until| until <= now) {
        requester.wait_until = None;
    }
    if requester.lost_at.is_some_and(|at| at <= now) {
        (requester.lost_at, requester.early_at) = (None, None);
        let unacked = requester.unacked;
        if !planted(Bug::TimeoutForgotten) {
            retry(core, qp, unacked);
        }
    } else if requester.early_at.is_some_and(|at| at <= now) {
        requester.early_at = None;
        if !planted(Bug::TimeoutForgotten) {
            retry_early(core, qp, now);
        }
    }
    core.activate(qp);
}

/// The peer shows that the packet at `psn` is missing. Everything behind it shows that again: it counts once, and should the
/// packet be lost once more, time will tell.
pub(super) fn retry_once(core: &mut Core, qp: QpId, psn: Psn) {
    let Some(pair) = core.pair(qp) else { return };
    if pair.engine.requester.retried != Some(psn) {
        pair.engine.requester.retried = Some(psn);
        retry(core, qp, psn);
    }
}

/// Nothing was heard for longer than usual: sends again from the oldest packet on, which counts as no retry.
fn retry_early(core: &mut Core, qp: QpId, now: Time) {
    let widest = core.config.window_packets;
    let Some(pair) = core.pair(qp) else { return };
    let requester = &mut pair.engine.requester;
    requester.narrowing.lose(widest);
    requester.round_trip.lost_early(requester.next);
    requester.be_patient(now);
    requester.retried = None;
    requester.go_back(requester.unacked);
    core.settle(qp);
    core.counters.completer_retry_err += 1;
    core.schedule(qp);
}

/// Sends again from `psn` on, or gives up.
fn retry(core: &mut Core, qp: QpId, psn: Psn) {
    let widest = core.config.window_packets;
    let Some(pair) = core.pair(qp) else { return };
    let limit = pair.sending.retry_count;
    let requester = &mut pair.engine.requester;
    requester.narrowing.lose(widest);
    if requester.tries >= limit && !planted(Bug::RetriesForEver) {
        core.counters.retry_exceeded_err += 1;
        return core.fail_send(qp, Status::RetryExceeded);
    }
    requester.tries = requester.tries.saturating_add(1);
    (requester.lost_at, requester.early_at) = (None, None);
    requester.round_trip.lost(requester.next);
    requester.go_back(psn);
    core.settle(qp);
    core.counters.completer_retry_err += 1;
    core.activate(qp);
}

impl Requester {
    /// The packet with this number is next.
    pub(super) fn go_back(&mut self, psn: Psn) {
        let holds = |flight: &super::requester::Flight| flight.end().since(psn) > 0;
        let Some(index) = self.flights.iter().position(holds) else { return };
        for flight in self.flights.range_mut(index..) {
            self.due -= flight.due();
            flight.asked_now = 0;
        }
        let Some(flight) = self.flights.get(index) else { return };
        let skip = u32::from(planted(Bug::WentBackTooShort));
        let packet = if flight.fetches { 0 } else { psn.since(flight.first).max(0) as u32 + skip };
        if (index, packet) < (self.cursor, self.packet) {
            (self.cursor, self.packet) = (index, packet);
        }
    }

    /// What was acknowledged is not sent again.
    pub(super) fn go_on(&mut self) {
        let Some(flight) = self.flights.get(self.cursor) else { return };
        let acked = self.unacked.since(flight.first);
        if !flight.fetches && acked > self.packet as i32 {
            self.packet = acked as u32;
        }
    }
}

/// How long an acknowledgement may take after so many tries; `None` for ever. The standard wants one to four times what was
/// agreed (9.7.6.1.3): what did not come in time may stand in a line that is longer than thought, and sending all of it again
/// makes that line longer.
fn timeout(code: u8, tries: u8) -> Option<Duration> {
    (code > 0).then(|| Duration::from_nanos(4096 << code) * (1 << tries.min(2)))
}
