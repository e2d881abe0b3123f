//! `weft rdma ping`: the protocol of librdmacm's rping, both ends.
//!
//! ```text
//!   client                                   server
//!     where the ping lies    ---- send ---->
//!                            <---- read ----   takes it from there
//!                            <---- send ----   go ahead
//!     where it is to go      ---- send ---->
//!                            <---- write ---   puts it there
//!                            <---- send ----   go ahead
//! ```

mod client;
mod message;
mod server;

use super::args::PingArgs;
use crate::error::Failure;
use crate::output::Style;
use verbs::{Data, Parameters, SendRequest, Work};

/// Runs the command. With `verbose` every ping is shown.
pub fn run(style: &Style, args: &PingArgs, verbose: bool) -> Result<(), Failure> {
    if args.server { server::run(style, args, verbose) } else { client::run(style, args, verbose) }
}

/// What rping asks for: one read at a time.
const PARAMETERS: Parameters =
    Parameters { responder_resources: 1, initiator_depth: 1, retry_count: 7, rnr_retry_count: 7 };

/// Requests in each queue: the peer never has more than one message under way.
const QUEUE_ENTRIES: u32 = 16;

/// A message to be sent.
fn send(bytes: &[u8]) -> SendRequest<'_> {
    SendRequest::new(SEND, Work::Send, Data::Inline(bytes))
}

/// Work requests, by id.
const SEND: u64 = 0;
const RECEIVE: u64 = 1;
const READ: u64 = 2;
const WRITE: u64 = 3;
