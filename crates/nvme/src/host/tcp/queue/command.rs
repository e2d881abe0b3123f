//! A command outstanding on a queue over a stream.

use crate::host::queue::Data;
use stdx::mem::Span;
use stdx::time::Time;
use wire::nvme::Status;

/// A command that was sent, or waits in the transmit queue.
#[derive(Debug)]
pub(super) struct Command {
    /// What the owner of the queue knows it by.
    pub token: u64,
    /// Its data.
    pub data: Data,
    /// The data went along in the capsule; nothing may be asked for.
    pub in_capsule: bool,
    /// Bytes that have come, or were asked for by R2T.
    pub moved: u32,
    /// The R2T being answered.
    pub r2t: Option<Requested>,
    /// Segments of its data in the transmit queue: its memory may not go back to its owner before they are gone.
    pub unsent: u16,
    /// The last data of a read has come.
    pub last_seen: bool,
    /// A data digest did not match.
    pub damaged: bool,
    /// The response has come, but data is unsent.
    pub response: Option<(Status, u64)>,
    /// When it was put into the transmit queue.
    pub since: Time,
}

/// The part of a command's data that an R2T asked for and that is yet to go into the transmit queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested {
    pub transfer_tag: u16,
    pub offset: u32,
    pub left: u32,
}

impl Command {
    /// A command that is about to be sent.
    pub fn new(token: u64, data: Data, in_capsule: bool, since: Time) -> Self {
        Self {
            token,
            data,
            in_capsule,
            moved: 0,
            r2t: None,
            unsent: 0,
            last_seen: false,
            damaged: false,
            response: None,
            since,
        }
    }

    /// Where data from the controller goes; `None` if the command reads nothing.
    pub fn read_span(&self) -> Option<Span> {
        match self.data {
            Data::FromController(span) => Some(span),
            Data::None | Data::ToController(_) => None,
        }
    }

    /// Where data the controller may ask for is; `None` if there is none, or it went in the capsule.
    pub fn write_span(&self) -> Option<Span> {
        match self.data {
            Data::ToController(span) if !self.in_capsule => Some(span),
            Data::ToController(_) | Data::None | Data::FromController(_) => None,
        }
    }

    /// True if all data has moved that a successful command moves.
    pub fn has_all(&self) -> bool {
        match (self.read_span(), self.write_span()) {
            (Some(span), _) => self.moved == span.len,
            (None, Some(span)) => self.moved == span.len && self.r2t.is_none(),
            (None, None) => true,
        }
    }
}
