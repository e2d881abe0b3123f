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
mod hold;
mod outgoing;
mod receive;
mod slots;

use super::Context;
use crate::target::{Arrival, Response};
use established::Established;
use framer::Framer;
use handshake::{Connecting, Initialize};
use hold::Held;
use outgoing::Outgoing;
use receive::ReceivingInto;
use stdx::gather::NoBuffer;
use stdx::slab::Key;
use wire::nvme::tcp::Digests;

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
        match self.outgoing.transmit.copy_lent(cx.env.mem()) {
            Ok(bytes) => {
                cx.shard.counters.lent_bytes_copied += bytes as u64;
                true
            }
            Err(NoBuffer) => false,
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
        self.outgoing.transmit.clear(cx.env.mem(), &mut cx.shard.blocks);
    }

    /// Gives up what the state holds, but for what the target still has.
    fn give_up_queue(&mut self, cx: &mut Context<'_>) -> Option<Established> {
        self.held = None;
        self.stash = Vec::new();
        self.framer.accept(None);
        match core::mem::replace(&mut self.state, State::Ended(None)) {
            State::Initialize(Initialize) => None,
            State::Connecting(connecting) => {
                connecting.give_up(cx, self.key);
                None
            }
            State::Established(mut established) => {
                established.give_up(cx);
                Some(established)
            }
            State::Terminating(left) | State::Leaving(left) | State::Ended(left) => left,
        }
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
