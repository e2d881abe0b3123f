//! Where received bytes land: the connection's own buffer, or the very place a read's data belongs.
//!
//! Small transfers are received many at a time into the buffer and copied out; what is left of a large one, once its
//! header was seen, is received into place. While large reads are outstanding, the buffer takes little at a time, so that
//! their data is not received into it by accident.

use stdx::mem::{Memory, Span};
use wire::iscsi::Serial;

/// The buffer and the data being received.
#[derive(Debug)]
pub(super) struct Receive {
    /// Private memory.
    buffer: Span,
    /// Received and not yet looked at: `start..end` of the buffer.
    start: usize,
    end: usize,
    /// The last receive goes to the data's place, not to the buffer.
    direct: bool,
    /// The Data-In whose header was handled.
    pub payload: Option<Payload>,
}

/// The data of a Data-In PDU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    /// The place of its task.
    pub slot: u16,
    /// Where all of it belongs.
    pub whole: Span,
    /// Where the bytes that are still missing belong.
    pub missing: Span,
    /// Bytes of padding behind it.
    pub padding: usize,
    /// A digest follows the padding.
    pub digest: bool,
    /// It ends its task.
    pub last: bool,
    /// Its number, and where it begins in the command's data.
    pub data_sn: Serial,
    pub offset: u32,
    /// It comes again.
    pub again: bool,
}

impl Receive {
    /// An empty buffer.
    pub fn new(buffer: Span) -> Self {
        Self { buffer, start: 0, end: 0, direct: false, payload: None }
    }

    /// The most bytes that are ever there at once.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// What was received and not yet looked at.
    pub fn buffered(&self) -> Span {
        self.buffer.slice(self.start, self.end - self.start)
    }

    /// The first `len` of the buffered bytes were handled.
    pub fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
    }

    /// Where the next bytes shall land. `large` says that large reads are outstanding.
    pub fn span(&mut self, memory: &mut Memory, large: bool) -> Span {
        let kept = self.buffered();
        if kept.is_empty()
            && let Some(payload) = &self.payload
            && payload.missing.len() >= DIRECT_LEN_MIN
        {
            self.direct = true;
            return payload.missing;
        }
        if self.start > 0 {
            memory.copy(self.buffer, kept);
            (self.start, self.end) = (0, kept.len());
        }
        let room = self.buffer.from(self.end);
        if large { room.first(room.len().min(READ_AHEAD_LEN)) } else { room }
    }

    /// `len` bytes have landed where [`Receive::span`] said.
    pub fn handle_landed(&mut self, len: usize) {
        if core::mem::take(&mut self.direct) {
            if let Some(payload) = &mut self.payload {
                payload.missing = payload.missing.from(len);
            }
        } else {
            self.end += len;
        }
    }

    /// Copies buffered bytes to the data's place. True if that changed anything.
    pub fn place(&mut self, memory: &mut Memory) -> bool {
        let buffered = self.buffered();
        let Some(payload) = &mut self.payload else { return false };
        let len = buffered.len().min(payload.missing.len());
        if len == 0 {
            return false;
        }
        memory.copy(payload.missing, buffered.first(len));
        payload.missing = payload.missing.from(len);
        self.consume(len);
        true
    }
}

/// From how many missing bytes on a receive of its own is cheaper than a copy.
pub(super) const DIRECT_LEN_MIN: usize = 16 << 10;

/// How much is received at once while a large read may begin at any byte.
const READ_AHEAD_LEN: usize = 4 << 10;
