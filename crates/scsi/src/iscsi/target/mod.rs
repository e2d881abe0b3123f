//! The target side of iSCSI (RFC 7143), on streams and, with [`iser`], over RDMA (RFC 7145).
//!
//! A [`Server`] has a shard's listeners, connections and sessions. It moves bytes between streams and connections, and
//! commands and outcomes between sessions and the [`Executor`]. Its [`Registry`] says who may log in where.
//!
//! What it is not: it executes no command and knows no volume; text, negotiation and CHAP are [`login`](super::login)'s.
//!
//! Invariants: what one initiator sends can end its own session and no other; commands are begun in the order of CmdSN;
//! nothing is allocated for a command in steady state; every connection has at most one receive and one send in a round.

mod connection;
mod counters;
pub mod iser;
mod limits;
mod registry;
mod server;
mod session;

pub use connection::Phase;
pub use counters::Counters;
pub use limits::Limits;
pub use registry::{
    Access, AddressPattern, AuthGroup, ChapPolicy, InitiatorGroup, InitiatorPattern, Node,
    NodeAuthentication, PortalGroup, Registry, RegistryError,
};
pub use server::{ConnectionInfo, Server, SessionInfo};
pub use stdx::listeners::ListenError;

use crate::target::{Executor, NexusKey};
use session::Session;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::gather::HeaderBlocks;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// What a connection reaches besides itself.
pub(crate) struct Context<'a> {
    env: &'a mut dyn Env,
    executor: &'a mut dyn Executor,
    shard: &'a mut Shard,
}

/// What the connections of a shard share.
#[derive(Debug)]
pub(crate) struct Shard {
    limits: Limits,
    counters: Counters,
    registry: Registry,
    sessions: Slab<Session>,
    /// The session of each nexus, until the nexus's last task has its outcome.
    nexuses: BTreeMap<NexusKey, Key>,
    /// The last TSIH given.
    last_tsih: u16,
    /// Where bytes land whose place is not known yet. Used up within each receive.
    scratch: Span,
    blocks: HeaderBlocks,
    /// Bytes of buffers that wait for initiators to fill them.
    solicited_bytes: usize,
    /// Bytes of read data that is kept until initiators acknowledge it.
    kept_bytes: usize,
    /// When tasks that lost their connection are given up: session and connection, in the order of the times.
    expiries: VecDeque<(Time, Key, Key)>,
    /// The server is shutting down: nothing is kept for connections that are lost.
    closing: bool,
    /// What connections want done to others; the server sees to it before it goes on.
    orders: VecDeque<Order>,
}

/// What one connection wants done to another, or to its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// This connection has work: a command of its session became due.
    Visit(Key),
    /// This connection ends; its session knows of it already.
    End(Key),
    /// This connection forgets the task in a slot, which has not begun.
    Forget(Key, u32),
    /// This connection ends once what it has to send is sent.
    Dismiss(Key),
}

/// What carries a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// A stream of bytes: TCP.
    Stream,
    /// Messages, and memory that is reached by RDMA: iSER.
    Rdma,
}

/// Where and how a connection came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// What carries it.
    pub carrier: Carrier,
    /// The address that is listened on.
    pub portal: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The initiator's end.
    pub peer: SocketAddr,
}

impl stdx::stream::Context for Context<'_> {
    fn env(&mut self) -> &mut dyn Env {
        self.env
    }
}
