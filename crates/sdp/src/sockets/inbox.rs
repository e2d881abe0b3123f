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
}

impl Inbox {
    /// Bytes behind the others.
    pub(super) fn push(&mut self, bytes: Span, held: Held) {
        if let Held::Buffer(buffer) = held {
            self.buffered += u64::from(buffer.len);
        }
        self.len += u64::from(bytes.len);
        self.pieces.push_back(Piece { bytes, held });
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
    }
}
