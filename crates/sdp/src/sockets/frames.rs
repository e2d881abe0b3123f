//! Frames: memory in which bytes wait to be sent, each as much as one message holds, with room for its header before them.
//!
//! A message whose header and bytes lie side by side is one piece, which a neighbour copies once from where it lies. Frames
//! that were lately used are used again first.

use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::{Kind, OutOfMemory, RegionId, Span};

/// Frames of all streams.
#[derive(Debug)]
pub(super) struct Frames {
    region: RegionId,
    len: u32,
    count: u32,
    /// Frames that were ever used.
    made: u32,
    free: Vec<u32>,
    /// Names of memory of streams' owners that is not needed any more.
    returned: VecDeque<u64>,
}

impl Frames {
    /// At most `count` frames for `len` bytes of a stream each.
    pub(super) fn new(env: &mut dyn Env, count: u32, len: u32) -> Result<Self, OutOfMemory> {
        let len = HEAD_ROOM + len.next_multiple_of(LINE);
        let region = env.mem().map(Kind::Published, u64::from(count) * u64::from(len))?;
        Ok(Self { region, len, count, made: 0, free: Vec::new(), returned: VecDeque::new() })
    }

    /// A frame nobody uses.
    pub(super) fn take(&mut self) -> Option<Span> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.made < self.count => {
                self.made += 1;
                self.made - 1
            }
            None => return None,
        };
        Some(Span { region: self.region, len: self.len, offset: u64::from(index) * u64::from(self.len) })
    }

    /// Gives a frame back.
    pub(super) fn give(&mut self, frame: Span) {
        debug_assert_eq!((frame.region, frame.len), (self.region, self.len));
        self.free.push((frame.offset / u64::from(self.len)) as u32);
    }

    /// Memory of a stream's owner is not needed any more.
    pub(super) fn give_lent(&mut self, name: u64) {
        self.returned.push_back(name);
    }

    /// The next name of memory that is not needed any more.
    pub(super) fn poll_returned(&mut self) -> Option<u64> {
        self.returned.pop_front()
    }

    /// Frames that can be taken.
    pub(super) fn left(&self) -> usize {
        (self.count - self.made) as usize + self.free.len()
    }

    /// Gives the memory back.
    pub(super) fn close(&self, env: &mut dyn Env) {
        env.mem().unmap(self.region);
    }
}

/// The part of a frame that a header of `len` bytes lies in, right before the stream's bytes.
pub(super) fn head(frame: Span, len: usize) -> Span {
    frame.slice(HEAD_ROOM as usize - len, len)
}

/// A header of `head` bytes and the first `len` bytes of the stream, side by side.
pub(super) fn message(frame: Span, head: usize, len: usize) -> Span {
    frame.slice(HEAD_ROOM as usize - head, head + len)
}

/// The part of a frame for the stream's bytes.
pub(super) fn body(frame: Span) -> Span {
    frame.from(HEAD_ROOM as usize)
}

/// Room for a header.
const HEAD_ROOM: u32 = LINE;
/// Bytes of a cache line.
const LINE: u32 = 64;
