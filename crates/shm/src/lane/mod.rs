//! What a queue pair whose peer is a neighbour needs: its side of both directions.
//!
//! ```text
//! Network <--- nobody there --- Undecided --- linked, or a record came ---> Local
//! ```
//!
//! Requests are numbered from the packet number that both ends agreed on, one number a request. They are done in order; a
//! request that cannot be done now is refused, and it and all after it are sent again. Nothing is ever lost, so nothing else
//! is sent twice. The peer's number of the next request rides on every record that goes back.

mod completer;
pub(crate) mod datagram;
mod requester;
mod responder;
mod serve;

pub(crate) use completer::{acknowledge, answer, refuse};
pub(crate) use responder::handle as handle_request;
pub(crate) use serve::serve;

use crate::record::{Reason, Record};
use requester::Requester;
use responder::Responder;
use stdx::slab::Key;
use stdx::time::Time;
use verbs::parts::QueuePair;

/// What a provider's queue pair has, so that its peer may be a neighbour.
pub trait HasLane: Default {
    /// The queue pair's lane.
    fn lane(&self) -> &Lane;
    /// The same, to be changed.
    fn lane_mut(&mut self) -> &mut Lane;
}

/// The state of both directions.
#[derive(Debug, Default)]
pub struct Lane {
    pub(crate) path: Path,
    /// It stands in the line of those who wait for room.
    pub(crate) is_stalled: bool,
    pub(crate) requester: Requester,
    pub(crate) responder: Responder,
}

/// How the peer is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Path {
    /// As ever.
    #[default]
    Network,
    /// That is being found out.
    Undecided,
    /// Over this link.
    Local(Key),
}

impl Lane {
    /// True if the queue pair's packets go over the network.
    pub fn is_network(&self) -> bool {
        self.path == Path::Network
    }

    /// True if the queue pair's peer is a neighbour, as far as is known.
    pub const fn is_local(&self) -> bool {
        matches!(self.path, Path::Local(_))
    }

    /// The queue pair sends from now on; `number` is its first packet's.
    pub fn begin(&mut self, number: u32) {
        self.requester = Requester::beginning(number);
    }

    /// When a refused request is tried again.
    pub fn retry_at(&self) -> Option<Time> {
        self.requester.retry_at
    }

    /// Asserts what always holds; `sends` are queued.
    pub fn check(&self, sends: usize) {
        self.requester.check(sends);
        self.responder.check();
    }
}

/// The peer's side, beginning with a number.
pub(crate) fn beginning(number: u32) -> Responder {
    Responder::beginning(number)
}

/// A refusal of what a queue pair that answers no more was asked for.
pub(crate) const fn not_ready(destination: u32, source: u32, number: u32) -> Record {
    let mut refusal = Record::new(crate::record::Opcode::Refuse, destination, source, number);
    refusal.immediate = Reason::NotReady as u32;
    refusal.acknowledged = number;
    refusal
}

/// A refusal of a request that no queue pair takes. One that takes no more may not have told yet that it refused a request
/// before this, so that what it did is acknowledged and nothing else; of one that is gone nothing is known.
pub(crate) fn refusal<E: HasLane>(record: &Record, pair: Option<&QueuePair<E>>) -> Record {
    let mut refusal = not_ready(record.source, record.destination, record.number);
    refusal.acknowledged = match pair {
        Some(pair) => pair.engine.lane().responder.expected,
        None => record.number.wrapping_add(FAR),
    };
    refusal
}

/// So far ahead nothing was sent, and what is acknowledged there is ignored.
const FAR: u32 = 1 << 31;
