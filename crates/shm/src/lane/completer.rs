//! What the peer says about our requests: that they are done, what they fetched, or that they were refused.

use super::HasLane;
use super::requester::Flight;
use crate::neighbour::Source;
use crate::neighbourhood::Neighbourhood;
use crate::record::{LAST, Reason, Record};
use core::time::Duration;
use stdx::mem::Memory;
use stdx::time::Time;
use verbs::parts::Registry;
use verbs::{Access, Completion, QpId, Status, Transport, What};

/// Everything before `number` was done.
pub(crate) fn acknowledge<E: HasLane>(registry: &mut Registry<E>, qp: QpId, number: u32) {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return };
    let requester = &mut pair.engine.lane_mut().requester;
    let Some(front) = requester.flights.front() else { return };
    let first = front.number;
    let done = number.wrapping_sub(first);
    // More than was sent is a lie, or an old number.
    if done == 0 || done > requester.unsent().wrapping_sub(first) {
        return;
    }
    let mut is_new = false;
    let acknowledged = |flight: &&mut Flight| flight.number.wrapping_sub(first) < done;
    let flights = requester.flights.iter_mut().take_while(acknowledged);
    for flight in flights.filter(|flight| flight.outcome.is_none()) {
        if !flight.fetches {
            flight.outcome = Some(Status::Success);
            is_new = true;
        }
    }
    if is_new {
        (requester.tries, requester.receive_tries) = (0, 0);
        settle(registry, qp);
    }
}

/// Bytes that were asked for have come. False if they were not.
pub(crate) fn answer<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    record: &Record,
    source: Source,
) -> bool {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return false };
    let pd = pair.init.pd;
    let requester = &mut pair.engine.lane_mut().requester;
    let Some(place) = requester.find(record.number).filter(|place| *place < requester.cursor) else {
        return false;
    };
    let Some(flight) = requester.flights.get_mut(place) else { return false };
    if !flight.fetches || flight.outcome.is_some() {
        return false;
    }
    let Some(send) = pair.sends.get(place) else { return false };
    let (received, len) = (flight.received, source.len() as u64);
    let now_received = u64::from(received) + len;
    let is_last = record.has(LAST);
    let is_right = now_received <= send.len() && is_last == (now_received == send.len());
    let mut spans = core::mem::take(&mut hood.spans);
    spans.clear();
    let outcome = if !is_right {
        Some(Status::BadResponse)
    } else if send
        .gather(&registry.regions, pd, received.into(), len, Access::LOCAL_WRITE, &mut spans)
        .is_err()
    {
        Some(Status::LocalProtection)
    } else {
        source.place(mem, &spans);
        is_last.then_some(Status::Success)
    };
    hood.spans = spans;
    flight.received = now_received.min(u32::MAX.into()) as u32;
    if outcome.is_some() {
        flight.outcome = outcome;
        requester.fetching = requester.fetching.saturating_sub(1);
        (requester.tries, requester.receive_tries) = (0, 0);
        settle(registry, qp);
    }
    true
}

/// A request was not done. False if there is no such request.
pub(crate) fn refuse<E: HasLane>(registry: &mut Registry<E>, now: Time, qp: QpId, record: &Record) -> bool {
    let Some(reason) = Reason::from_code(record.immediate) else { return false };
    let Some(pair) = registry.qps.get_mut(qp.0) else { return false };
    let (sending, is_reliable) = (pair.sending, pair.init.transport == Transport::ReliableConnection);
    let requester = &mut pair.engine.lane_mut().requester;
    let Some(place) = requester.find(record.number) else { return false };
    let Some(flight) = requester.flights.get_mut(place).filter(|flight| flight.outcome.is_none()) else {
        return false;
    };
    if !is_reliable {
        // Nobody tells an unreliable sender.
        if place < requester.cursor {
            flight.outcome = Some(Status::Success);
            settle(registry, qp);
        }
        return true;
    }
    let outcome = match reason {
        Reason::NotReady => {
            requester.tries = requester.tries.saturating_add(1);
            let is_over = sending.ack_timeout > 0 && requester.tries > sending.retry_count.into();
            requester.retry_at = Some(now + timeout(sending.ack_timeout));
            is_over.then_some(Status::RetryExceeded)
        }
        Reason::NoReceive => {
            requester.receive_tries = requester.receive_tries.saturating_add(1);
            let limit = u32::from(sending.rnr_retry_count);
            requester.retry_at = Some(now + receive_delay(record.key));
            (limit != FOR_EVER && requester.receive_tries > limit).then_some(Status::RnrRetryExceeded)
        }
        Reason::InvalidRequest => Some(Status::RemoteInvalidRequest),
        Reason::Access => Some(Status::RemoteAccess),
        Reason::Operation => Some(Status::RemoteOperation),
    };
    requester.go_back(place);
    if outcome.is_some() {
        requester.retry_at = None;
        // A peer that is gone does not tell what it did before: the oldest request without an answer fails.
        let is_gone = reason == Reason::NotReady;
        let place = if is_gone { requester.oldest_unanswered() } else { place };
        if let Some(flight) = requester.flights.get_mut(place) {
            flight.outcome = outcome;
        }
        settle(registry, qp);
    }
    true
}

/// Completes the sends at the front that are done. One that failed takes the queue pair with it.
pub(super) fn settle<E: HasLane>(registry: &mut Registry<E>, qp: QpId) {
    loop {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return };
        let requester = &mut pair.engine.lane_mut().requester;
        let Some(status) = requester.flights.front().and_then(|flight| flight.outcome) else { return };
        requester.flights.pop_front();
        requester.cursor = requester.cursor.saturating_sub(1);
        let Some(send) = pair.sends.pop() else { return };
        let (id, kind, signaled, len) = (send.id, send.task.kind(), send.flags.signaled, send.len());
        if status != Status::Success {
            pair.engine.lane_mut().requester.clear();
            registry.complete(Completion::failed(qp, id, kind, status), false, false);
            registry.fail(qp, What::QueuePairError(qp));
            return;
        }
        if signaled {
            let done = Completion { len: len as u32, ..Completion::failed(qp, id, kind, status) };
            registry.complete(done, false, false);
        }
    }
}

/// How long to wait for a peer that was not ready (9.7.6.1.3). Without a timeout, the tries are not counted.
fn timeout(code: u8) -> Duration {
    match code {
        0 => UNTIMED,
        code => Duration::from_nanos(4096 << u32::from(code)),
    }
}

/// How long to wait for a receive, by the peer's code (table 45): 10 microseconds and one and a half times as much, doubled
/// again and again; code 0 is the longest.
fn receive_delay(code: u32) -> Duration {
    let code = if code == 0 { 32 } else { code.min(31) };
    let tens_ns = if code == 1 { 1000 } else { ((2 + u64::from(code % 2)) * 500) << (code / 2) };
    Duration::from_nanos(tens_ns * 10)
}

/// Between two tries of a request without a timeout.
const UNTIMED: Duration = Duration::from_millis(5);

/// The retry count that means without end.
const FOR_EVER: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_the_tables() {
        for (code, us) in
            [(0, 655_360), (1, 10), (2, 20), (3, 30), (4, 40), (5, 60), (6, 80), (12, 640), (31, 491_520)]
        {
            assert_eq!(receive_delay(code), Duration::from_micros(us), "{code}");
        }
        assert_eq!(timeout(14), Duration::from_nanos(67_108_864));
    }
}
