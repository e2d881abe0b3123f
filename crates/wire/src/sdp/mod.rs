//! The messages of the Sockets Direct Protocol (InfiniBand volume 1, annex A4).
//!
//! Each message begins with a base header that carries credits and sequence numbers; most have a fixed header of their own
//! behind it, and some bytes of the stream behind that. `Hello` and `HelloAck` travel in the connection manager's private
//! data, everything else by SEND. Everything is big-endian.
//!
//! ```text
//! connecting                         accepting
//!    | Hello (REQ) ->                     |
//!    |                  <- HelloAck (REP) |
//!    | Data, SrcAvail, SinkAvail, ... <-> |
//!    | DisConn ->             <- DisConn  |   each half closes for itself, then DREQ
//! ```

mod base;
mod control;
mod hello;

pub use base::{BASE_LEN, Base, Flags, MessageId};
pub use control::{Advert, Body, ControlError, Half, Mode, SinkAdvert, Uncovered};
pub use hello::{Capabilities, HELLO_ACK_LEN, HELLO_LEN, Hello, HelloAck, HelloError, Version};
