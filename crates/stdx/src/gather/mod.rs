//! What a protocol session has to send, in order: headers it writes, and payload from where it lies.
//!
//! Headers lie in small rings ([`HeaderRing`]) that sessions borrow from their shard ([`HeaderBlocks`]) while they have
//! something to send; payload is a buffer, or memory somebody lends. A [`Transmit`] queues both for one gathered send.
//!
//! What it is not: it knows no protocol; what a header says, and how long it is, is its owner's.

mod ring;
mod transmit;

pub use ring::{HEADER_BYTES_MAX, HeaderBlocks, HeaderRing, RING_BYTES};
pub use transmit::{NoBuffer, Source, Transmit};
