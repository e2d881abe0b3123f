//! Takes requests, and decides what becomes of each (9.7.3, 9.7.4).

use super::duplicates::{Done, Duplicates};
use super::message;
use super::promptness::Promptness;
use super::requester::mtu;
use super::respond::{Kind, Responses};
use crate::engine::{Arrival, Core};
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use verbs::parts::{Receive, Task, change_atomically, move_bytes};
use verbs::{
    Access, Completion, CompletionKind, Key, Peer, QpId, QpState, Remote, Sge, Status, Transport, What,
};
use wire::roce::{Action, AtomicEth, Extension, Nak, Position, Psn, Reth, RnrTimer, Syndrome};

/// The peer's requests: which is next, and what it is in the middle of.
#[derive(Debug, Default)]
pub(crate) struct Responder {
    /// The number of the next request.
    pub(super) expected: Psn,
    /// How many messages are done.
    pub(super) message_number: u32,
    /// The peer was told that something is missing; until it comes nothing more is said.
    pub(super) is_silent: bool,
    /// What is to be sent.
    pub(super) responses: Responses,
    pub(super) duplicates: Duplicates,
    /// When acknowledgements are due.
    pub(crate) promptness: Promptness,
    rnr_timer: u8,
    has_heard: bool,
    incoming: Option<Incoming>,
    /// The receive that is being filled, if the message has one.
    receive: Receive,
    holds_receive: bool,
}

/// A message of which not all packets have come.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    action: Action,
    /// Bytes that have come.
    offset: u32,
    /// Where a write goes.
    reth: Reth,
}

/// What becomes of a request.
enum Verdict {
    /// It is done, and may be acknowledged.
    Done,
    /// It is answered by more than an acknowledgement.
    Answered,
    /// There is no receive.
    NotReady,
    /// It is refused, and the queue pair fails.
    Refused(Nak),
    /// It is lost, as far as an unreliable peer is concerned.
    Dropped,
}

impl Responder {
    /// Begins with what the peer says.
    pub(crate) fn begin(&mut self, peer: &Peer) {
        *self = Self { expected: Psn::new(peer.psn), rnr_timer: peer.rnr_timer, ..Self::default() };
        self.duplicates.begin(peer.responder_resources);
        self.responses.begin(peer.responder_resources);
    }

    /// Something is to be sent to the peer, and may be: payload may be held.
    pub(crate) fn has_responses(&self, is_held: bool) -> bool {
        self.responses.next(false, is_held).is_some()
    }

    /// Sends nothing of what was to be sent, but that messages were taken; says whether there is such a thing.
    pub(crate) fn silence(&mut self) -> bool {
        self.responses.keep_last_words()
    }

    /// Gives up the message in the middle; says which receive it had.
    pub(crate) fn abandon(&mut self) -> Option<u64> {
        self.incoming = None;
        core::mem::take(&mut self.holds_receive).then_some(self.receive.id)
    }

    /// Takes down that a packet came; says whether one had before.
    pub(crate) fn note_first_packet(&mut self) -> bool {
        core::mem::replace(&mut self.has_heard, true)
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self, read_depth: u8) {
        assert!(self.duplicates.len() <= usize::from(read_depth));
        self.responses.check();
    }
}

/// Takes a request of a reliable connection.
pub(crate) fn handle(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival) {
    let psn = arrival.headers.bth.psn;
    let Some(pair) = core.pair(qp) else { return };
    let responder = &mut pair.engine.responder;
    let mut ahead = psn.since(responder.expected);
    let is_atomic = matches!(arrival.headers.extension, Extension::Atomic(_));
    if planted(Bug::DuplicateDoneAgain) || planted(Bug::AtomicDoneAgain) && is_atomic {
        ahead = ahead.max(0);
    }
    if ahead < 0 {
        core.counters.duplicate_request += 1;
        return repeat(core, qp, arrival);
    }
    if ahead > 0 && !planted(Bug::GapIgnored) {
        let (is_silent, expected) = (core::mem::replace(&mut responder.is_silent, true), responder.expected);
        core.counters.out_of_seq_request += 1;
        if !is_silent {
            answer(core, qp, expected, Syndrome::Nak(Nak::PsnSequence));
        }
        return;
    }
    responder.is_silent = false;
    let verdict = examine(core, mem, qp, arrival, Transport::ReliableConnection);
    conclude(core, qp, arrival, verdict);
}

/// Takes a packet of an unreliable connection: false if its message is lost.
pub(crate) fn handle_unreliable(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival) -> bool {
    let Some(pair) = core.pair(qp) else { return false };
    let psn = arrival.headers.bth.psn;
    let begins = arrival.headers.bth.opcode.position().begins();
    let responder = &mut pair.engine.responder;
    if psn != responder.expected && !planted(Bug::UnreliableGapIgnored) || begins {
        // Packets of a message that is not whole are of no use; its receive is for the next (9.8.2.2).
        responder.incoming = None;
    }
    responder.expected = psn.next();
    matches!(
        examine(core, mem, qp, arrival, Transport::UnreliableConnection),
        Verdict::Done | Verdict::Answered
    )
}

fn conclude(core: &mut Core, qp: QpId, arrival: &Arrival, verdict: Verdict) {
    let bth = &arrival.headers.bth;
    let Some(pair) = core.pair(qp) else { return };
    let responder = &mut pair.engine.responder;
    let verdict = match verdict {
        Verdict::NotReady if planted(Bug::ReceiveMissedSilently) => Verdict::Done,
        verdict => verdict,
    };
    match verdict {
        Verdict::Done => {
            responder.expected = bth.psn.next();
            if bth.opcode.position().ends() {
                responder.message_number = responder.message_number.wrapping_add(1) & MESSAGES;
            }
            if bth.ack_requested {
                let skip = u32::from(planted(Bug::AcknowledgedTooFar));
                responder.promptness.owe();
                answer(core, qp, bth.psn.plus(skip), Syndrome::ACK);
            }
        }
        Verdict::Answered => core.activate(qp),
        Verdict::NotReady => {
            responder.is_silent = true;
            let timer = RnrTimer::from_code(responder.rnr_timer)
                .unwrap_or(RnrTimer::at_least(core::time::Duration::ZERO));
            core.counters.send_rnr_err += 1;
            answer(core, qp, bth.psn, Syndrome::Rnr(timer));
        }
        Verdict::Refused(nak) => {
            answer(core, qp, bth.psn, Syndrome::Nak(nak));
            let what = match nak {
                Nak::RemoteAccess => What::AccessError(qp),
                Nak::InvalidRequest | Nak::InvalidRdRequest => What::InvalidRequest(qp),
                Nak::PsnSequence | Nak::RemoteOperational => What::QueuePairError(qp),
            };
            core.registry.fail(qp, what);
            core.activate(qp);
        }
        Verdict::Dropped => core.counters.dropped += 1,
    }
}

/// A request that came before: it is answered again, and not done again (9.7.5.1.6).
fn repeat(core: &mut Core, qp: QpId, arrival: &Arrival) {
    let bth = &arrival.headers.bth;
    let Some(pair) = core.pair(qp) else { return };
    let mtu = mtu(pair);
    let responder = &mut pair.engine.responder;
    let message_number = responder.message_number;
    match arrival.headers.extension {
        Extension::Remote(reth) if bth.opcode.action() == Action::ReadRequest => {
            if responder.duplicates.is_read(bth.psn, &reth, mtu) {
                responder.responses.read(bth.psn, reth, message_number, Kind::Again);
            }
        }
        Extension::Atomic(_) => {
            if let Some(original) = responder.duplicates.atomic(bth.psn) {
                responder.responses.atomic(bth.psn, original, message_number, Kind::Again);
            }
        }
        _ => {
            let last = responder.expected.minus(1);
            responder.promptness.hasten();
            return answer(core, qp, last, Syndrome::ACK);
        }
    }
    core.activate(qp);
}

fn answer(core: &mut Core, qp: QpId, psn: Psn, syndrome: Syndrome) {
    let Some(pair) = core.pair(qp) else { return };
    let responder = &mut pair.engine.responder;
    let message_number = responder.message_number;
    if responder.responses.acknowledge(psn, syndrome, message_number) {
        core.counters.ack_deferred += 1;
    }
    core.activate(qp);
}

/// Does what the packet asks, if it may come now and ask for that.
fn examine(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival, transport: Transport) -> Verdict {
    let opcode = arrival.headers.bth.opcode;
    let Some(pair) = core.pair(qp) else { return Verdict::Dropped };
    let incoming = pair.engine.responder.incoming;
    // A message is not interrupted, and not gone on with before it began (9.7.4.1.2).
    let follows = match incoming {
        Some(incoming) => !opcode.position().begins() && incoming.action == opcode.action(),
        None => opcode.position().begins(),
    };
    let mtu = mtu(pair);
    let len = arrival.payload.len;
    let fits = match opcode.position() {
        Position::First | Position::Middle => len == mtu,
        Position::Last => len > 0 && len <= mtu,
        Position::Only => len <= mtu,
    };
    if !follows || !fits {
        return match transport {
            Transport::ReliableConnection => Verdict::Refused(Nak::InvalidRequest),
            Transport::UnreliableConnection | Transport::UnreliableDatagram => {
                pair.engine.responder.incoming = None;
                Verdict::Dropped
            }
        };
    }
    match (opcode.action(), arrival.headers.extension) {
        (Action::Send, _) => send(core, mem, qp, arrival),
        (Action::Write, extension) => write(core, mem, qp, arrival, extension),
        (Action::ReadRequest, Extension::Remote(reth)) => read(core, qp, arrival.headers.bth.psn, reth),
        (Action::CompareSwap, Extension::Atomic(atomic)) => {
            let at = Remote { address: atomic.address, key: Key(atomic.key) };
            let task = Task::CompareSwap { at, compare: atomic.compare, swap: atomic.swap_add };
            change(core, mem, qp, arrival.headers.bth.psn, &atomic, &task)
        }
        (Action::FetchAdd, Extension::Atomic(atomic)) => {
            let at = Remote { address: atomic.address, key: Key(atomic.key) };
            let task = Task::FetchAdd { at, add: atomic.swap_add };
            change(core, mem, qp, arrival.headers.bth.psn, &atomic, &task)
        }
        _ => Verdict::Refused(Nak::InvalidRequest),
    }
}

/// Bytes for the next receive.
fn send(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival) -> Verdict {
    let offset = match incoming(core, qp) {
        Some(incoming) => incoming.offset,
        None if hold_receive(core, qp) => 0,
        None => return Verdict::NotReady,
    };
    let end = u64::from(offset) + u64::from(arrival.payload.len);
    let Some(pair) = core.registry.qps.get(qp.0) else { return Verdict::Dropped };
    let list = &pair.engine.responder.receive.sges;
    let room: u64 = list.iter().map(|sge| u64::from(sge.len)).sum();
    if end > room || end > u64::from(core.config.limits.message_bytes) {
        return fail_receive(core, qp, Status::LocalLength, Nak::InvalidRequest);
    }
    let mut spans = core::mem::take(&mut core.spans);
    spans.clear();
    let at = if planted(Bug::ReceiveOffsetForgotten) { 0 } else { u64::from(offset) };
    let (pd, len) = (pair.init.pd, u64::from(arrival.payload.len));
    let needed = Access::LOCAL_WRITE;
    let placed = core.registry.regions.gather(pd, list, at, len, needed, &mut spans);
    if placed.is_ok() {
        move_bytes(mem, &spans, &[arrival.payload]);
    }
    core.spans = spans;
    if placed.is_err() {
        return fail_receive(core, qp, Status::LocalProtection, Nak::RemoteOperational);
    }
    let (mut immediate, mut invalidated) = (None, None);
    match arrival.headers.extension {
        Extension::Immediate(value) => immediate = Some(value),
        Extension::Invalidate(key) => {
            let is_forgotten = planted(Bug::InvalidationForgotten);
            if !is_forgotten && core.registry.regions.invalidate_by_peer(pd, qp, Key(key)).is_err() {
                return fail_receive(core, qp, Status::LocalAccess, Nak::RemoteAccess);
            }
            invalidated = Some(Key(key));
        }
        _ => {}
    }
    let progress = Incoming { action: Action::Send, offset: end as u32, reth: Reth::default() };
    if arrival.headers.bth.opcode.position().ends() {
        finish(core, qp, arrival, CompletionKind::Receive, end as u32, immediate, invalidated);
    } else {
        set_incoming(core, qp, Some(progress));
    }
    Verdict::Done
}

/// Bytes for our memory.
fn write(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival, extension: Extension) -> Verdict {
    let (reth, immediate) = match extension {
        Extension::Remote(reth) => (Some(reth), None),
        Extension::RemoteImmediate(reth, immediate) => (Some(reth), Some(immediate)),
        Extension::Immediate(immediate) => (None, Some(immediate)),
        _ => (None, None),
    };
    let (reth, offset) = match (incoming(core, qp), reth) {
        (Some(incoming), _) => (incoming.reth, incoming.offset),
        (None, Some(reth)) => {
            // The whole of it is checked before the first byte is written (9.7.4.1.5).
            if reth.len > core.config.limits.message_bytes {
                return Verdict::Refused(Nak::InvalidRequest);
            }
            if !reach(core, qp, &reth, Access::REMOTE_WRITE) {
                return Verdict::Refused(Nak::RemoteAccess);
            }
            (reth, 0)
        }
        (None, None) => return Verdict::Refused(Nak::InvalidRequest),
    };
    let (len, ends) = (arrival.payload.len, arrival.headers.bth.opcode.position().ends());
    let left = reth.len - offset;
    if len > left || ends && len != left {
        return Verdict::Refused(Nak::InvalidRequest);
    }
    if immediate.is_some() && !hold_receive(core, qp) {
        return Verdict::NotReady;
    }
    // Rights may have ended since the first packet.
    let at = if planted(Bug::WriteOffsetForgotten) { 0 } else { u64::from(offset) };
    let part = Reth { address: reth.address.wrapping_add(at), len, ..reth };
    if !reach(core, qp, &part, Access::REMOTE_WRITE) {
        return Verdict::Refused(Nak::RemoteAccess);
    }
    move_bytes(mem, &core.spans, &[arrival.payload]);
    if !ends {
        set_incoming(core, qp, Some(Incoming { action: Action::Write, offset: offset + len, reth }));
        return Verdict::Done;
    }
    set_incoming(core, qp, None);
    if immediate.is_some() {
        finish(core, qp, arrival, CompletionKind::ReceiveWrite, reth.len, immediate, None);
    }
    Verdict::Done
}

/// Bytes of our memory are asked for.
fn read(core: &mut Core, qp: QpId, psn: Psn, reth: Reth) -> Verdict {
    if reth.len > core.config.limits.message_bytes {
        return Verdict::Refused(Nak::InvalidRequest);
    }
    if !reach(core, qp, &reth, Access::REMOTE_READ) {
        return Verdict::Refused(Nak::RemoteAccess);
    }
    let Some(pair) = core.pair(qp) else { return Verdict::Dropped };
    let packets = message::packets(reth.len, mtu(pair));
    let responder = &mut pair.engine.responder;
    let message_number = responder.message_number.wrapping_add(1) & MESSAGES;
    // More at once than we said we answer (9.7.4.1.8).
    if !responder.responses.read(psn, reth, message_number, Kind::Fresh) {
        return Verdict::Refused(Nak::InvalidRequest);
    }
    responder.promptness.acknowledged();
    responder.duplicates.remember(Done::Read { first: psn, packets, reth });
    responder.expected = psn.plus(packets);
    responder.message_number = message_number;
    Verdict::Answered
}

/// Eight bytes of our memory change.
fn change(core: &mut Core, mem: &mut Memory, qp: QpId, psn: Psn, atomic: &AtomicEth, task: &Task) -> Verdict {
    if !atomic.address.is_multiple_of(8) {
        return Verdict::Refused(Nak::InvalidRequest);
    }
    let reth = Reth { address: atomic.address, key: atomic.key, len: 8 };
    if !reach(core, qp, &reth, Access::REMOTE_ATOMIC) {
        return Verdict::Refused(Nak::RemoteAccess);
    }
    let Some(pair) = core.registry.qps.get_mut(qp.0) else { return Verdict::Dropped };
    let responder = &mut pair.engine.responder;
    if !responder.responses.has_room() {
        return Verdict::Refused(Nak::InvalidRequest);
    }
    let original = change_atomically(mem, &core.spans, task);
    responder.message_number = responder.message_number.wrapping_add(1) & MESSAGES;
    responder.responses.atomic(psn, original, responder.message_number, Kind::Fresh);
    responder.promptness.acknowledged();
    responder.duplicates.remember(Done::Atomic { psn, original });
    responder.expected = psn.next();
    Verdict::Answered
}

/// Finds where the peer's bytes lie; they are in `core.spans` then. Nothing is checked for no bytes (9.7.4.1.5).
pub(super) fn reach(core: &mut Core, qp: QpId, reth: &Reth, needed: Access) -> bool {
    core.spans.clear();
    let Some(pair) = core.registry.qps.get(qp.0) else { return false };
    if !pair.access.contains(needed) {
        return false;
    }
    let wanted = Sge { key: Key(reth.key), address: reth.address, len: reth.len };
    reth.len == 0 || core.registry.regions.remote(pair.init.pd, qp, wanted, needed, &mut core.spans).is_ok()
}

fn incoming(core: &mut Core, qp: QpId) -> Option<Incoming> {
    core.pair(qp)?.engine.responder.incoming
}

fn set_incoming(core: &mut Core, qp: QpId, incoming: Option<Incoming>) {
    if let Some(pair) = core.pair(qp) {
        pair.engine.responder.incoming = incoming;
    }
}

/// Takes a receive, unless one is held already (that of a lost message); false if there is none.
fn hold_receive(core: &mut Core, qp: QpId) -> bool {
    let Some(pair) = core.pair(qp) else { return false };
    if pair.engine.responder.holds_receive {
        return true;
    }
    let mut receive = core::mem::take(&mut pair.engine.responder.receive);
    let taken = core.registry.take_receive(qp, &mut receive);
    if let Some(pair) = core.pair(qp) {
        pair.engine.responder.receive = receive;
        pair.engine.responder.holds_receive = taken;
    }
    taken
}

/// The receive cannot take the message; it completes so.
fn fail_receive(core: &mut Core, qp: QpId, status: Status, nak: Nak) -> Verdict {
    let Some(pair) = core.pair(qp) else { return Verdict::Dropped };
    let transport = pair.init.transport;
    let Some(id) = pair.engine.responder.abandon() else { return Verdict::Refused(nak) };
    let done = Completion::failed(qp, id, CompletionKind::Receive, status);
    core.registry.complete(done, true, true);
    if transport == Transport::UnreliableConnection {
        core.registry.fail(qp, What::QueuePairError(qp));
        core.activate(qp);
        return Verdict::Dropped;
    }
    Verdict::Refused(nak)
}

/// The message is whole.
fn finish(
    core: &mut Core,
    qp: QpId,
    arrival: &Arrival,
    kind: CompletionKind,
    len: u32,
    immediate: Option<u32>,
    invalidated: Option<Key>,
) {
    let Some(pair) = core.pair(qp) else { return };
    debug_assert_ne!(pair.state, QpState::Error);
    let Some(id) = pair.engine.responder.abandon() else { return };
    core.counters.rdma_recvs += 1;
    let success = Completion::failed(qp, id, kind, Status::Success);
    let immediate = immediate.filter(|_| !planted(Bug::ImmediateForgotten));
    let done = Completion { len, immediate, invalidated, ..success };
    core.registry.complete(done, true, arrival.headers.bth.solicited);
}

/// Message numbers have 24 bits.
const MESSAGES: u32 = 0xff_ffff;
