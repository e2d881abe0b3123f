//! NVMe/RDMA as a host speaks it (NVMe/RDMA Transport Specification 1.0), over `verbs` alone.
//!
//! A [`QueuePair`] is one connection's commands, a [`Link`] all connections of an association on one device. Queue pairs only
//! note what is wanted; [`Link`] does it when its owner has the device at hand.
//!
//! What it is not: it gives no command a meaning, and it knows nothing of how the device moves bytes.
//!
//! Invariants: the memory of a command is open to the controller from when the command is posted until its response is
//! there and the key is closed, by the controller's SEND with invalidation or else by us; a command is told complete only
//! after that, and when the device is done with its capsule; what a controller sends can end its own association and no
//! other; nothing is allocated for a command in steady state.

mod incoming;
mod link;
mod outgoing;
mod queue;
#[cfg(test)]
mod tests;

pub(in crate::host) use link::{Link, Queues};
pub(in crate::host) use queue::{QueuePair, State};

use thiserror::Error;
use verbs::{ConnectError, CreateError, Status};
use wire::nvme::rdma::RejectStatus;

/// Why a queue ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueueEnd {
    /// The device has no room for what the association needs.
    #[error("the RDMA device: {0}")]
    Device(#[from] CreateError),
    /// There is no way to ask there.
    #[error("no connection: {0}")]
    Connect(ConnectError),
    /// Nobody answered.
    #[error("nobody answers there")]
    Unreachable,
    /// There is a device, and nobody listens.
    #[error("nobody listens there")]
    NoListener,
    /// The controller refused the queue (RDMA Transport 3.2).
    #[error("the controller refused the queue: {name}", name = .0.name())]
    Rejected(RejectStatus),
    /// The controller refused the queue with words that mean nothing.
    #[error("the controller refused the queue without saying why")]
    RejectedOtherwise,
    /// The connection manager refused the connection; a number of InfiniBand's table 110.
    #[error("the connection was refused: reason {0}")]
    Refused(u16),
    /// The controller accepted the queue with words that mean nothing, or a queue without entries.
    #[error("the controller accepted the queue in a way that makes no sense")]
    BadAccept,
    /// The controller ended the connection.
    #[error("the controller ended the connection")]
    ByPeer,
    /// A request failed, and the connection with it.
    #[error("the connection broke: {0:?}")]
    Broken(Status),
    /// A message of the controller's is no response.
    #[error("the controller sent {0} bytes, which are no response")]
    Length(u32),
    /// A response is to no command that is outstanding.
    #[error("the controller answered command {0:#06x}, which is not outstanding")]
    UnknownCommand(u16),
    /// The controller closed memory that was not the command's, or that it was not asked to close.
    #[error("the controller invalidated a key that is not the command's")]
    Invalidation,
    /// Its owner closed it.
    #[error("closed")]
    Closed,
}
