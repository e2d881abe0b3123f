//! Why connections end.

use crate::iscsi::initiator::iser::RdmaEnd;
use crate::iscsi::login::LoginError;
use stdx::env::IoError;
use thiserror::Error;
use wire::iscsi::{HeaderError, RejectReason, TaskResult};

/// Why a connection ended.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConnectionEnd {
    /// The stream could not be made, or broke.
    #[error("{0}")]
    Stream(#[from] IoError),
    /// There is no connection over RDMA.
    #[error("{0}")]
    Rdma(#[from] RdmaEnd),
    /// The target closed the stream.
    #[error("the target closed the connection")]
    ByPeer,
    /// The login came to nothing.
    #[error("{0}")]
    Login(#[from] LoginError),
    /// The target sent something it must not send.
    #[error("the target broke the protocol: {0}")]
    Malformed(#[from] HeaderError),
    /// The target broke the protocol with a PDU that is well formed.
    #[error("the target broke the protocol: {0}")]
    Misbehaved(Misbehaviour),
    /// Data that does not match its digest.
    #[error("a data digest does not match")]
    DataDigest,
    /// The target has not kept what was to go on by another connection.
    #[error("the target cannot go on with a task: {0}")]
    NotReassigned(TaskResult),
    /// The target says we broke the protocol.
    #[error("the target rejected a PDU: {0}")]
    Rejected(RejectReason),
    /// The target dropped the connection, and said so.
    #[error("the target dropped the connection")]
    Dropped,
    /// The target dropped the session, and said so before.
    #[error("the target dropped the session")]
    SessionDropped,
    /// The target asked us to go.
    #[error("the target asked us to log out")]
    AskedToLeave,
    /// Its owner closed it.
    #[error("closed")]
    Closed,
}

/// A PDU that is well formed, and wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Misbehaviour {
    /// A tag that names no task, or a task of another kind.
    #[error("a PDU for a task that is not there")]
    UnknownTask,
    /// A response is missing, or came twice.
    #[error("a response out of order")]
    StatusOrder,
    /// Data or R2T out of order, or not within the command's data.
    #[error("data or R2T out of order")]
    DataOrder,
    /// Another R2T before the last was answered.
    #[error("more R2Ts than were agreed on")]
    R2tLimit,
    /// Good status, and data is missing.
    #[error("a command is done without its data")]
    DataMissing,
    /// A PDU that has no place in this phase.
    #[error("a PDU out of its phase")]
    Phase,
    /// More data than such a PDU has.
    #[error("a PDU with too much data")]
    TooLong,
    /// A message over RDMA that is not one PDU.
    #[error("a message that is not one PDU")]
    Message,
    /// Memory was closed that was not the command's.
    #[error("a key was invalidated that is not the command's")]
    Invalidation,
    /// Pings faster than they can be answered.
    #[error("more pings than can be answered")]
    Flood,
}
