//! Does what the peer asks for, in order: each request is checked as a packet would be, and its bytes copied to where they
//! belong.

use super::HasLane;
use crate::neighbour::Source;
use crate::neighbourhood::Neighbourhood;
use crate::record::{FIRST, IMMEDIATE, INVALIDATE, LAST, Opcode, Reason, Record, SOLICITED};
use std::collections::VecDeque;
use stdx::mem::{Memory, Span};
use verbs::parts::{Receive, Registry, Task, change_atomically};
use verbs::{Access, Completion, CompletionKind, Key, PdId, QpId, Remote, Sge, Status, Transport, What};

/// The peer's requests.
#[derive(Debug, Default)]
pub(crate) struct Responder {
    /// The number of the next request.
    pub(crate) expected: u32,
    /// It was refused: nothing but it is heeded.
    is_refused: bool,
    /// Its message has begun.
    has_begun: bool,
    /// It is dropped: a service without answers has no other way.
    is_dropped: bool,
    /// Bytes of it that came, and that are to come in all.
    received: u32,
    total: u32,
    /// Where it goes, if it is a send.
    receive: Option<u64>,
    place: Receive,
    /// What the peer waits for.
    pub(crate) replies: VecDeque<Reply>,
    /// The peer has not been told what is done.
    pub(crate) owes: bool,
    /// It stands in the line of those who owe that.
    pub(crate) is_owing: bool,
    /// A record came.
    pub(crate) has_heard: bool,
}

/// An answer to be given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// A request was not done.
    Refusal { number: u32, reason: Reason },
    /// What an atomic found.
    Value { number: u32, value: u64 },
    /// Bytes.
    Read { number: u32, from: Remote, len: u32, sent: u32 },
}

/// Why a request was not done, and what happens to the queue pair.
enum Failure {
    /// There is no receive.
    NoReceive,
    /// The request is wrong; the queue pair is in error.
    Wrong(Reason, What),
}

impl Responder {
    /// Begins with a number.
    pub(crate) fn beginning(number: u32) -> Self {
        Self { expected: number, ..Self::default() }
    }

    /// Gives up the message that has begun, and the numbers of all that waits for an answer; says which receive it held.
    pub(crate) fn abandon(&mut self) -> Option<u64> {
        self.has_begun = false;
        self.receive.take()
    }

    /// Tells the peer that a request was not done. One refusal waits at most: whoever is refused again before hearing of it asked for what
    /// it was not told to ask for again.
    fn refuse(&mut self, number: u32, reason: Reason) {
        let refusal = Reply::Refusal { number, reason };
        match self.replies.iter_mut().find(|reply| matches!(reply, Reply::Refusal { .. })) {
            Some(waiting) => *waiting = refusal,
            None => self.replies.push_back(refusal),
        }
    }

    /// Asserts what always holds.
    pub(super) fn check(&self) {
        let refusals = self.replies.iter().filter(|reply| matches!(reply, Reply::Refusal { .. })).count();
        // A read whose memory was closed while it was answered becomes one as well, and is the last.
        assert!(refusals <= 2, "refusals that nobody takes do not add up");
    }

    /// The numbers of reads that were not answered to the end.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = u32> {
        self.replies.iter().map(|reply| match reply {
            Reply::Refusal { number, .. } | Reply::Value { number, .. } | Reply::Read { number, .. } => {
                *number
            }
        })
    }
}

/// Takes a record of a request. False if it makes no sense.
pub(crate) fn handle<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    record: &Record,
    source: Source,
) -> bool {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return false };
    let is_reliable = pair.init.transport == Transport::ReliableConnection;
    let responder = &mut pair.engine.lane_mut().responder;
    if !is_reliable && record.has(FIRST) {
        responder.expected = record.number;
        responder.is_dropped = false;
    }
    if record.number != responder.expected || responder.is_refused && !record.has(FIRST) {
        if !responder.is_refused && record.has(FIRST) {
            responder.is_refused = true;
            responder.refuse(record.number, Reason::NotReady);
        }
        return true;
    }
    if record.has(FIRST) {
        (responder.is_refused, responder.has_begun) = (false, true);
        (responder.received, responder.total) = (0, record.total);
    } else if !responder.has_begun {
        return responder.is_dropped;
    }
    let done = match record.opcode {
        Opcode::Send => send(hood, registry, mem, qp, record, source),
        Opcode::Write => write(hood, registry, mem, qp, record, source),
        Opcode::Read => read(hood, registry, qp, record),
        Opcode::CompareSwap | Opcode::FetchAdd => atomic(hood, registry, mem, qp, record),
        Opcode::Datagram | Opcode::Acknowledge | Opcode::Refuse | Opcode::Answer => return false,
    };
    conclude(registry, qp, record, done);
    hood.owe(registry, qp, record.total);
    true
}

/// Takes down what became of a record: `true` if its message is whole.
fn conclude<E: HasLane>(registry: &mut Registry<E>, qp: QpId, record: &Record, done: Result<bool, Failure>) {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return };
    let is_reliable = pair.init.transport == Transport::ReliableConnection;
    let responder = &mut pair.engine.lane_mut().responder;
    let number = record.number;
    match done {
        Ok(false) => responder.received = responder.received.saturating_add(record.len),
        Ok(true) => {
            responder.expected = number.wrapping_add(1);
            (responder.has_begun, responder.owes) = (false, true);
        }
        Err(Failure::NoReceive) if !is_reliable => {
            responder.expected = number.wrapping_add(1);
            (responder.has_begun, responder.is_dropped, responder.owes) = (false, true, true);
        }
        Err(Failure::NoReceive) => {
            (responder.has_begun, responder.is_refused) = (false, true);
            responder.refuse(number, Reason::NoReceive);
        }
        Err(Failure::Wrong(reason, what)) => {
            (responder.has_begun, responder.is_refused) = (false, true);
            responder.refuse(number, reason);
            registry.fail(qp, what);
        }
    }
}

/// Bytes for the next receive.
fn send<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    record: &Record,
    source: Source,
) -> Result<bool, Failure> {
    if record.has(FIRST) {
        take_receive(registry, qp)?;
    }
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Err(Failure::NoReceive) };
    let pd = pair.init.pd;
    let responder = &mut pair.engine.lane_mut().responder;
    let Some(id) = responder.receive else { return Err(Failure::NoReceive) };
    let room: u64 = responder.place.sges.iter().map(|sge| u64::from(sge.len)).sum();
    let (received, len) = (u64::from(responder.received), source.len() as u64);
    let is_last = record.has(LAST);
    let is_right = is_last == (received + len == u64::from(responder.total));
    let mut spans = core::mem::take(&mut hood.spans);
    spans.clear();
    let sges = &responder.place.sges;
    let status = if room < u64::from(responder.total) || !is_right || received + len > room {
        Status::LocalLength
    } else if registry.regions.gather(pd, sges, received, len, Access::LOCAL_WRITE, &mut spans).is_err() {
        Status::LocalProtection
    } else {
        source.place(mem, &spans);
        Status::Success
    };
    hood.spans = spans;
    if status != Status::Success {
        responder.receive = None;
        let failed = Completion::failed(qp, id, CompletionKind::Receive, status);
        registry.complete(failed, true, true);
        let reason =
            if status == Status::LocalProtection { Reason::Operation } else { Reason::InvalidRequest };
        return Err(Failure::Wrong(reason, What::InvalidRequest(qp)));
    }
    if !is_last {
        return Ok(false);
    }
    responder.receive = None;
    let total = responder.total;
    deliver(registry, pd, qp, id, CompletionKind::Receive, total, record)
}

/// A message is whole: its receive completes.
fn deliver<E: HasLane>(
    registry: &mut Registry<E>,
    pd: PdId,
    qp: QpId,
    id: u64,
    kind: CompletionKind,
    len: u32,
    record: &Record,
) -> Result<bool, Failure> {
    let invalidated = record.has(INVALIDATE).then_some(Key(record.immediate));
    if let Some(key) = invalidated
        && registry.regions.invalidate_by_peer(pd, qp, key).is_err()
    {
        let failed = Completion::failed(qp, id, CompletionKind::Receive, Status::LocalAccess);
        registry.complete(failed, true, true);
        return Err(Failure::Wrong(Reason::Access, What::AccessError(qp)));
    }
    let immediate = record.has(IMMEDIATE).then_some(record.immediate);
    let bare = Completion::failed(qp, id, kind, Status::Success);
    registry.complete(Completion { len, immediate, invalidated, ..bare }, true, record.has(SOLICITED));
    Ok(true)
}

/// Bytes for our memory.
fn write<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    record: &Record,
    source: Source,
) -> Result<bool, Failure> {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Err(Failure::NoReceive) };
    let pd = pair.init.pd;
    let responder = &pair.engine.lane().responder;
    let (received, total, len) = (responder.received, responder.total, source.len() as u32);
    let is_last = record.has(LAST);
    let whole = u64::from(received) + u64::from(len);
    if whole > total.into() || is_last != (whole == u64::from(total)) {
        return Err(Failure::Wrong(Reason::InvalidRequest, What::InvalidRequest(qp)));
    }
    // All of it is looked at when it begins, so that nothing is written of what cannot be written whole.
    if record.has(FIRST) && total > len {
        reach(hood, registry, qp, record, total, Access::REMOTE_WRITE)?;
    }
    let wants_receive = is_last && record.has(IMMEDIATE);
    if wants_receive && registry.receives_of(qp) == 0 {
        return Err(Failure::NoReceive);
    }
    reach(hood, registry, qp, record, len, Access::REMOTE_WRITE)?;
    source.place(mem, &hood.spans);
    if wants_receive {
        take_receive(registry, qp)?;
        let held =
            registry.qps.get_mut(qp.0).and_then(|pair| pair.engine.lane_mut().responder.receive.take());
        let Some(id) = held else { return Err(Failure::NoReceive) };
        return deliver(registry, pd, qp, id, CompletionKind::ReceiveWrite, total, record);
    }
    Ok(is_last)
}

/// Bytes of our memory are asked for.
fn read<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    qp: QpId,
    record: &Record,
) -> Result<bool, Failure> {
    may_fetch(registry, qp)?;
    if record.total > registry.limits.message_bytes {
        return Err(Failure::Wrong(Reason::InvalidRequest, What::InvalidRequest(qp)));
    }
    reach(hood, registry, qp, record, record.total, Access::REMOTE_READ)?;
    let from = Remote { address: record.address, key: Key(record.key) };
    reply(registry, qp, Reply::Read { number: record.number, from, len: record.total, sent: 0 });
    Ok(true)
}

/// Eight bytes of our memory change.
fn atomic<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    record: &Record,
) -> Result<bool, Failure> {
    may_fetch(registry, qp)?;
    if !record.address.is_multiple_of(ATOMIC_LEN.into()) || record.total != ATOMIC_LEN {
        return Err(Failure::Wrong(Reason::InvalidRequest, What::InvalidRequest(qp)));
    }
    reach(hood, registry, qp, record, ATOMIC_LEN, Access::REMOTE_ATOMIC)?;
    let at = Remote { address: record.address, key: Key(record.key) };
    let task = if record.opcode == Opcode::CompareSwap {
        Task::CompareSwap { at, compare: record.tail_number(0), swap: record.tail_number(1) }
    } else {
        Task::FetchAdd { at, add: record.tail_number(0) }
    };
    let value = change_atomically(mem, &hood.spans, &task);
    reply(registry, qp, Reply::Value { number: record.number, value });
    Ok(true)
}

/// Reads and atomics are of a reliable connection, and no more at once than was agreed on.
fn may_fetch<E: HasLane>(registry: &Registry<E>, qp: QpId) -> Result<(), Failure> {
    let Some(pair) = registry.qps.get(qp.0) else { return Err(Failure::NoReceive) };
    let resources = pair.peer.map_or(0, |peer| usize::from(peer.responder_resources));
    let waiting = pair.engine.lane().responder.replies.len();
    if pair.init.transport == Transport::ReliableConnection && waiting < resources {
        return Ok(());
    }
    Err(Failure::Wrong(Reason::InvalidRequest, What::InvalidRequest(qp)))
}

fn reply<E: HasLane>(registry: &mut Registry<E>, qp: QpId, reply: Reply) {
    if let Some(pair) = registry.qps.get_mut(qp.0) {
        pair.engine.lane_mut().responder.replies.push_back(reply);
    }
}

fn take_receive<E: HasLane>(registry: &mut Registry<E>, qp: QpId) -> Result<(), Failure> {
    let Some(pair) = registry.qps.get_mut(qp.0) else { return Err(Failure::NoReceive) };
    let responder = &mut pair.engine.lane_mut().responder;
    // One that a message which began anew had taken serves it again.
    if responder.receive.is_some() {
        return Ok(());
    }
    let mut place = core::mem::take(&mut responder.place);
    let is_taken = registry.take_receive(qp, &mut place);
    if let Some(pair) = registry.qps.get_mut(qp.0) {
        let responder = &mut pair.engine.lane_mut().responder;
        responder.receive = is_taken.then_some(place.id);
        responder.place = place;
    }
    if is_taken { Ok(()) } else { Err(Failure::NoReceive) }
}

/// Finds where `len` bytes of ours lie that a record is about; they are in the neighbourhood's spans then. Nothing is
/// checked for no bytes (9.7.4.1.5).
fn reach<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &Registry<E>,
    qp: QpId,
    record: &Record,
    len: u32,
    needed: Access,
) -> Result<(), Failure> {
    let spans: &mut Vec<Span> = &mut hood.spans;
    spans.clear();
    let Some(pair) = registry.qps.get(qp.0) else { return Err(Failure::NoReceive) };
    let wanted = Sge { key: Key(record.key), address: record.address, len };
    let is_allowed = pair.access.contains(needed)
        && (len == 0 || registry.regions.remote(pair.init.pd, qp, wanted, needed, spans).is_ok());
    if is_allowed { Ok(()) } else { Err(Failure::Wrong(Reason::Access, What::AccessError(qp))) }
}

/// Bytes of an atomic operation.
const ATOMIC_LEN: u32 = 8;
