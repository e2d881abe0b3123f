//! Sends acknowledgements and responses, in the order of their requests (9.7.5).

use super::requester::mtu;
use super::responder::reach;
use super::{credits, message};
use crate::engine::{Core, Engine, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use std::collections::VecDeque;
use stdx::mem::Memory;
use verbs::parts::QueuePair;
use verbs::{Access, QpId, Receives, What};
use wire::roce::{Acknowledge, Extension, Nak, Opcode, Position, Psn, Reth, Syndrome};

/// What is to be sent to the peer, in order.
#[derive(Debug, Default)]
pub(super) struct Responses {
    queue: VecDeque<(Response, Kind)>,
    /// Reads and atomics in the queue that came once, and those that came again; there may be so many of each.
    fresh: usize,
    again: usize,
    limit: usize,
}

/// Whose answer a response is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A read or atomic that came for the first time.
    Fresh,
    /// One that came again.
    Again,
    /// Neither.
    Other,
}

/// Something to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Response {
    /// Bytes of our memory, of which so many packets are sent.
    Read { first: Psn, reth: Reth, message_number: u32, sent: u32 },
    /// What an atomic found.
    Atomic { psn: Psn, original: u64, message_number: u32 },
    /// That everything up to here is done, or something is not.
    Acknowledge { psn: Psn, syndrome: Syndrome, message_number: u32 },
}

impl Responses {
    /// Answers at most `limit` reads and atomics at once.
    pub(super) fn begin(&mut self, limit: u8) {
        self.clear();
        self.limit = usize::from(limit);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        (self.fresh, self.again) = (0, 0);
    }

    /// Forgets all but what is known to be done, and says whether that is anything: a peer whose message was taken may hear so
    /// even if the queue pair takes no more.
    pub(super) fn keep_last_words(&mut self) -> bool {
        let kept = self.queue.iter().take_while(|(response, _)| response.says_little()).count();
        self.queue.truncate(kept);
        (self.fresh, self.again) = (0, 0);
        kept > 0
    }

    /// The next one. One that only says that all is well, with nothing behind it, may wait if `waits`. One with payload may
    /// be held.
    pub(super) fn next(&self, waits: bool, is_held: bool) -> Option<Response> {
        let (response, _) = *self.queue.front()?;
        if is_held && matches!(response, Response::Read { .. }) {
            return None;
        }
        (!waits || !response.says_little() || self.queue.len() > 1).then_some(response)
    }

    /// True if one more read or atomic may be answered.
    pub(super) const fn has_room(&self) -> bool {
        self.fresh < self.limit
    }

    /// A read is to be answered; false if there are too many.
    pub(super) fn read(&mut self, first: Psn, reth: Reth, message_number: u32, kind: Kind) -> bool {
        self.push_fetch(Response::Read { first, reth, message_number, sent: 0 }, kind)
    }

    /// An atomic is to be answered; false if there are too many.
    pub(super) fn atomic(&mut self, psn: Psn, original: u64, message_number: u32, kind: Kind) -> bool {
        self.push_fetch(Response::Atomic { psn, original, message_number }, kind)
    }

    /// An acknowledgement is to be sent. True if it makes the one before it needless.
    pub(super) fn acknowledge(&mut self, psn: Psn, syndrome: Syndrome, message_number: u32) -> bool {
        let fresh = (Response::Acknowledge { psn, syndrome, message_number }, Kind::Other);
        match self.queue.back_mut() {
            // An acknowledgement speaks for all before it; so does a refusal.
            Some(last) if last.0.is_acknowledged_by(psn) => {
                *last = fresh;
                true
            }
            // What was refused already is not refused twice in one breath.
            Some(last) if *last == fresh => true,
            _ => {
                if self.queue.len() < 2 * self.limit + ACKNOWLEDGEMENTS_MAX {
                    self.queue.push_back(fresh);
                }
                false
            }
        }
    }

    /// Asserts what always holds.
    pub(super) fn check(&self) {
        let count = |kind| self.queue.iter().filter(|(_, of)| *of == kind).count();
        assert_eq!((self.fresh, self.again), (count(Kind::Fresh), count(Kind::Again)));
        assert!(self.fresh <= self.limit && self.again <= self.limit);
        assert!(self.queue.len() <= 4 * self.limit + ACKNOWLEDGEMENTS_MAX);
    }

    fn push_fetch(&mut self, response: Response, kind: Kind) -> bool {
        let count = if kind == Kind::Again { &mut self.again } else { &mut self.fresh };
        if *count >= self.limit {
            return false;
        }
        *count += 1;
        // An answer says of all before it what an acknowledgement would (9.7.5.1.1).
        if kind == Kind::Fresh {
            self.queue.pop_back_if(|(last, _)| last.says_little());
        }
        self.queue.push_back((response, kind));
        true
    }

    /// Whether the next one was given before.
    fn is_again(&self) -> bool {
        self.queue.front().is_some_and(|(_, kind)| *kind == Kind::Again)
    }

    fn pop(&mut self) {
        match self.queue.pop_front() {
            Some((_, Kind::Fresh)) => self.fresh -= 1,
            Some((_, Kind::Again)) => self.again -= 1,
            Some((_, Kind::Other)) | None => {}
        }
    }
}

impl Response {
    /// It says that all is well, and nothing else.
    const fn says_little(&self) -> bool {
        matches!(self, Self::Acknowledge { syndrome: Syndrome::Ack { .. }, .. })
    }

    /// An acknowledgement of everything up to `psn` makes this needless.
    fn is_acknowledged_by(&self, later: Psn) -> bool {
        match self {
            Self::Acknowledge { psn, syndrome: Syndrome::Ack { .. }, .. } => later.since(*psn) >= 0,
            Self::Acknowledge { .. } | Self::Read { .. } | Self::Atomic { .. } => false,
        }
    }
}

/// Sends the next packet; not a lone acknowledgement if that `waits`.
pub(crate) fn poll(core: &mut Core, mem: &mut Memory, qp: QpId, waits: bool, out: &mut Transmitter) -> Sent {
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let is_held = pair.engine.held_until.is_some();
    let Some(response) = pair.engine.responder.responses.next(waits, is_held) else { return Sent::Nothing };
    let (outgoing, is_last) = match response {
        Response::Read { first, reth, message_number, sent } => {
            return send_read(core, mem, qp, first, &reth, message_number, sent, out);
        }
        Response::Atomic { psn, original, message_number } => {
            let acknowledge = Acknowledge { syndrome: good(core, pair), message_number };
            let extension = Extension::AtomicAcknowledge(acknowledge, original);
            (plain(Opcode::RcAtomicAcknowledge, psn, extension), true)
        }
        Response::Acknowledge { psn, syndrome, message_number } => {
            let syndrome = match syndrome {
                Syndrome::Ack { .. } => good(core, pair),
                Syndrome::Rnr(_) | Syndrome::Nak(_) => syndrome,
            };
            let extension = Extension::Acknowledge(Acknowledge { syndrome, message_number });
            (plain(Opcode::RcAcknowledge, psn, extension), true)
        }
    };
    let sent = core.emit(mem, qp, &outgoing, Payload::Bytes(&[]), out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        pair.engine.responder.promptness.acknowledged();
    }
    advance(core, qp, sent, is_last)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one response")]
fn send_read(
    core: &mut Core,
    mem: &mut Memory,
    qp: QpId,
    first: Psn,
    reth: &Reth,
    message_number: u32,
    sent: u32,
    out: &mut Transmitter,
) -> Sent {
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let mtu = mtu(pair);
    let count = message::packets(reth.len, mtu);
    let place = message::position(sent, count);
    let offset = sent * mtu;
    let len = mtu.min(reth.len - offset);
    let part = Reth { address: reth.address.wrapping_add(u64::from(offset)), len, ..*reth };
    if !reach(core, qp, &part, Access::REMOTE_READ) {
        // Rights ended since the request was taken.
        if let Some(pair) = core.pair(qp) {
            let responses = &mut pair.engine.responder.responses;
            // Who read the bytes has said so, and a copy of the request was late: there is nobody to answer.
            if responses.is_again() {
                responses.pop();
                return Sent::Something;
            }
            responses.clear();
            let syndrome = Syndrome::Nak(Nak::RemoteAccess);
            responses.acknowledge(first.plus(sent), syndrome, message_number);
        }
        core.registry.fail(qp, What::AccessError(qp));
        return Sent::Something;
    }
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let acknowledge = Extension::Acknowledge(Acknowledge { syndrome: good(core, pair), message_number });
    let (opcode, extension) = match place {
        Position::First => (Opcode::RcReadResponseFirst, acknowledge),
        Position::Middle => (Opcode::RcReadResponseMiddle, Extension::Plain),
        Position::Last => (Opcode::RcReadResponseLast, acknowledge),
        Position::Only => (Opcode::RcReadResponseOnly, acknowledge),
    };
    let outgoing = plain(opcode, first.plus(sent), extension);
    let spans = core::mem::take(&mut core.spans);
    let emitted = core.emit(mem, qp, &outgoing, Payload::Spans(&spans), out);
    core.spans = spans;
    advance(core, qp, emitted, place.ends())
}

/// That all is well, and how many receives there are now. Who shares them cannot tell (9.7.7.2.2).
fn good(core: &Core, pair: &QueuePair<Engine>) -> Syndrome {
    match pair.init.receives {
        Receives::Own { .. } if core.config.credits => {
            Syndrome::Ack { credits: credits::code(pair.receives.len()) }
        }
        Receives::Own { .. } | Receives::Shared(_) => Syndrome::ACK,
    }
}

fn advance(core: &mut Core, qp: QpId, sent: Sent, is_last: bool) -> Sent {
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        let responses = &mut pair.engine.responder.responses;
        if is_last {
            responses.pop();
        } else if let Some((Response::Read { sent, .. }, _)) = responses.queue.front_mut() {
            *sent += 1;
        }
    }
    sent
}

const fn plain(opcode: Opcode, psn: Psn, extension: Extension) -> Outgoing {
    Outgoing { opcode, extension, psn, solicited: false, ack_requested: false }
}

/// Acknowledgements in the queue besides one for each read and atomic.
const ACKNOWLEDGEMENTS_MAX: usize = 4;
