//! The RDMA transport of the controller side (NVMe/RDMA Transport Specification 1.0), over `verbs` alone.
//!
//! A [`Server`] has a shard's queues that came in by RDMA. A capsule fills a receive; its data, if it is not in the capsule,
//! is moved by this side alone: read from the host's memory before a command is executed, written to it before the response
//! is sent.
//!
//! What it is not: it executes no command, and knows no subsystem, namespace or volume; it knows nothing of how the device
//! moves bytes.
//!
//! Invariants: what one host sends can end its own connection and no other; nothing is allocated for a command in steady
//! state; a buffer is the shard's again only when the device has told that nothing of it is under way.

mod admit;
mod counters;
mod limits;
mod list;
mod move_data;
mod queue;
mod server;

pub(super) use list::DESCRIPTORS_MAX;

pub use counters::Counters;
pub use limits::Limits;
pub use queue::Phase;
pub use server::{QueueInfo, Server};

use super::Executor;
use stdx::env::Env;
use verbs::Device;
use verbs::endpoint::Endpoint;

/// What a queue reaches besides itself.
pub(crate) struct Context<'a> {
    env: &'a mut dyn Env,
    device: &'a mut dyn Device,
    target: &'a mut dyn Executor,
    endpoint: &'a mut Endpoint,
    counters: &'a mut Counters,
}
