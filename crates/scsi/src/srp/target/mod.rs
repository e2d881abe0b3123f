//! The SRP target: what carries commands of the [`Target`](crate::target::Target) by RDMA.
//!
//! A [`Server`] has a shard's channels. An information unit fills a receive; the data of a command is moved by this side
//! alone, between the buffers of the shard and the memory that the command's descriptors name, or it came with the command.
//!
//! What it is not: it executes no command and knows no volume; it knows nothing of how the device moves bytes.
//!
//! Invariants: what one initiator sends can end its own channel and no other; no channel has more requests than it was given
//! credits for, and all credits together are no more than there are receives; nothing is allocated for a command in steady
//! state; a buffer is the shard's again only when the device has told that nothing of it is under way.
//!
//! - `registry`: target ports, and who may log in to them. `services`: how they are found. `login`: how a channel and its nexus come to be.
//! - `channel`: one connection. `credits`: its request limit. `task`, `pieces`: a request under way, and the memory it names.
//! - `events`: what initiators are told unasked.
//! - `admit`, `move_data`, `reply`, `manage`: a request's way. `server`: the turn that drives them.

mod admit;
mod channel;
mod counters;
mod credits;
mod events;
mod limits;
mod login;
mod manage;
mod move_data;
mod nexus;
mod pieces;
mod registry;
mod reply;
mod server;
mod services;
mod task;

pub use channel::Phase;
pub use counters::Counters;
pub use limits::Limits;
pub use nexus::NexusName;
pub use registry::{Access, Registry, RegistryError, TargetPort};
pub use server::{ChannelInfo, Server};

use crate::target::Executor;
use stdx::env::Env;
use stdx::slab::Key;
use verbs::Device;
use verbs::endpoint::Endpoint;

/// What a channel reaches besides itself.
pub(crate) struct Context<'a> {
    env: &'a mut dyn Env,
    device: &'a mut dyn Device,
    executor: &'a mut dyn Executor,
    endpoint: &'a mut Endpoint,
    counters: &'a mut Counters,
    /// Where a unit is read from: as long as the longest of them.
    scratch: &'a mut Vec<u8>,
    /// ABORT TASK requests whose task is none of their own channel's, by channel and place.
    seeking: &'a mut Vec<(Key, u16)>,
}
