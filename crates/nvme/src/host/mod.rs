//! The host side of NVMe over Fabrics: controllers of others, and their namespaces as volumes of ours.
//!
//! A [`Host`] is one association with one controller: an admin queue, I/O queues, and what is known of the namespaces. It
//! is driven like everything on a shard: events of its [`Owner`](stdx::env::Owner) go to [`Host::handle_event`], the time
//! of [`Host::deadline`] to [`Host::handle_timeout`], and [`Host::poll_event`] tells what happened. Each [`Namespace`] is
//! a [`block::BlockDevice`].
//!
//! It outlives its connection: when that breaks, requests wait while it is made anew, for as long as [`HostOptions`]
//! says. Whether the outcome of an answerless request may be found out by asking again is decided in
//! [`block::replay`].
//!
//! Over TCP it needs nothing but its environment; over RDMA ([`Transport::Rdma`]) it notes what it wants of its device, and
//! does it whenever its owner calls [`Host::drive`] with the device at hand.
//!
//! What it is not: it parses no URL, and it knows no multipath; two paths are two hosts.
//!
//! Base 2.0 (chapters 3, 5, 6), NVM Command Set 1.0, TCP Transport 1.0, NVMe/RDMA Transport 1.0.

pub mod controller;
pub mod discovery;
mod event;
mod handle;
mod identity;
pub mod namespace;
mod options;
mod queue;
pub mod rdma;
pub mod tcp;

pub use crate::Transport;
pub use controller::AdminRequest;
pub use discovery::{Discovery, DiscoveryError, DiscoveryLog};
pub use event::{Failure, HostEvent, Step};
pub use handle::{Host, HostError, NotNow};
pub use identity::host_id;
pub use namespace::Namespace;
pub use options::{HostOptions, HostOptionsError};
pub use queue::{Completed, Data, Refused};
