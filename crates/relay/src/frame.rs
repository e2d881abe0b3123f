//! What relays say to each other of one connection, once they know each other.
//!
//! A frame is eight bytes, a kind and the length of what follows, and that. Numbers are in network order.

use core::fmt;
use thiserror::Error;

/// One thing that is said. "Here" is where the one who says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// What is written here leaves TCP at this place of the stream.
    Begin(u64),
    /// Bytes that were written here.
    Bytes(&'a [u8]),
    /// So many bytes, of all that came, were read here.
    Read(u64),
    /// Nothing more is written here by this way.
    End,
    /// Nothing more is read here.
    Closed,
    /// The rest is read elsewhere: what was not read comes by TCP.
    HandedOver,
    /// The program here is gone. Nothing follows.
    Gone,
}

/// A peer says what is no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("this is no frame")]
pub(crate) struct NoFrame;

impl<'a> Frame<'a> {
    /// Bytes of the longest.
    pub(crate) const LEN_MAX: usize = HEAD_LEN + BYTES_MAX;

    /// Puts it behind what is there.
    pub(crate) fn put(self, into: &mut Vec<u8>) {
        let number;
        let (kind, body): (u8, &[u8]) = match self {
            Frame::Begin(place) => {
                number = place.to_be_bytes();
                (BEGIN, &number)
            }
            Frame::Bytes(bytes) => (BYTES, bytes),
            Frame::Read(count) => {
                number = count.to_be_bytes();
                (READ, &number)
            }
            Frame::End => (END, &[]),
            Frame::Closed => (CLOSED, &[]),
            Frame::HandedOver => (HANDED_OVER, &[]),
            Frame::Gone => (GONE, &[]),
        };
        into.extend_from_slice(&[kind, 0, 0, 0]);
        into.extend_from_slice(&(body.len() as u32).to_be_bytes());
        into.extend_from_slice(body);
    }

    /// Takes the first from bytes: it and how long it is, or nothing if not all of it is there.
    pub(crate) fn take(from: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, NoFrame> {
        let Some((head, rest)) = from.split_first_chunk::<HEAD_LEN>() else { return Ok(None) };
        let [kind, _, _, _, length @ ..] = *head;
        let len = u32::from_be_bytes(length) as usize;
        if len > BYTES_MAX {
            return Err(NoFrame);
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let number = || body.try_into().map(u64::from_be_bytes).map_err(|_| NoFrame);
        let frame = match (kind, len) {
            (BEGIN, _) => Frame::Begin(number()?),
            (BYTES, _) => Frame::Bytes(body),
            (READ, _) => Frame::Read(number()?),
            (END, 0) => Frame::End,
            (CLOSED, 0) => Frame::Closed,
            (HANDED_OVER, 0) => Frame::HandedOver,
            (GONE, 0) => Frame::Gone,
            _ => return Err(NoFrame),
        };
        Ok(Some((frame, HEAD_LEN + len)))
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Begin(place) => write!(f, "Begin({place})"),
            Frame::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Frame::Read(count) => write!(f, "Read({count})"),
            Frame::End => f.write_str("End"),
            Frame::Closed => f.write_str("Closed"),
            Frame::HandedOver => f.write_str("HandedOver"),
            Frame::Gone => f.write_str("Gone"),
        }
    }
}

/// Bytes that one frame carries at most.
pub(crate) const BYTES_MAX: usize = 32 << 10;

const HEAD_LEN: usize = 8;
const BEGIN: u8 = 1;
const BYTES: u8 = 2;
const READ: u8 = 3;
const END: u8 = 4;
const CLOSED: u8 = 5;
const HANDED_OVER: u8 = 6;
const GONE: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_understood() {
        let mut bytes = Vec::new();
        let frames = [
            Frame::Begin(1 << 40),
            Frame::Bytes(b"some"),
            Frame::Read(7),
            Frame::End,
            Frame::Closed,
            Frame::HandedOver,
            Frame::Gone,
        ];
        frames.iter().for_each(|frame| frame.put(&mut bytes));
        let mut rest = &bytes[..];
        for frame in frames {
            assert_eq!(Frame::take(&rest[..7]), Ok(None), "not all of it");
            let (taken, len) = Frame::take(rest).expect("a frame").expect("all of it");
            assert_eq!(taken, frame);
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
        assert_eq!(Frame::take(&[BYTES, 0, 0, 0, 0, 1, 0, 0]), Err(NoFrame), "longer than any");
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(Some((frame, len))) = Frame::take(&bytes) {
                let mut again = Vec::new();
                frame.put(&mut again);
                prop_assert_eq!(again.len(), len);
            }
        }
    }
}
