//! The TCP transport of the controller side (NVMe/TCP Transport Specification 1.0).
//!
//! A [`Server`] has a shard's listeners and connections. It moves bytes between streams and connections, and requests and
//! responses between connections and the [`Executor`].
//!
//! What it is not: it executes no command, and knows no subsystem, namespace or volume.
//!
//! Invariants: what one host sends can end its own connection and no other; nothing is allocated for a command in
//! steady state; every connection has at most one receive and one send in a round, and rounds have an end.

mod connection;
mod counters;
mod limits;
mod server;

pub use connection::Phase;
pub use counters::Counters;
pub use limits::Limits;
pub use server::{ConnectionInfo, QueueInfo, Server};
pub use stdx::listeners::ListenError;

use super::Executor;
use stdx::env::Env;
use stdx::gather::HeaderBlocks;
use stdx::mem::Span;

/// What a connection reaches besides itself.
pub(crate) struct Context<'a> {
    env: &'a mut dyn Env,
    target: &'a mut dyn Executor,
    shard: &'a mut Shard,
}

/// What the connections of a shard share.
#[derive(Debug)]
pub(crate) struct Shard {
    limits: Limits,
    counters: Counters,
    /// Where bytes land whose place is not known yet. Used up within each receive.
    scratch: Span,
    blocks: HeaderBlocks,
    /// Bytes of buffers that wait for hosts to fill them.
    solicited_bytes: usize,
}

impl stdx::stream::Context for Context<'_> {
    fn env(&mut self) -> &mut dyn Env {
        self.env
    }
}
