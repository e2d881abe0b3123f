//! The Sockets Direct Protocol (InfiniBand volume 1, annex A4): a stream of bytes over a reliable queue pair.
//!
//! What it is: [`Terms`], what two ends agree on while they connect; [`Connection`], one end of the stream, without memory
//! and without verbs: it is told of messages and completions, and says what is to be sent, read and written, places in the
//! stream standing for its bytes; and [`sockets`], which puts memory and verbs under it.
//!
//! What it is not: it makes no system call, and nobody waits in it.
//!
//! Bytes go in one of three ways. Copied into messages, which costs a copy at each end and no round trip; read by the peer
//! from memory that we advertise; or written by the peer to memory that it advertises. Which one is a matter of each
//! direction's mode and of who was first.

#![forbid(unsafe_code)]

mod connection;
mod options;
pub mod sockets;
mod terms;

pub use connection::{Connection, Event, How, Message, Offer, Payload, Piece, Refused, Step, Violation};
pub use options::Options;
pub use terms::{Terms, TermsError};
