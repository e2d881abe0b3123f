//! What a stream has to send: frames of bytes, and memory that was lent for it, in the order of the stream, until they are not
//! needed any more.
//!
//! Bytes are put behind those of the last frame until it is full, or some of it went out: then the room before its bytes is a
//! header's, which stays as it is until the message has arrived. A frame is full when it holds a message, so a message that does
//! not begin with a frame lies in two of them at most.

use super::frames::{self, Frames};
use super::keys::{Keys, Opening};
use crate::Piece;
use std::collections::VecDeque;
use stdx::mem::{Memory, Span};
use verbs::Device;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    /// Where in the stream the next byte goes.
    end: u64,
}

/// Bytes side by side.
#[derive(Clone, Copy, Debug)]
struct Frame {
    memory: Span,
    /// Where in the stream they begin.
    at: u64,
    len: u32,
    /// No more are put behind them.
    is_closed: bool,
    /// The memory is not a frame, but somebody's who has it back when it is not needed any more.
    lender: Option<Lender>,
}

/// Whose memory is lent.
#[derive(Clone, Copy, Debug)]
struct Lender {
    /// The owner's name for it.
    name: u64,
    /// What opens it to the peer.
    opening: Opening,
}

impl Outbox {
    /// Puts as many of the bytes behind the others as one frame of `room` bytes takes; `None` if there is no frame for them.
    pub(super) fn push(
        &mut self,
        mem: &mut Memory,
        pool: &mut Frames,
        bytes: &[u8],
        room: u32,
        frames_max: usize,
    ) -> Option<usize> {
        if self.frames.back().is_none_or(|last| last.is_closed || last.len >= room) {
            if self.frames.len() >= frames_max {
                return None;
            }
            let memory = pool.take()?;
            self.frames.push_back(Frame { memory, at: self.end, len: 0, is_closed: false, lender: None });
        }
        let last = self.frames.back_mut()?;
        let body = frames::body(last.memory).from(last.len as usize);
        let len = bytes.len().min((room - last.len) as usize).min(body.len());
        if len >= LONG {
            mem.write_past_cache(body.first(len), &bytes[..len]);
        } else {
            mem.write(body.first(len), &bytes[..len]);
        }
        last.len += len as u32;
        last.is_closed |= last.len >= room;
        self.end += len as u64;
        Some(len)
    }

    /// Puts bytes that lie elsewhere behind the others.
    pub(super) fn lend(&mut self, memory: Span, name: u64, opening: Opening) {
        if let Some(last) = self.frames.back_mut() {
            last.is_closed = true;
        }
        let (at, len) = (self.end, memory.len);
        let lender = Some(Lender { name, opening });
        self.frames.push_back(Frame { memory, at, len, is_closed: true, lender });
        self.end += u64::from(len);
    }

    /// Memory that is lent under a key, and what opens it.
    pub(super) fn lent(&mut self, key: u32) -> Option<(Span, &mut Opening)> {
        let frame =
            self.frames.iter_mut().find(|it| it.lender.as_ref().is_some_and(|it| it.opening.key.0 == key))?;
        frame.lender.as_mut().map(|lender| (frame.memory, &mut lender.opening))
    }

    /// How many frames there are.
    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Whether bytes can be put behind those of the last frame.
    pub(super) fn is_open(&self) -> bool {
        self.frames.back().is_some_and(|last| !last.is_closed)
    }

    /// The frame that a piece of the stream lies in from its first byte on, if no byte of it was sent with another header. No
    /// more bytes are put there.
    pub(super) fn whole(&mut self, piece: Piece) -> Option<Span> {
        let place = self.place(piece.at)?;
        let frame = self.frames.get_mut(place)?;
        frame.is_closed = true;
        let is_whole = frame.lender.is_none() && frame.at == piece.at && piece.len <= frame.len;
        is_whole.then_some(frame.memory)
    }

    /// Where the bytes of a piece lie, in order.
    pub(super) fn spans(&self, piece: Piece) -> impl Iterator<Item = Span> + '_ {
        let end = piece.at + u64::from(piece.len);
        let first = self.place(piece.at).unwrap_or(self.frames.len());
        let frames = self.frames.iter().skip(first).take_while(move |frame| frame.at < end);
        frames.map(move |frame| {
            let start = piece.at.max(frame.at) - frame.at;
            let stop = (end - frame.at).min(frame.len.into());
            frame.bytes().slice(start as usize, (stop - start) as usize)
        })
    }

    /// No more bytes are put into the frames of a piece.
    pub(super) fn close_through(&mut self, piece: Piece) {
        let end = piece.at + u64::from(piece.len);
        for frame in self.frames.iter_mut().rev().filter(|frame| frame.at < end) {
            if core::mem::replace(&mut frame.is_closed, true) {
                return;
            }
        }
    }

    /// Bytes before this place are not needed any more; true if a frame is free again. Memory that is lent is closed to the peer
    /// before its owner has it back.
    pub(super) fn release(
        &mut self,
        device: &mut dyn Device,
        keys: &mut Keys,
        pool: &mut Frames,
        until: u64,
    ) -> bool {
        let before = self.frames.len();
        while let Some(frame) = self.frames.front()
            && frame.is_closed
            && frame.at + u64::from(frame.len) <= until
            && frame.lender.is_none_or(|lender| keys.close(device, lender.opening))
        {
            frame.give(pool);
            self.frames.pop_front();
        }
        self.frames.len() < before
    }

    /// Gives all frames back, when there is no queue pair any more.
    pub(super) fn clear(&mut self, device: &mut dyn Device, keys: &mut Keys, pool: &mut Frames) {
        for frame in self.frames.drain(..) {
            if let Some(lender) = frame.lender {
                keys.end(device, lender.opening);
            }
            frame.give(pool);
        }
    }

    pub(super) fn check(&self) {
        let next = self.frames.iter().skip(1).map(|frame| frame.at).chain([self.end]);
        for (frame, next) in self.frames.iter().zip(next) {
            assert_eq!(frame.at + u64::from(frame.len), next, "frames follow each other");
        }
    }

    /// The frame that has the byte at this place.
    fn place(&self, at: u64) -> Option<usize> {
        let after = self.frames.partition_point(|frame| frame.at <= at);
        let place = after.checked_sub(1)?;
        self.frames.get(place).filter(|frame| at < frame.at + u64::from(frame.len)).map(|_| place)
    }
}

impl Frame {
    /// Where the bytes lie.
    fn bytes(&self) -> Span {
        if self.lender.is_some() { self.memory } else { frames::body(self.memory) }
    }

    /// Gives the memory back to whose it is.
    fn give(&self, pool: &mut Frames) {
        match self.lender {
            Some(lender) => pool.give_lent(lender.name),
            None => pool.give(self.memory),
        }
    }
}

/// So many bytes go past the cache: another processor reads them, and what it read last need not be fetched back from it first.
/// Where two processors shared no cache a stream went from 2.2 to 9.2 GB/s by that, and lost nothing where they shared one.
const LONG: usize = 16 << 10;
