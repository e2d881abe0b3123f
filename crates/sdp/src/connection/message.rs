//! Messages on their way in and out.

use wire::sdp::{BASE_LEN, Base, Body};

/// Bytes of the stream that we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where in the stream they begin.
    pub at: u64,
    /// How many.
    pub len: u32,
}

/// A message to be sent: a header, and bytes of the stream behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    head: [u8; Self::HEAD_MAX],
    head_len: u8,
    /// The bytes of the stream.
    pub payload: Piece,
    /// The key of the memory that the peer learns of: it is to open that before the message goes.
    pub opens: Option<u32>,
    /// The peer is to be woken by it.
    pub is_solicited: bool,
}

/// Bytes of the stream that came in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    /// Where in the message they begin.
    pub offset: u32,
    /// How many.
    pub len: u32,
    /// They belong to the memory of this name that the peer was to write to, and finish it; else behind what came before.
    pub token: Option<u32>,
    /// The last one is urgent.
    pub is_urgent: bool,
}

impl Message {
    /// Bytes of the longest header.
    pub const HEAD_MAX: usize = BASE_LEN + 20;

    /// A message of this header.
    pub(super) fn new(base: &Base, body: &Body, payload: Piece, is_solicited: bool) -> Self {
        let mut head = [0; Self::HEAD_MAX];
        let (front, rest) = head.split_at_mut(BASE_LEN);
        front.copy_from_slice(&base.encode());
        let body_len = body.encode(rest).unwrap_or(0);
        debug_assert_eq!(body_len, body.len());
        let opens = match body {
            Body::SourceAvailable(advert) => Some(advert.key),
            Body::SinkAvailable(sink) => Some(sink.advert.key),
            _ => None,
        };
        Self { head, head_len: (BASE_LEN + body_len) as u8, payload, opens, is_solicited }
    }

    /// The header's bytes.
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }
}
