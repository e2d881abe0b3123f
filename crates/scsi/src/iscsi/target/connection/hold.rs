//! Why a connection stops reading, and how it goes on. What has come is kept, no more is taken, and the initiator's stream
//! fills up behind it.

use super::super::Context;
use super::Connection;
use super::framer::Incoming;
use stdx::mem::Span;
use wire::iscsi::HeaderError;

/// What a connection waits for before it reads on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Held {
    /// That less waits to be said.
    Backlog,
    /// A buffer of so many bytes.
    Buffers(usize),
    /// That nothing of the session it takes the place of is still being done.
    Predecessor,
}

/// A PDU that could not be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Problem {
    /// Not now.
    Held(Held),
    /// Its header ends the connection.
    Header(HeaderError),
    /// What it says breaks the rules of the session, which ends.
    Protocol(&'static str),
}

/// A PDU was taken; this is where its data goes, if it has any.
#[derive(Debug)]
pub(super) struct Taken(pub Option<Incoming>);

impl Connection {
    /// Why nothing is read, if so.
    pub(in super::super) const fn held(&self) -> Option<Held> {
        self.held
    }

    /// Whether it waits for what others may give back or end. What it says itself makes room as its stream takes it.
    pub(in super::super) fn is_starved(&self, cx: &Context<'_>) -> bool {
        self.is_waiting(cx) || matches!(self.held, Some(Held::Buffers(_) | Held::Predecessor))
    }

    /// Whether what is waited for may have come.
    pub(in super::super) fn may_resume(&self, cx: &mut Context<'_>) -> bool {
        match self.held {
            None => false,
            Some(Held::Backlog) => self.outgoing.backlog() < cx.shard.limits.backlog_max,
            Some(Held::Predecessor) => !cx.awaits_predecessor(self.session),
            Some(Held::Buffers(bytes)) => {
                let buffer = cx.env.mem().take(bytes);
                buffer.inspect(|&buffer| cx.env.mem().give(buffer)).is_some()
            }
        }
    }

    /// Goes on where it stopped.
    pub(in super::super) fn resume(&mut self, cx: &mut Context<'_>) {
        if self.held.take().is_none() {
            return;
        }
        let bytes = cx.shard.scratch.first(self.stash.len());
        cx.env.mem().write(bytes, &self.stash);
        self.stash.clear();
        self.stash.shrink_to(STASH_BYTES_KEPT);
        match self.rdma {
            Some(_) => self.process_message(cx, bytes),
            None => self.process(cx, bytes),
        }
    }

    /// Stops reading; the bytes that have come already are kept.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>, held: Held, bytes: Span) {
        cx.shard.counters.holds += 1;
        self.stash.resize(bytes.len(), 0);
        cx.env.mem().read(bytes, &mut self.stash);
        self.held = Some(held);
    }
}

/// Room a connection keeps for the next time it is held, in bytes.
const STASH_BYTES_KEPT: usize = 4096;
