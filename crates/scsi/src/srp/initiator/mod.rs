//! The initiator side of SRP (T10 SRP, revision 16a): targets of others, and their disks as volumes of ours.
//!
//! An [`Initiator`] is attached to one target port by one channel or several, over one RDMA device. It is driven like
//! everything on a shard: in every turn [`Initiator::drive`] has the device at hand, the time of [`Initiator::deadline`] goes to
//! [`Initiator::handle_timeout`], and [`Initiator::poll_event`] tells what happened. Each [`Disk`] is a
//! [`block::BlockDevice`].
//!
//! It outlives its connections: when one breaks, requests wait while all are made anew, for as long as [`InitiatorOptions`]
//! says.
//!
//! What it is not: it parses no URL, knows no multipath, and knows nothing of how the device moves bytes.
//!
//! Invariants: the memory of a command is open to the target from when the command is sent until its response is there and the
//! key is closed; a request is told complete only after that, and when the device has let go of what it sends; no more
//! requests are sent than the target gave credits for; nothing is allocated for a command in steady state.
//!
//! - `attachment`: one target, the way up, loss and the way up again. `link`: all channels, and the device.
//! - `channel`: one connection: login, credits, commands and their responses. `discovery`: asking which targets a port has.

mod attachment;
mod channel;
mod discovery;
mod event;
mod handle;
mod link;
mod options;

pub use crate::initiator::Disk;
pub use channel::{ChannelEnd, ChannelInfo};
pub use discovery::{DiscoveredPort, Discovery, DiscoveryError};
pub use event::{Failure, InitiatorEvent, Stage};
pub use handle::{Initiator, InitiatorError};
pub use options::{InitiatorOptions, InitiatorOptionsError};
