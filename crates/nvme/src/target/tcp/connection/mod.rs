//! One connection: bytes of a host in, bytes for it out.
//!
//! ```text
//!   Initialize --> Connecting --> Established
//!        \             \              |   a PDU that must not be: C2HTermReq is queued
//!         \             \             v
//!          +-------------+-----> Terminating       the host is to close, all it still sends is thrown away
//!                  \                  |
//!                   \                 v
//!                    +--------->    Ended          the stream is gone; commands of the target's are waited for
//! ```
//!
//! What it is not: it owns no stream and makes no call to the world but for memory; [`Server`](super::Server) moves the
//! bytes through [`stdx::stream::Session`].
//!
//! Invariants: bytes are used in the order they came, whatever they are cut into; while something is held, nothing is
//! received; after the state `Ended` nothing is queued.

mod established;
mod framer;
mod handshake;
mod outgoing;
mod slots;
mod transmit;

use super::Context;
use crate::target::{Arrival, Response};
use established::Established;
use framer::{BadHeader, Framer, Incoming, Landing, Piece};
use handshake::{Connecting, Initialize};
use outgoing::Outgoing;
use stdx::mem::Span;
use stdx::slab::Key;
use stdx::stream::Session;
use wire::nvme::tcp::{Digests, HeaderError, HeaderRules, PduLayout, PduType};

/// A host's connection, from its acceptance until nothing of it is left.
#[derive(Debug)]
pub(super) struct Connection {
    key: Key,
    arrival: Arrival,
    state: State,
    framer: Framer,
    outgoing: Outgoing,
    /// Why reading has stopped, and the bytes that came before it did.
    held: Option<Held>,
    stash: Vec<u8>,
    /// No further command is taken: the owner is shutting down.
    draining: bool,
    /// Where the bytes being received were told to land.
    receiving: ReceivingInto,
}

/// How far a connection is.
#[derive(Debug)]
enum State {
    Initialize(Initialize),
    Connecting(Connecting),
    Established(Established),
    /// With what is left of the queue, if there was one.
    Terminating(Option<Established>),
    /// The host or the target asked for the end.
    Leaving(Option<Established>),
    Ended(Option<Established>),
}

/// What a connection is doing, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// ICReq is due.
    Initializing,
    /// Connect is due.
    Connecting,
    /// It has a queue.
    Established,
    /// It is being ended.
    Ending,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReceivingInto {
    Scratch,
    Place,
}

/// What a connection waits for before it reads on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// A free slot.
    Slots,
    /// Room for so many bytes of headers.
    Headers(usize),
    /// So many bytes less read data under way.
    ReadAhead(usize),
    /// A buffer of so many bytes.
    Buffers(usize),
}

/// A PDU that could not be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    /// Not now.
    Held(Held),
    /// It ends the connection.
    Fatal(HeaderError),
}

/// A PDU was taken; this is where its data goes, if it has any.
#[derive(Debug)]
pub(crate) struct Taken(Option<Incoming>);

impl Connection {
    /// A stream was accepted.
    pub(super) fn new(key: Key, arrival: Arrival) -> Self {
        Self {
            key,
            arrival,
            state: State::Initialize(Initialize),
            framer: Framer::new(Initialize::RULES),
            outgoing: Outgoing::default(),
            held: None,
            stash: Vec::new(),
            draining: false,
            receiving: ReceivingInto::Scratch,
        }
    }

    /// How it came in.
    pub(super) const fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// What it is doing.
    pub(super) const fn phase(&self) -> Phase {
        match &self.state {
            State::Initialize(_) => Phase::Initializing,
            State::Connecting(_) => Phase::Connecting,
            State::Established(_) => Phase::Established,
            State::Terminating(_) | State::Leaving(_) | State::Ended(_) => Phase::Ending,
        }
    }

    /// The digests in use.
    pub(super) const fn digests(&self) -> Digests {
        self.outgoing.digests
    }

    /// Its queue, while it has one.
    pub(super) const fn established(&self) -> Option<&Established> {
        match &self.state {
            State::Established(established) => Some(established),
            State::Initialize(_)
            | State::Connecting(_)
            | State::Terminating(_)
            | State::Leaving(_)
            | State::Ended(_) => None,
        }
    }

    /// Bytes waiting to be sent.
    pub(super) const fn unsent(&self) -> usize {
        self.outgoing.transmit.bytes()
    }

    /// The end was asked for: the stream is to be closed.
    pub(super) const fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving(_))
    }

    /// A terminate request is on its way, and the host is to close.
    pub(super) const fn is_terminating(&self) -> bool {
        matches!(self.state, State::Terminating(_))
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        match &self.state {
            State::Ended(established) => established.as_ref().is_none_or(|left| left.executing() == 0),
            State::Initialize(_)
            | State::Connecting(_)
            | State::Established(_)
            | State::Terminating(_)
            | State::Leaving(_) => false,
        }
    }

    /// Takes no further command.
    pub(super) const fn drain(&mut self) {
        self.draining = true;
    }

    /// All commands are answered and the answers sent; a draining connection may then be closed.
    pub(super) fn is_drained(&self) -> bool {
        self.unsent() == 0 && self.established().is_none_or(|established| !established.is_busy())
    }

    /// Why nothing is read, if so.
    pub(super) const fn held(&self) -> Option<Held> {
        self.held
    }

    /// Whether what is waited for may have come.
    pub(super) fn may_resume(&self, cx: &mut Context<'_>) -> bool {
        let transmit = &self.outgoing.transmit;
        let established = self.established();
        let reserved = established.map_or(0, Established::reserved_bytes);
        match self.held {
            None => false,
            Some(Held::Slots) => established.is_none_or(Established::has_slot),
            Some(Held::Headers(bytes)) => transmit.header_room() >= reserved + bytes,
            Some(Held::ReadAhead(bytes)) => {
                let ahead = transmit.bytes() + established.map_or(0, Established::promised_bytes);
                ahead == 0 || ahead + bytes <= cx.shard.limits.read_ahead_bytes_max
            }
            Some(Held::Buffers(bytes)) => {
                let buffer = cx.env.mem().take(bytes);
                buffer.inspect(|&buffer| cx.env.mem().give(buffer)).is_some()
            }
        }
    }

    /// Goes on where it stopped.
    pub(super) fn resume(&mut self, cx: &mut Context<'_>) {
        if self.held.take().is_none() {
            return;
        }
        let bytes = cx.shard.scratch.first(self.stash.len());
        cx.env.mem().write(bytes, &self.stash);
        self.stash.clear();
        self.process(cx, bytes);
    }

    /// Whether commands wait for buffers that other connections may give back.
    pub(super) fn is_starved(&self) -> bool {
        let waiting = self.established().is_some_and(Established::is_waiting);
        waiting || matches!(self.held, Some(Held::Buffers(_)))
    }

    /// Buffers may have come back: asks the host for data that waits for them.
    pub(super) fn solicit(&mut self, cx: &mut Context<'_>) {
        if let State::Established(established) = &mut self.state {
            established.solicit(cx, &mut self.outgoing);
        }
    }

    /// The target is done with a command.
    pub(super) fn handle_response(&mut self, cx: &mut Context<'_>, response: &Response) {
        match &mut self.state {
            State::Established(established) => {
                established.handle_response(cx, &mut self.outgoing, response);
            }
            State::Terminating(Some(left)) | State::Leaving(Some(left)) | State::Ended(Some(left)) => {
                left.drop_response(cx, response);
            }
            State::Initialize(_)
            | State::Connecting(_)
            | State::Terminating(None)
            | State::Leaving(None)
            | State::Ended(None) => {
                debug_assert!(false, "a response for a connection without a queue");
            }
        }
    }

    /// Sending stops for this turn: what lies in lent memory is put aside. False if there is no memory for that.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        match self.outgoing.transmit.copy_lent(cx.env) {
            Ok(bytes) => {
                cx.shard.counters.lent_bytes_copied += bytes as u64;
                true
            }
            Err(transmit::NoBuffer) => false,
        }
    }

    /// The target wants it ended: no command is taken any more, and what is queued may still be sent.
    pub(super) fn dismiss(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.state, State::Ended(_)) {
            let left = self.give_up_queue(cx);
            self.state = State::Leaving(left);
        }
    }

    /// The stream is gone, or is to go.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        let left = self.give_up_queue(cx);
        self.state = State::Ended(left);
        self.outgoing.transmit.clear(cx.env, &mut cx.shard.blocks);
    }

    /// Gives up what the state holds, but for what the target still has.
    fn give_up_queue(&mut self, cx: &mut Context<'_>) -> Option<Established> {
        self.held = None;
        self.stash = Vec::new();
        self.framer.accept(None);
        match core::mem::replace(&mut self.state, State::Ended(None)) {
            State::Initialize(Initialize) => None,
            State::Connecting(connecting) => {
                connecting.give_up(cx);
                None
            }
            State::Established(mut established) => {
                established.give_up(cx);
                Some(established)
            }
            State::Terminating(left) | State::Leaving(left) | State::Ended(left) => left,
        }
    }

    /// Uses up bytes, PDU by PDU.
    fn process(&mut self, cx: &mut Context<'_>, mut bytes: Span) {
        loop {
            let (piece, used) = match self.framer.advance(cx.env.mem(), bytes) {
                Ok(advanced) => advanced,
                Err(bad) => return self.terminate(cx, bad),
            };
            bytes = bytes.from(used);
            match piece {
                Piece::Need => return,
                Piece::Data { owner, intact } => self.handle_landed(cx, owner, intact),
                Piece::Header(layout) => match self.handle_pdu(cx, &layout) {
                    Ok(Taken(incoming)) => self.framer.accept(incoming),
                    Err(Problem::Held(held)) => return self.hold(cx, held, bytes),
                    Err(Problem::Fatal(error)) => {
                        let len = usize::from(layout.header_len);
                        return self.terminate(cx, BadHeader { error, len });
                    }
                },
            }
            if matches!(self.state, State::Terminating(_) | State::Leaving(_) | State::Ended(_)) {
                return;
            }
        }
    }

    fn handle_pdu(&mut self, cx: &mut Context<'_>, layout: &PduLayout) -> Result<Taken, Problem> {
        if layout.kind == PduType::H2cTermReq {
            self.dismiss(cx);
            return Ok(Taken(None));
        }
        let header = self.framer.header(layout);
        match &mut self.state {
            State::Initialize(_) => {
                let answered = Initialize.handle_request(cx, &mut self.outgoing, header);
                let (connecting, rules) = answered.map_err(Problem::Fatal)?;
                self.state = State::Connecting(connecting);
                self.framer.set_rules(rules);
                Ok(Taken(None))
            }
            State::Connecting(connecting) => connecting.handle_pdu(cx, &mut self.outgoing, layout, header),
            State::Established(established) => match layout.kind {
                PduType::CapsuleCmd => established.handle_capsule(cx, &mut self.outgoing, layout, header),
                PduType::H2cData => established.handle_data(layout, header),
                PduType::IcReq
                | PduType::IcResp
                | PduType::H2cTermReq
                | PduType::C2hTermReq
                | PduType::CapsuleResp
                | PduType::C2hData
                | PduType::R2t => Err(Problem::Fatal(HeaderError::Sequence)),
            },
            State::Terminating(_) | State::Leaving(_) | State::Ended(_) => Ok(Taken(None)),
        }
    }

    fn handle_landed(&mut self, cx: &mut Context<'_>, owner: Landing, intact: bool) {
        match owner {
            Landing::Nobody => {}
            Landing::Connect => self.handle_connect_data(cx, intact),
            Landing::Slot(slot) => {
                if let State::Established(established) = &mut self.state {
                    established.handle_landed(cx, &mut self.outgoing, slot, intact);
                }
            }
        }
    }

    fn handle_connect_data(&mut self, cx: &mut Context<'_>, intact: bool) {
        let State::Connecting(connecting) = &mut self.state else { return };
        let connecting = core::mem::take(connecting);
        let connected = connecting.handle_data(cx, &mut self.outgoing, &self.arrival, self.key, intact);
        self.state = match connected {
            Ok(established) => {
                if established.queue_id() != 0 {
                    let in_capsule_max = cx.target.options().in_capsule_data_size;
                    self.framer.set_rules(HeaderRules { in_capsule_max, ..*self.framer.rules() });
                }
                State::Established(established)
            }
            Err(again) => State::Connecting(again),
        };
    }

    fn hold(&mut self, cx: &mut Context<'_>, held: Held, bytes: Span) {
        cx.shard.counters.holds += 1;
        self.stash.resize(bytes.len(), 0);
        cx.env.mem().read(bytes, &mut self.stash);
        self.held = Some(held);
    }

    /// Tells the host what it did wrong; nothing of it is listened to any more (TCP transport 3.5).
    fn terminate(&mut self, cx: &mut Context<'_>, bad: BadHeader) {
        tracing::debug!(peer = %self.arrival.peer, error = %bad.error, "terminating a connection");
        cx.shard.counters.terminated += 1;
        let offending = self.framer.offending(&bad);
        self.outgoing.terminate(cx, bad.error.fatal_error(), offending);
        let left = self.give_up_queue(cx);
        self.state = State::Terminating(left);
    }

    /// Asserts what always holds, and says how many buffers it holds, and how many bytes hosts were asked to fill.
    pub(super) fn check(&self) -> (usize, usize) {
        self.outgoing.transmit.check();
        let (slots, solicited) = match &self.state {
            State::Initialize(_) => (0, 0),
            State::Connecting(connecting) => (connecting.buffers(), 0),
            State::Established(established) => {
                established.check();
                established.buffers()
            }
            State::Terminating(left) | State::Leaving(left) | State::Ended(left) => {
                left.as_ref().map_or((0, 0), Established::buffers)
            }
        };
        assert!(self.held.is_some() || self.stash.is_empty());
        (slots + self.outgoing.transmit.buffers(), solicited)
    }
}

impl<'a> Session<Context<'a>> for Connection {
    fn receive_span(&mut self, cx: &mut Context<'a>) -> Option<Span> {
        if self.held.is_some() || self.draining {
            return None;
        }
        let place = self.framer.direct();
        self.receiving = if place.is_some() { ReceivingInto::Place } else { ReceivingInto::Scratch };
        let scratch = cx.shard.scratch;
        let expects_data = self.established().is_some_and(Established::expects_data);
        Some(place.unwrap_or(if expects_data { scratch.first(HEADERS_BYTES) } else { scratch }))
    }

    fn handle_received(&mut self, cx: &mut Context<'a>, len: usize) {
        if matches!(self.state, State::Terminating(_) | State::Leaving(_) | State::Ended(_)) {
            return;
        }
        match self.receiving {
            ReceivingInto::Scratch => self.process(cx, cx.shard.scratch.first(len)),
            ReceivingInto::Place => {
                self.framer.handle_direct(cx.env.mem(), len);
                self.process(cx, Span::EMPTY);
            }
        }
    }

    fn poll_transmit(&mut self, _cx: &mut Context<'a>, out: &mut Vec<Span>) {
        self.outgoing.transmit.poll(out);
    }

    fn handle_sent(&mut self, cx: &mut Context<'a>, len: usize) {
        self.outgoing.transmit.handle_sent(cx.env, &mut cx.shard.blocks, len);
    }
}

/// How much is received at once while much data is expected, in bytes: little, so that most of it comes by receives of
/// its own, right to its place.
const HEADERS_BYTES: usize = 4096;
