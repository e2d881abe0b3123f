//! What a stream has received and its owner has not read: pieces of messages and of buffers, in the order of the stream.

use std::collections::VecDeque;
use stdx::mem::{Memory, Span};
use stdx::slab::Key;
use verbs::endpoint::Received;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pieces: VecDeque<Piece>,
    /// Bytes in all.
    len: u64,
    /// Bytes in buffers.
    buffered: u64,
    /// Pieces that do not lie where they belong.
    loose: usize,
    /// Bytes that were read.
    taken: u64,
    /// The byte that is urgent, if it was not taken.
    urgent: Option<u8>,
    /// Where in the stream it was.
    urgent_at: Option<u64>,
}

/// Bytes, and what they lie in.
#[derive(Clone, Copy, Debug)]
struct Piece {
    bytes: Span,
    held: Held,
}

/// What is given back once bytes are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// A receive, and the connection that it came over.
    Message(Received, Key),
    /// A buffer of the environment's.
    Buffer(Span),
    /// Memory of the stream's owner, by the owner's name: where the bytes belong.
    Placed(u64),
}

impl Inbox {
    /// Bytes behind the others.
    pub(super) fn push(&mut self, bytes: Span, held: Held) {
        if let Held::Buffer(buffer) = held {
            self.buffered += u64::from(buffer.len);
        }
        self.loose += usize::from(!matches!(held, Held::Placed(_)));
        self.len += u64::from(bytes.len);
        self.pieces.push_back(Piece { bytes, held });
    }

    /// Whether everything lies where its reader wants it.
    pub(super) const fn is_all_placed(&self) -> bool {
        self.loose == 0
    }

    /// What is first, if it lies exactly from here on and its reader can have all of it at once: how much, and whose memory it is.
    pub(super) fn take_placed(&mut self, memory: Span) -> Option<(usize, Held)> {
        let piece = *self.pieces.front()?;
        let Held::Placed(_) = piece.held else { return None };
        let (len, starts) = (piece.bytes.len(), (piece.bytes.region, piece.bytes.offset));
        let is_whole = starts == (memory.region, memory.offset) && len <= memory.len();
        if !is_whole || self.before_mark(len) < len {
            return None;
        }
        self.skip(len).map(|held| (len, held))
    }

    /// Whether bytes lie in this memory from its start on, as they came.
    pub(super) fn has_placed(&self, memory: Span) -> bool {
        let start = (memory.region, memory.offset);
        let is_there = |piece: &Piece| (piece.bytes.region, piece.bytes.offset) == start;
        self.pieces.iter().any(|piece| is_there(piece) && matches!(piece.held, Held::Placed(_)))
    }

    /// Whether bytes lie in this memory.
    pub(super) fn is_used(&self, memory: Span) -> bool {
        self.pieces.iter().any(|piece| piece.is_in(memory))
    }

    /// Whether bytes that are not first lie in this memory.
    pub(super) fn is_used_later(&self, memory: Span) -> bool {
        self.pieces.iter().skip(1).any(|piece| piece.is_in(memory))
    }

    /// Moves the first bytes, which may lie in that memory themselves, as far as one piece goes: how many, and what is free then.
    pub(super) fn take_into(&mut self, mem: &mut Memory, into: Span) -> (usize, Option<Held>) {
        let Some(piece) = self.pieces.front().copied() else { return (0, None) };
        let len = self.before_mark(piece.bytes.len().min(into.len()));
        mem.copy(into, piece.bytes.first(len));
        (len, self.skip(len))
    }

    /// An urgent byte, behind the others but apart from them.
    pub(super) fn push_urgent(&mut self, byte: u8) {
        self.urgent = Some(byte);
        self.urgent_at = Some(self.taken + self.len);
    }

    /// Takes the urgent byte.
    pub(super) const fn take_urgent(&mut self) -> Option<u8> {
        self.urgent.take()
    }

    /// Whether the urgent byte came and was not taken.
    pub(super) const fn has_urgent(&self) -> bool {
        self.urgent.is_some()
    }

    /// Whether what is read next was sent behind the urgent byte, as the last one came.
    pub(super) fn is_at_mark(&self) -> bool {
        self.urgent_at == Some(self.taken)
    }

    /// Bytes that can be read.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of buffers that are held.
    pub(super) const fn buffered(&self) -> u64 {
        self.buffered
    }

    /// Copies the first bytes, and leaves them.
    pub(super) fn peek(&self, mem: &Memory, into: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in &self.pieces {
            let len = piece.bytes.len().min(into.len() - done);
            mem.read(piece.bytes.first(len), &mut into[done..done + len]);
            done += len;
        }
        self.before_mark(done)
    }

    /// Copies the first bytes out, as far as one piece goes: how many, and what is free then. Reading stops before the place of
    /// an urgent byte, so that it can be found.
    pub(super) fn take(&mut self, mem: &Memory, into: &mut [u8]) -> (usize, Option<Held>) {
        let Some(piece) = self.pieces.front().copied() else { return (0, None) };
        let len = self.before_mark(piece.bytes.len().min(into.len()));
        mem.read(piece.bytes.first(len), &mut into[..len]);
        (len, self.skip(len))
    }

    /// Forgets everything, piece by piece: what is free then.
    pub(super) fn pop(&mut self) -> Option<Held> {
        let len = self.pieces.front()?.bytes.len();
        self.skip(len)
    }

    /// Passes over bytes of the first piece.
    fn skip(&mut self, len: usize) -> Option<Held> {
        let piece = self.pieces.front_mut()?;
        self.taken += len as u64;
        self.len -= len as u64;
        if len < piece.bytes.len() {
            piece.bytes = piece.bytes.from(len);
            return None;
        }
        let held = piece.held;
        if let Held::Buffer(buffer) = held {
            self.buffered -= u64::from(buffer.len);
        }
        self.loose -= usize::from(!matches!(held, Held::Placed(_)));
        self.pieces.pop_front();
        Some(held)
    }

    /// Of so many bytes, those before the urgent byte's place, unless reading begins there.
    fn before_mark(&self, len: usize) -> usize {
        match self.urgent_at {
            Some(at) if at > self.taken => len.min((at - self.taken) as usize),
            _ => len,
        }
    }

    pub(super) fn check(&self) {
        assert_eq!(self.len, self.pieces.iter().map(|piece| u64::from(piece.bytes.len)).sum::<u64>());
        let is_loose = |piece: &&Piece| !matches!(piece.held, Held::Placed(_));
        assert_eq!(self.loose, self.pieces.iter().filter(is_loose).count());
        assert!(
            self.pieces.iter().skip_while(|piece| !is_loose(piece)).all(|piece| is_loose(&piece)),
            "what lies where it belongs is read first"
        );
    }
}

impl Piece {
    /// Whether it lies, at least in part, in this memory of the stream's owner.
    fn is_in(&self, memory: Span) -> bool {
        matches!(self.held, Held::Placed(_)) && overlap(self.bytes, memory)
    }
}

/// Whether two pieces of memory have bytes in common.
pub(super) fn overlap(one: Span, other: Span) -> bool {
    one.region == other.region
        && one.offset < other.offset + u64::from(other.len)
        && other.offset < one.offset + u64::from(one.len)
}
