//! Makes records of sends, in order.

use super::serve::{Step, header};
use super::{HasLane, completer};
use crate::neighbour::Bytes;
use crate::neighbourhood::Neighbourhood;
use crate::record::{FIRST, IMMEDIATE, INVALIDATE, Opcode, Record, SOLICITED, UNRELIABLE};
use std::collections::VecDeque;
use stdx::mem::Memory;
use stdx::slab::Key;
use stdx::time::Time;
use verbs::parts::{QueuePair, Registry, Send, Task};
use verbs::{Access, Event, QpId, QpState, Status, Transport, What};

/// Our requests.
///
/// `flights` are the sends that have numbers, the front one being the front of the send queue. The cursor is the next that
/// has something to be sent; it goes back when one was refused.
#[derive(Debug, Default)]
pub(crate) struct Requester {
    pub(super) flights: VecDeque<Flight>,
    /// The number of the next flight.
    next: u32,
    /// The flight to be sent.
    pub(super) cursor: usize,
    /// Bytes of it that were.
    pub(super) sent: u32,
    /// A record of it was.
    pub(super) has_begun: bool,
    /// Reads and atomics before the cursor without an answer.
    pub(super) fetching: usize,
    /// How often the front was refused because the peer was not ready.
    pub(super) tries: u32,
    /// How often it was refused for want of a receive.
    pub(super) receive_tries: u32,
    /// Nothing is sent before.
    pub(super) retry_at: Option<Time>,
}

/// A send with a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Its records' number. What concerns no peer has no records, and the number of what follows it.
    pub(super) number: u32,
    pub(super) is_local: bool,
    pub(super) fetches: bool,
    /// Bytes that were answered.
    pub(super) received: u32,
    /// What became of it.
    pub(super) outcome: Option<Status>,
}

impl Requester {
    pub(super) fn beginning(number: u32) -> Self {
        Self { next: number, ..Self::default() }
    }

    /// True if nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// Forgets all flights.
    pub(crate) fn clear(&mut self) {
        self.flights.clear();
        (self.cursor, self.sent, self.has_begun, self.fetching) = (0, 0, false, 0);
        self.retry_at = None;
    }

    /// The flight with a number, if anything of it was sent.
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        let first = self.flights.front()?.number;
        let distance = number.wrapping_sub(first);
        let place = self.flights.partition_point(|flight| {
            let at = flight.number.wrapping_sub(first);
            at < distance || at == distance && flight.is_local
        });
        let is_sent = place < self.cursor || place == self.cursor && self.has_begun;
        self.flights.get(place).filter(|flight| is_sent && flight.number == number).map(|_| place)
    }

    /// The number of what is sent next.
    pub(super) fn unsent(&self) -> u32 {
        self.flights.get(self.cursor).map_or(self.next, |flight| flight.number)
    }

    /// The first flight of which nothing is known.
    pub(super) fn oldest_unanswered(&self) -> usize {
        self.flights.iter().take_while(|flight| flight.outcome.is_some()).count()
    }

    /// Goes back to a flight.
    pub(super) fn go_back(&mut self, place: usize) {
        for flight in self.flights.iter_mut().skip(place) {
            flight.received = 0;
        }
        (self.cursor, self.sent, self.has_begun) = (place, 0, false);
        let before = self.flights.iter().take(place);
        self.fetching = before.filter(|flight| flight.fetches && flight.outcome.is_none()).count();
    }

    pub(super) fn check(&self, sends: usize) {
        assert!(self.flights.len() <= sends, "every flight is of a send");
        assert!(self.cursor <= self.flights.len());
        let before = self.flights.iter().take(self.cursor);
        let fetching = before.filter(|flight| flight.fetches && flight.outcome.is_none()).count();
        assert_eq!(self.fetching, fetching);
    }
}

/// Writes a record of the next send, or does what concerns no peer.
pub(super) fn step<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    now: Time,
    qp: QpId,
    key: Key,
) -> Step {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Step::Idle };
    if !matches!(pair.state, QpState::ReadyToSend | QpState::SendQueueDraining) {
        return Step::Idle;
    }
    let requester = &mut pair.engine.lane_mut().requester;
    match requester.retry_at {
        Some(at) if at > now => {
            hood.wait(qp, at);
            return Step::Idle;
        }
        _ => requester.retry_at = None,
    }
    if requester.cursor == requester.flights.len() {
        match begin(registry, qp) {
            Step::Done => {}
            step => return step,
        }
        let has_flight = |pair: &QueuePair<E>| {
            let requester = &pair.engine.lane().requester;
            requester.cursor < requester.flights.len()
        };
        if !registry.qps.get(qp.0).is_some_and(has_flight) {
            // It concerned no peer, and is done; what follows may begin.
            return Step::Done;
        }
    }
    transmit(hood, registry, mem, qp, key)
}

/// Gives the next send its number, if it may begin.
fn begin<E: HasLane>(registry: &mut Registry<E>, qp: QpId) -> Step {
    let message_max = u64::from(registry.limits.message_bytes);
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Step::Idle };
    let depth = usize::from(pair.sending.initiator_depth);
    let requester = &mut pair.engine.lane_mut().requester;
    if pair.state == QpState::SendQueueDraining {
        if requester.flights.is_empty() {
            pair.state = QpState::SendQueueDrained;
            let owner = pair.owner;
            registry.events.push_back(Event { owner, what: What::SendQueueDrained(qp) });
        }
        return Step::Idle;
    }
    let Some(send) = pair.sends.get(requester.flights.len()) else { return Step::Idle };
    if send.flags.fence && requester.fetching > 0 {
        return Step::Idle;
    }
    if send.task.is_local() {
        // New memory is nothing to what is under way; what is closed may yet be needed to send that again.
        let may_begin = matches!(send.task, Task::Register { .. }) || requester.flights.is_empty();
        return if may_begin { do_local(registry, qp) } else { Step::Idle };
    }
    let fetches = send.task.fetches();
    let outcome = if send.len() > message_max {
        Some(Status::LocalLength)
    } else if fetches && depth == 0 {
        Some(Status::LocalQueuePairOperation)
    } else {
        None
    };
    if fetches && requester.fetching >= depth && outcome.is_none() {
        return Step::Idle;
    }
    let number = requester.next;
    requester.next = number.wrapping_add(1);
    requester.flights.push_back(Flight { number, is_local: false, fetches, received: 0, outcome });
    (requester.sent, requester.has_begun) = (0, false);
    Step::Done
}

/// Does what concerns no peer, in its turn. It completes when everything before it has (10.8.3).
fn do_local<E: HasLane>(registry: &mut Registry<E>, qp: QpId) -> Step {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Step::Idle };
    let pd = pair.init.pd;
    let place = pair.engine.lane().requester.flights.len();
    let Some(send) = pair.sends.get(place) else { return Step::Idle };
    let regions = &mut registry.regions;
    let outcome = match send.task {
        Task::Register { key, address, access } => {
            regions.register_by_work(pd, key, &send.pieces, address, access).is_ok()
        }
        Task::Invalidate(key) => regions.invalidate(pd, key).is_ok(),
        Task::Bind { window, part, access } => regions.bind(pd, qp, window, part, access).is_ok(),
        _ => true,
    };
    let failure = match send.task {
        Task::Bind { .. } => Status::WindowBind,
        _ => Status::LocalQueuePairOperation,
    };
    let requester = &mut pair.engine.lane_mut().requester;
    let outcome = Some(if outcome { Status::Success } else { failure });
    let number = requester.next;
    requester.flights.push_back(Flight { number, is_local: true, fetches: false, received: 0, outcome });
    if place == 0 {
        requester.cursor = 1;
        completer::settle(registry, qp);
    }
    Step::Done
}

/// Writes a record of the flight at the cursor.
fn transmit<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    key: Key,
) -> Step {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Step::Idle };
    let requester = &pair.engine.lane().requester;
    let (place, sent, has_begun) = (requester.cursor, requester.sent, requester.has_begun);
    let Some(flight) = requester.flights.get(place).copied() else { return Step::Idle };
    if flight.is_local && flight.outcome == Some(Status::Success) {
        pair.engine.lane_mut().requester.cursor += 1;
        return Step::Done;
    }
    if flight.outcome.is_some() {
        // It failed before it began, and nothing follows it.
        completer::settle(registry, qp);
        return Step::Idle;
    }
    let (pd, is_reliable) = (pair.init.pd, pair.init.transport == Transport::ReliableConnection);
    let mut record = header(pair, Opcode::Send, flight.number);
    let Some(send) = pair.sends.get(place) else { return Step::Idle };
    fill(&mut record, send, sent);
    record.flags |= if has_begun { 0 } else { FIRST };
    record.flags |= if is_reliable { 0 } else { UNRELIABLE };
    let mut spans = core::mem::take(&mut hood.spans);
    spans.clear();
    let needed = if flight.fetches { Access::LOCAL_WRITE } else { Access::NONE };
    let left = send.len() - u64::from(sent);
    let found =
        send.is_inline || send.gather(&registry.regions, pd, sent.into(), left, needed, &mut spans).is_ok();
    let carried = if !found {
        hood.spans = spans;
        return fail(registry, qp, place, Status::LocalProtection);
    } else if flight.fetches {
        hood.emit_bare(mem, key, record).map(|()| left as u32)
    } else if send.is_inline {
        hood.emit(mem, key, record, Bytes::Inline(&send.inline[sent as usize..]))
    } else {
        hood.emit(mem, key, record, Bytes::Spans(&spans))
    };
    hood.spans = spans;
    let Some(carried) = carried else { return Step::Full };
    let is_over = u64::from(carried) == left;
    let lane = pair.engine.lane_mut();
    lane.responder.owes = false;
    let requester = &mut lane.requester;
    if is_over {
        requester.fetching += usize::from(flight.fetches);
        (requester.cursor, requester.sent, requester.has_begun) = (place + 1, 0, false);
    } else {
        (requester.sent, requester.has_begun) = (sent + carried, true);
    }
    Step::Done
}

/// The flight at the cursor cannot be sent.
fn fail<E: HasLane>(registry: &mut Registry<E>, qp: QpId, place: usize, status: Status) -> Step {
    if let Some(pair) = registry.qps.get_mut(qp.0)
        && let Some(flight) = pair.engine.lane_mut().requester.flights.get_mut(place)
    {
        flight.outcome = Some(status);
    }
    completer::settle(registry, qp);
    Step::Idle
}

/// What a record says of its send; `sent` bytes of it went before.
fn fill(record: &mut Record, send: &Send, sent: u32) {
    record.total = send.len() as u32;
    record.flags |= if send.flags.solicited { SOLICITED } else { 0 };
    if let Some(remote) = send.task.remote() {
        (record.address, record.key) = (remote.address.wrapping_add(sent.into()), remote.key.into());
    }
    match send.task {
        Task::SendImmediate(immediate) | Task::WriteImmediate(_, immediate) => {
            record.flags |= IMMEDIATE;
            record.immediate = immediate;
        }
        Task::SendInvalidate(key) => {
            record.flags |= INVALIDATE;
            record.immediate = key.into();
        }
        Task::CompareSwap { compare, swap, .. } => record.set_tail([compare, swap]),
        Task::FetchAdd { add, .. } => record.set_tail([add, 0]),
        _ => {}
    }
    record.opcode = match send.task {
        Task::Write(_) | Task::WriteImmediate(..) => Opcode::Write,
        Task::Read(_) => Opcode::Read,
        Task::CompareSwap { .. } => Opcode::CompareSwap,
        Task::FetchAdd { .. } => Opcode::FetchAdd,
        Task::Datagram(..) => Opcode::Datagram,
        Task::Send | Task::SendImmediate(_) | Task::SendInvalidate(_) => Opcode::Send,
        // These concern no peer, and get no record.
        Task::Invalidate(_) | Task::Register { .. } | Task::Bind { .. } => Opcode::Send,
    };
}
