//! Why a connection stops reading, and how it goes on. Nothing is ever refused for want of room: what has come is kept, no
//! more is taken, and the host's stream fills up behind it.

use super::super::Context;
use super::established::Established;
use super::framer::Incoming;
use super::{Connection, State};
use stdx::mem::Span;
use wire::nvme::tcp::HeaderError;

/// What a connection waits for before it reads on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// A free slot.
    Slots,
    /// Room for so many bytes of headers.
    Headers(usize),
    /// That no more than so many bytes of read data are under way.
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
pub(crate) struct Taken(pub Option<Incoming>);

impl Connection {
    /// Why nothing is read, if so.
    pub(crate) const fn held(&self) -> Option<Held> {
        self.held
    }

    /// Whether what is waited for may have come.
    pub(crate) fn may_resume(&self, cx: &mut Context<'_>) -> bool {
        let transmit = &self.outgoing.transmit;
        let established = self.established();
        let reserved = established.map_or(0, Established::reserved_bytes);
        match self.held {
            None => false,
            Some(Held::Slots) => established.is_none_or(Established::has_slot),
            Some(Held::Headers(bytes)) => transmit.header_room() >= reserved + bytes,
            Some(Held::ReadAhead(bytes)) => {
                transmit.bytes() + established.map_or(0, Established::promised_bytes) <= bytes
            }
            Some(Held::Buffers(bytes)) => {
                let buffer = cx.env.mem().take(bytes);
                buffer.inspect(|&buffer| cx.env.mem().give(buffer)).is_some()
            }
        }
    }

    /// Goes on where it stopped.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>) {
        if self.held.take().is_none() {
            return;
        }
        let bytes = cx.shard.scratch.first(self.stash.len());
        cx.env.mem().write(bytes, &self.stash);
        self.stash.clear();
        self.stash.shrink_to(STASH_BYTES_KEPT);
        self.process(cx, bytes);
    }

    /// Whether commands wait for buffers that other connections may give back.
    pub(crate) fn is_starved(&self) -> bool {
        let waiting = self.established().is_some_and(Established::is_waiting);
        waiting || matches!(self.held, Some(Held::Buffers(_)))
    }

    /// Buffers may have come back: asks the host for data that waits for them.
    pub(crate) fn solicit(&mut self, cx: &mut Context<'_>) {
        if let State::Established(established) = &mut self.state {
            established.solicit(cx, &mut self.outgoing);
        }
    }

    /// Stops reading; the bytes that have come already are kept.
    pub(crate) fn hold(&mut self, cx: &mut Context<'_>, held: Held, bytes: Span) {
        cx.shard.counters.holds += 1;
        self.stash.resize(bytes.len(), 0);
        cx.env.mem().read(bytes, &mut self.stash);
        self.held = Some(held);
    }
}

/// Room a connection keeps for the next time it is held, in bytes: that of some fifty commands without data.
const STASH_BYTES_KEPT: usize = 4096;
