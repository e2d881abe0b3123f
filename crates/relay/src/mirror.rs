//! One connection, as its memory has it here and frames tell it: what the program here says in its memory goes out as frames, and frames
//! that come are said in that memory. No sockets, no time.
//!
//! ```text
//!   program writes ---> ring ---> taken ---> Bytes ............ waiting ---> ring ---> program reads
//!                        ^                                                              |
//!                        '--- given back <--- Read .....................................'
//! ```
//!
//! Invariants: bytes that the program there has not read stay in the ring here; no more than [`WINDOW`] of them are under way, so what
//! waits for room in the ring there has a limit, and frames never wait for a program; what is said of an end is said after
//! the bytes before it.

use crate::frame::{BYTES_MAX, Frame};
use carrier::{Broken, End, Reader, Shared, Span, Writer};
use std::collections::VecDeque;
use thiserror::Error;

/// Memory that is shared with a program.
pub(crate) trait Memory {
    /// Its words.
    fn words(&self) -> &Shared;
    /// Copies bytes out.
    fn read(&self, from: Span, into: &mut [u8]);
    /// Copies bytes in.
    fn write(&self, to: Span, from: &[u8]);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// The end that we are to the program here: its peer's.
    end: End,
    outward: Outward,
    inward: Inward,
}

/// What the program here writes.
#[derive(Debug, Default)]
struct Outward {
    has_begun: bool,
    /// Bytes that went out.
    taken: u64,
    /// Bytes that were read there.
    given_back: u64,
    /// Nothing more goes out, because nothing more was to, or nobody reads.
    is_over: bool,
}

/// What comes for it.
#[derive(Debug, Default)]
struct Inward {
    has_begun: bool,
    /// Bytes for which the ring had no room.
    waiting: VecDeque<u8>,
    /// Bytes that were put into the ring.
    put: u64,
    /// Bytes that were told to be read here.
    told: u64,
    /// It was told that nothing more is read here.
    is_close_told: bool,
    /// The end was said, and is due when all bytes are in the ring.
    is_ending: bool,
    is_ended: bool,
    /// The program there is gone.
    is_gone: bool,
}

/// Why a connection cannot be carried on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum Violation {
    /// The program here says what cannot be.
    #[error("the program: {0}")]
    Program(#[from] Broken),
    /// The relay there does.
    #[error("the other relay says what cannot be")]
    Peer,
}

impl Mirror {
    /// Of a connection of which the program here has one end.
    pub(crate) fn new(program: End) -> Mirror {
        Mirror { end: program.other(), outward: Outward::default(), inward: Inward::default() }
    }

    /// Takes a frame; true if the program is to be woken.
    pub(crate) fn handle(&mut self, memory: &impl Memory, frame: Frame<'_>) -> Result<bool, Violation> {
        if self.inward.is_gone {
            return Err(Violation::Peer);
        }
        match frame {
            Frame::Begin(place) if !self.inward.has_begun => {
                self.inward.has_begun = true;
                self.writer(memory).begin(place);
                Ok(true)
            }
            Frame::Bytes(bytes) if self.may_come(bytes.len()) => {
                self.inward.waiting.extend(bytes);
                Ok(false)
            }
            Frame::Read(count) if (self.outward.given_back..=self.outward.taken).contains(&count) => {
                self.outward.given_back = count;
                Ok(memory.words().reader(self.end, count).publish().map_err(|_| Broken)?)
            }
            Frame::End if !self.inward.is_ending => {
                self.inward.is_ending = true;
                Ok(false)
            }
            Frame::Closed => {
                self.outward.is_over = true;
                Ok(self.reader(memory).close())
            }
            Frame::HandedOver => {
                self.outward.is_over = true;
                self.reader(memory).hand_over();
                Ok(true)
            }
            Frame::Gone => {
                self.inward.is_gone = true;
                Ok(false)
            }
            Frame::Begin(_) | Frame::Bytes(_) | Frame::Read(_) | Frame::End => Err(Violation::Peer),
        }
    }

    /// May so many bytes more come?
    fn may_come(&self, len: usize) -> bool {
        let under_way = self.inward.put - self.inward.told + self.inward.waiting.len() as u64;
        self.inward.has_begun && !self.inward.is_ending && under_way + len as u64 <= WINDOW
    }

    /// Puts what waits into the ring, as much as there is room for; true if the program is to be woken.
    pub(crate) fn settle(&mut self, memory: &impl Memory) -> Result<bool, Violation> {
        let mut wakes = false;
        let mut writer = self.writer(memory);
        writer.check()?;
        let is_closed = writer.is_closed();
        if is_closed {
            // What nobody reads here is sent again by TCP if somebody reads it there.
            self.inward.waiting.clear();
        }
        while !self.inward.waiting.is_empty() {
            let span = writer.free(self.inward.waiting.len());
            if span.len == 0 && writer.grow() {
                continue;
            }
            let (piece, _) = self.inward.waiting.as_slices();
            let len = span.len.min(piece.len());
            if len == 0 {
                break;
            }
            memory.write(Span { len, ..span }, &piece[..len]);
            writer.advance(len);
            wakes |= writer.publish();
            self.inward.waiting.drain(..len);
        }
        self.inward.put = writer.place();
        if self.inward.is_ending && !self.inward.is_ended && self.inward.waiting.is_empty() {
            self.inward.is_ended = true;
            wakes |= writer.end();
        }
        Ok(wakes)
    }

    /// Puts frames of what the program has said behind others, as long as these are no more than `limit` bytes.
    pub(crate) fn poll_transmit(
        &mut self,
        memory: &impl Memory,
        into: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.tell_read(memory, into)?;
        if !self.outward.has_begun
            && let Some(place) = self.reader(memory).begins()
        {
            self.outward.has_begun = true;
            Frame::Begin(place).put(into);
        }
        if self.outward.has_begun && !self.outward.is_over {
            self.tell_bytes(memory, into, limit)?;
        }
        Ok(())
    }

    /// What the program has read, and that it reads no more.
    fn tell_read(&mut self, memory: &impl Memory, into: &mut Vec<u8>) -> Result<(), Violation> {
        // What was read before it was closed is seen by a later look.
        let look = self.writer(memory);
        let (is_closed, is_handed_over) = (look.is_closed(), look.is_handed_over());
        let writer = self.writer(memory);
        writer.check()?;
        if self.inward.is_close_told {
            return Ok(());
        }
        let read = writer.read();
        if read != self.inward.told {
            if !(self.inward.told..=self.inward.put).contains(&read) {
                return Err(Violation::Program(Broken));
            }
            self.inward.told = read;
            Frame::Read(read).put(into);
        }
        if is_closed {
            self.inward.is_close_told = true;
            if is_handed_over { Frame::HandedOver } else { Frame::Closed }.put(into);
        }
        Ok(())
    }

    /// Bytes that the program has written, and that it writes no more.
    fn tell_bytes(
        &mut self,
        memory: &impl Memory,
        into: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        // What was written before the end was said is seen by a later look.
        let is_ended = self.reader(memory).is_ended();
        let mut reader = self.reader(memory);
        reader.check()?;
        let mut bytes = [0; BYTES_MAX];
        while into.len() < limit {
            let window = WINDOW - (self.outward.taken - self.outward.given_back);
            let span = reader.filled(BYTES_MAX.min(window as usize));
            if span.len == 0 {
                break;
            }
            memory.read(span, &mut bytes[..span.len]);
            Frame::Bytes(&bytes[..span.len]).put(into);
            reader.advance(span.len);
            self.outward.taken = reader.place();
        }
        if is_ended && reader.unread() == 0 {
            self.outward.is_over = true;
            Frame::End.put(into);
        }
        Ok(())
    }

    /// Whether all that a program that is gone has written went out.
    pub(crate) fn is_drained(&self, memory: &impl Memory) -> bool {
        let reader = self.reader(memory);
        self.outward.is_over || reader.begins().is_none() || reader.unread() == 0
    }

    /// Bytes that wait for room in the ring.
    pub(crate) fn waiting(&self) -> usize {
        self.inward.waiting.len()
    }

    /// Whether the program there is gone, and all that it wrote is in the ring.
    pub(crate) fn is_gone(&self) -> bool {
        self.inward.is_gone && self.waiting() == 0
    }

    /// The program here is to ring when there is anything new. It has to be looked for once more after.
    pub(crate) fn rest(&self, memory: &impl Memory) {
        if !self.outward.is_over {
            self.reader(memory).sleep();
        }
        if !self.inward.is_close_told {
            self.writer(memory).sleep();
        }
    }

    /// A look at what the program has written.
    fn reader<'a>(&self, memory: &'a impl Memory) -> Reader<'a> {
        memory.words().reader(self.end, self.outward.taken)
    }

    /// A look at what it has read.
    fn writer<'a>(&self, memory: &'a impl Memory) -> Writer<'a> {
        memory.words().writer(self.end, self.inward.put)
    }
}

/// Bytes of a direction that are under way, or lie unread in the ring of who reads them.
pub(crate) const WINDOW: u64 = 256 << 10;

#[cfg(test)]
mod tests;
