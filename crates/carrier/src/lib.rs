//! A stream of bytes both ways through memory that two processes share.
//!
//! It is not: a protocol for machines, memory itself, or a way to sleep. It says where in the memory the next bytes go, where they
//! lie, and whether the other end sleeps and must be woken; its owner copies, and wakes by whatever the other end sleeps on.
//!
//! ```text
//!   page 0    the words of both directions: how far was written, how far was read, who sleeps
//!   then      a short ring for each direction, which is all that most connections ever touch
//!   then      a middle one for each, which fits the processors' caches, and a long one
//! ```
//!
//! A direction begins in its short ring. When more is written than fits there, what follows goes to the middle one, from a place
//! that the writer says before it says that bytes are there. Where the middle one is full too and the writer would sleep, it moves
//! to the long one, so that each of two processes that take turns on one processor finds much to do in its turn; once
//! all has been read, it goes back to the middle one. So a connection that carries small requests takes five pages, and one
//! that carries much no more than it needs.
//!
//! Sleeping: who finds nothing says that it sleeps, looks once more, and then sleeps. Who writes or reads says how far it has
//! come, and then looks whether the other sleeps. Both pass a fence in between, so at least one of both sees the other.
//!
//! Going back: a writer that will not be there to send again what the reader has not read takes that back. It says so in the word
//! that says how far was read, which the reader changes by exchanges alone; so each byte was read before, or is the writer's
//! again, and never both.
//!
//! Invariants: each end keeps its own place in the stream to itself, and reads the other's once for each look, from which it
//! goes on with a copy. Whatever the other end writes into the words, every [`Span`] lies within its ring: a hostile peer
//! can spoil the bytes of its own connection, and nothing else. There is no loop that it could prolong.

#![forbid(unsafe_code)]

mod direction;
mod reader;
mod writer;

pub use direction::{Shared, Span};
pub use reader::Reader;
pub use writer::Writer;

use thiserror::Error;

/// Which end of a connection one is: each writes where the other reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

impl End {
    /// The one at the other side.
    pub const fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

/// The other end says what cannot be: that it read what was not written, or wrote more than there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the peer's place in the stream cannot be")]
pub struct Broken;

/// The writer has taken back what was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the writer has taken back what was not read")]
pub struct Withdrawn;

/// Bytes of the words, in front of the rings.
pub const HEADER_LEN: usize = 4096;
/// Bytes of a short ring: a power of two.
pub const SHORT_LEN: usize = 8 << 10;
/// Bytes of a middle ring: a power of two. Two of them fit a processor's own cache.
pub const MIDDLE_LEN: usize = 256 << 10;
/// Bytes of a long ring: a power of two.
pub const LONG_LEN: usize = 1 << 20;
/// Bytes of the whole memory.
pub const MEMORY_LEN: usize = HEADER_LEN + 2 * (SHORT_LEN + MIDDLE_LEN + LONG_LEN);

/// What is said with the descriptor of such memory when it is given to the other end. Another layout has another number.
pub const MAGIC: [u8; 8] = *b"weft/3\r\n";

/// Bytes that are under way at most: what one ring held when another was begun, and the other.
pub const UNREAD_MAX: u64 = (MIDDLE_LEN + LONG_LEN) as u64;
