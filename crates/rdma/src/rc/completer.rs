//! Takes acknowledgements and responses, and completes sends (9.7.5, 9.7.6).

use super::requester::{Flight, mtu};
use super::{retransmission, rnr};
use crate::engine::{Arrival, Core};
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use verbs::parts::{copy_in, move_bytes};
use verbs::{Access, QpId, QpState, Status};
use wire::roce::{Acknowledge, Extension, Nak, Psn, Syndrome};

/// Takes a response or an acknowledgement.
pub(crate) fn handle(core: &mut Core, mem: &mut Memory, now: Time, qp: QpId, arrival: &Arrival) {
    let psn = arrival.headers.bth.psn;
    let Some(pair) = core.pair(qp) else { return };
    let requester = &pair.engine.requester;
    let is_sending = match pair.state {
        QpState::ReadyToSend | QpState::SendQueueDraining => true,
        QpState::Reset | QpState::Initialized | QpState::ReadyToReceive => false,
        QpState::SendQueueDrained | QpState::Error => false,
    };
    // What was acknowledged before, and what was never sent, says nothing (9.7.5.1.1).
    let mut is_expected = psn.since(requester.unacked) >= 0 && psn.is_before(requester.next);
    if planted(Bug::PsnComparedPlainly) {
        is_expected = psn.value() >= requester.unacked.value() && psn.value() < requester.next.value();
    }
    if is_sending {
        heed_credits(core, qp, arrival);
    }
    if !is_sending || !is_expected {
        core.counters.dropped += 1;
        return;
    }
    match arrival.headers.extension {
        Extension::Acknowledge(acknowledge) if arrival.headers.bth.opcode.carries_payload() => {
            respond(core, mem, now, qp, arrival, Some(acknowledge));
        }
        Extension::Plain => respond(core, mem, now, qp, arrival, None),
        Extension::AtomicAcknowledge(_, original) => answer_atomic(core, mem, now, qp, psn, original),
        Extension::Acknowledge(acknowledge) => match acknowledge.syndrome {
            Syndrome::Ack { .. } => {
                acknowledge_through(core, qp, psn, now);
            }
            Syndrome::Rnr(timer) => {
                if acknowledge_before(core, qp, psn, now) {
                    rnr::handle(core, qp, now, psn, timer);
                }
            }
            Syndrome::Nak(nak) => refuse(core, qp, psn, now, nak),
        },
        _ => core.counters.dropped += 1,
    }
}

/// Takes down how many receives the peer has.
fn heed_credits(core: &mut Core, qp: QpId, arrival: &Arrival) {
    let (Extension::Acknowledge(said) | Extension::AtomicAcknowledge(said, _)) = arrival.headers.extension
    else {
        return;
    };
    let Syndrome::Ack { credits } = said.syndrome else { return };
    let psn = arrival.headers.bth.psn;
    let Some(pair) = core.pair(qp) else { return };
    let requester = &mut pair.engine.requester;
    // It may tell of receives alone, and acknowledge what it did before (9.7.7.2.4).
    let is_known = psn.next().since(requester.unacked) >= 0 && psn.is_before(requester.next);
    if !is_known || !requester.credits.counts() {
        return;
    }
    let begun = requester.flights.partition_point(|flight| psn.since(flight.first) >= 0);
    let taken = match begun.checked_sub(1).and_then(|last| requester.flights.get(last)) {
        Some(flight) => flight.taking,
        None => requester.taken,
    };
    let was_limited = !requester.credits.may_begin();
    requester.credits.grant(taken, credits);
    if was_limited {
        core.activate(qp);
    }
}

/// Everything up to `psn` was received. False if a response is missing, and was asked for again.
fn acknowledge_through(core: &mut Core, qp: QpId, psn: Psn, now: Time) -> bool {
    let widest = core.config.window_packets;
    let Some(pair) = core.pair(qp) else { return false };
    let requester = &mut pair.engine.requester;
    // A read or atomic that was not answered, and something after it acknowledged: the answer is lost (9.7.5.1.3).
    if requester.unanswered > 0
        && let Some(flight) = requester.flights.iter().find(|flight| !flight.is_answered()).copied()
        && psn.since(flight.first.plus(flight.received)) >= 0
    {
        if flight.first.since(requester.unacked) > 0 {
            acknowledge_through(core, qp, flight.first.minus(1), now);
        }
        retransmission::retry_once(core, qp, flight.first.plus(flight.received));
        return false;
    }
    let fresh = psn.next().since(requester.unacked);
    if fresh > 0 {
        requester.narrowing.acknowledge(fresh as u32, widest);
        requester.unacked = psn.next();
        complete_front(core, qp);
        retransmission::restart_timer(core, qp, now);
        core.activate(qp);
    }
    true
}

/// Everything before `psn` was received. False if a response is missing.
fn acknowledge_before(core: &mut Core, qp: QpId, psn: Psn, now: Time) -> bool {
    let unacked = core.pair(qp).map(|pair| pair.engine.requester.unacked);
    if unacked.is_some_and(|unacked| psn.since(unacked) > 0) {
        return acknowledge_through(core, qp, psn.minus(1), now);
    }
    true
}

/// The request at `psn` was refused.
fn refuse(core: &mut Core, qp: QpId, psn: Psn, now: Time, nak: Nak) {
    if !acknowledge_before(core, qp, psn, now) {
        return;
    }
    match nak {
        Nak::PsnSequence => {
            core.counters.rcvd_seq_err += 1;
            retransmission::retry_once(core, qp, psn);
        }
        Nak::InvalidRequest => core.fail_send(qp, Status::RemoteInvalidRequest),
        Nak::RemoteAccess => core.fail_send(qp, Status::RemoteAccess),
        Nak::RemoteOperational => core.fail_send(qp, Status::RemoteOperation),
        Nak::InvalidRdRequest => core.fail_send(qp, Status::BadResponse),
    }
}

/// Bytes that a read asked for.
fn respond(
    core: &mut Core,
    mem: &mut Memory,
    now: Time,
    qp: QpId,
    arrival: &Arrival,
    acknowledge: Option<Acknowledge>,
) {
    let psn = arrival.headers.bth.psn;
    if acknowledge.is_some_and(|acknowledge| !matches!(acknowledge.syndrome, Syndrome::Ack { .. })) {
        core.counters.dropped += 1;
        return;
    }
    let Some((flight, index)) = answered_flight(core, qp, psn, now) else { return };
    let Some(pair) = core.registry.qps.get(qp.0) else { return };
    let (mtu, pd) = (mtu(pair), pair.init.pd);
    let offset = flight.received * mtu;
    let expected = mtu.min(flight.len - offset);
    let is_last = flight.received + 1 == flight.part_end(flight.received);
    if arrival.payload.len != expected || is_last != arrival.headers.bth.opcode.position().ends() {
        return fail(core, qp, index, Status::BadResponse);
    }
    let Some(send) = pair.sends.get(index) else { return };
    let mut spans = core::mem::take(&mut core.spans);
    spans.clear();
    let at = if planted(Bug::AnswerOffsetForgotten) { 0 } else { offset };
    let (from, len) = (u64::from(at), u64::from(expected));
    let regions = &core.registry.regions;
    let gathered = send.gather(regions, pd, from, len, Access::LOCAL_WRITE, &mut spans);
    if gathered.is_ok() {
        move_bytes(mem, &spans, &[arrival.payload]);
    }
    core.spans = spans;
    match gathered {
        Ok(()) => received(core, qp, index, now),
        Err(_) => fail(core, qp, index, Status::LocalProtection),
    }
}

/// What an atomic found.
fn answer_atomic(core: &mut Core, mem: &mut Memory, now: Time, qp: QpId, psn: Psn, original: u64) {
    let Some((_, index)) = answered_flight(core, qp, psn, now) else { return };
    let Some(pair) = core.registry.qps.get(qp.0) else { return };
    let Some(send) = pair.sends.get(index) else { return };
    let mut spans = core::mem::take(&mut core.spans);
    spans.clear();
    let (pd, regions) = (pair.init.pd, &core.registry.regions);
    let gathered = send.gather(regions, pd, 0, 8, Access::LOCAL_WRITE, &mut spans);
    if gathered.is_ok() {
        copy_in(mem, &spans, &original.to_ne_bytes());
    }
    core.spans = spans;
    match gathered {
        Ok(()) => received(core, qp, index, now),
        Err(_) => fail(core, qp, index, Status::LocalProtection),
    }
}

/// The flight that a response at `psn` is the next answer to. Everything before it is acknowledged by it; if an answer
/// between is missing, it is asked for again.
fn answered_flight(core: &mut Core, qp: QpId, psn: Psn, now: Time) -> Option<(Flight, usize)> {
    let pair = core.pair(qp)?;
    let holds = |flight: &&Flight| flight.packets > 0 && flight.end().since(psn) > 0;
    let flight = *pair.engine.requester.flights.iter().find(holds)?;
    if !flight.fetches || psn.since(flight.first.plus(flight.asked)) >= 0 {
        core.counters.dropped += 1;
        return None;
    }
    if flight.first.since(pair.engine.requester.unacked) > 0
        && !acknowledge_through(core, qp, flight.first.minus(1), now)
    {
        return None;
    }
    let expected = flight.first.plus(flight.received);
    let ahead = psn.since(expected);
    if ahead > 0 {
        retransmission::retry_once(core, qp, expected);
    }
    if ahead != 0 {
        core.counters.dropped += 1;
        return None;
    }
    let flights = &core.pair(qp)?.engine.requester.flights;
    let index = flights.iter().position(|found| found.packets > 0 && found.first == flight.first)?;
    Some((flight, index))
}

/// One more answer has come to the flight at `index`.
fn received(core: &mut Core, qp: QpId, index: usize, now: Time) {
    let Some(pair) = core.pair(qp) else { return };
    let requester = &mut pair.engine.requester;
    requester.answered(index);
    core.settle(qp);
    complete_front(core, qp);
    retransmission::restart_timer(core, qp, now);
    core.activate(qp);
}

/// The send at `index` cannot take its answer. Those before it are acknowledged by it, and complete first.
fn fail(core: &mut Core, qp: QpId, index: usize, status: Status) {
    debug_assert_eq!(index, 0, "what is before an answered flight is complete");
    core.fail_send(qp, status);
}

/// Completes every send at the front that is done.
pub(super) fn complete_front(core: &mut Core, qp: QpId) {
    loop {
        let Some(pair) = core.pair(qp) else { return };
        let requester = &mut pair.engine.requester;
        let is_done = |flight: &Flight| flight.is_answered() && flight.end().since(requester.unacked) <= 0;
        if !requester.flights.front().is_some_and(is_done) {
            requester.go_on();
            return;
        }
        if let Some(flight) = requester.flights.pop_front() {
            requester.taken = flight.taking;
        }
        match requester.cursor.checked_sub(1) {
            Some(cursor) => requester.cursor = cursor,
            None => requester.packet = 0,
        }
        core.complete_send(qp);
    }
}
