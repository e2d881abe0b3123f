//! A queue pair's turn to write records: what its peer waits for, then what it was asked to do.

use super::requester;
use super::responder::Reply;
use super::{HasLane, Path};
use crate::neighbour::Bytes;
use crate::neighbourhood::Neighbourhood;
use crate::record::{FIRST, Opcode, Reason, Record};
use stdx::mem::Memory;
use stdx::slab::Key;
use stdx::time::Time;
use verbs::parts::{QueuePair, Registry};
use verbs::{Access, Completion, CompletionKind, QpId, QpState, Sge, Status};

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There may be more.
    Done,
    /// There is nothing more now.
    Idle,
    /// The ring is full.
    Full,
}

/// Writes all that the queue pair has to write.
pub(crate) fn serve<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    now: Time,
    qp: QpId,
) {
    let Some(pair) = registry.qps.get(qp.0) else { return };
    let lane = pair.engine.lane();
    let Path::Local(key) = lane.path else { return };
    if matches!(pair.state, QpState::Reset | QpState::Initialized) || lane.is_stalled {
        return;
    }
    loop {
        let step = match reply(hood, registry, mem, qp, key) {
            Step::Idle if is_in_error(registry, qp) => {
                flush(registry, qp);
                Step::Idle
            }
            Step::Idle => requester::step(hood, registry, mem, now, qp, key),
            step => step,
        };
        match step {
            Step::Done => {}
            Step::Idle => return,
            Step::Full => {
                hood.stall(registry, qp, key);
                return;
            }
        }
    }
}

/// The header of a record of this queue pair to its peer, with what is acknowledged.
pub(super) fn header<E: HasLane>(pair: &QueuePair<E>, opcode: Opcode, number: u32) -> Record {
    let destination = pair.peer.map_or(0, |peer| peer.qpn);
    let mut record = Record::new(opcode, destination, pair.qpn, number);
    record.acknowledged = pair.engine.lane().responder.expected;
    record
}

/// Answers what the peer waits for longest.
fn reply<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    key: Key,
) -> Step {
    let Some(pair) = registry.qps.get(qp.0) else { return Step::Idle };
    let Some(reply) = pair.engine.lane().responder.replies.front().copied() else { return Step::Idle };
    let (pd, rnr_timer) = (pair.init.pd, pair.peer.map_or(0, |peer| peer.rnr_timer));
    let mut spans = core::mem::take(&mut hood.spans);
    spans.clear();
    let sent = match reply {
        Reply::Refusal { number, reason } => {
            let mut record = header(pair, Opcode::Refuse, number);
            (record.immediate, record.key) = (reason as u32, rnr_timer.into());
            hood.emit(mem, key, record, Bytes::Inline(&[])).map(|_| true)
        }
        Reply::Value { number, value } => {
            let mut record = header(pair, Opcode::Answer, number);
            record.flags = FIRST;
            record.total = 8;
            hood.emit(mem, key, record, Bytes::Inline(&value.to_ne_bytes())).map(|_| true)
        }
        Reply::Read { number, from, len, sent } => {
            let mut record = header(pair, Opcode::Answer, number);
            (record.flags, record.total) = (if sent == 0 { FIRST } else { 0 }, len);
            let address = from.address.wrapping_add(sent.into());
            let wanted = Sge { key: from.key, address, len: len - sent };
            let regions = &registry.regions;
            let found =
                len == sent || regions.remote(pd, qp, wanted, Access::REMOTE_READ, &mut spans).is_ok();
            if found {
                let carried = hood.emit(mem, key, record, Bytes::Spans(&spans));
                carried.map(|carried| advance_read(registry, qp, carried))
            } else {
                // The memory was closed meanwhile.
                registry.fail(qp, verbs::What::AccessError(qp));
                turn_into_refusal(registry, qp, number, Reason::Access);
                Some(false)
            }
        }
    };
    hood.spans = spans;
    let Some(is_over) = sent else { return Step::Full };
    if let Some(pair) = registry.qps.get_mut(qp.0) {
        let responder = &mut pair.engine.lane_mut().responder;
        responder.owes = false;
        if is_over {
            responder.replies.pop_front();
        }
    }
    Step::Done
}

/// The read at the front has sent more; true if that is all.
fn advance_read<E: HasLane>(registry: &mut Registry<E>, qp: QpId, carried: u32) -> bool {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return true };
    match pair.engine.lane_mut().responder.replies.front_mut() {
        Some(Reply::Read { len, sent, .. }) => {
            *sent += carried;
            sent == len
        }
        _ => true,
    }
}

fn turn_into_refusal<E: HasLane>(registry: &mut Registry<E>, qp: QpId, number: u32, reason: Reason) {
    if let Some(pair) = registry.qps.get_mut(qp.0)
        && let Some(front) = pair.engine.lane_mut().responder.replies.front_mut()
    {
        *front = Reply::Refusal { number, reason };
    }
}

fn is_in_error<E: HasLane>(registry: &Registry<E>, qp: QpId) -> bool {
    registry.qps.get(qp.0).is_some_and(|pair| pair.state == QpState::Error)
}

/// Completes everything as flushed.
fn flush<E: HasLane>(registry: &mut Registry<E>, qp: QpId) {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return };
    let lane = pair.engine.lane_mut();
    lane.requester.clear();
    if let Some(id) = lane.responder.abandon() {
        let flushed = Completion::failed(qp, id, CompletionKind::Receive, Status::Flushed);
        registry.complete(flushed, true, false);
    }
    registry.flush(qp);
}
