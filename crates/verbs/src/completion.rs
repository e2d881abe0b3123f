//! What became of work requests (11.4.2).

use crate::{Key, QpId};
use core::net::IpAddr;

/// A work request is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The request's id.
    pub id: u64,
    /// The queue pair.
    pub qp: QpId,
    /// How it went. If badly, only `id` and `qp` mean something besides.
    pub status: Status,
    /// What it was.
    pub kind: CompletionKind,
    /// Bytes moved; for a receive on a datagram queue pair with the forty about the sender.
    pub len: u32,
    /// Four bytes from the sender.
    pub immediate: Option<u32>,
    /// The key that the sender closed.
    pub invalidated: Option<Key>,
    /// Who sent the datagram.
    pub origin: Option<Origin>,
}

/// Who sent a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The port.
    pub address: IpAddr,
    /// The queue pair.
    pub qpn: u32,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompletionKind {
    /// A send of any kind.
    Send,
    /// A write.
    Write,
    /// A read.
    Read,
    /// A compare and swap.
    CompareSwap,
    /// A fetch and add.
    FetchAdd,
    /// A region or window was closed.
    Invalidate,
    /// A region was registered.
    Register,
    /// A window was bound.
    Bind,
    /// A message came.
    Receive,
    /// A write with immediate data came; the receive's memory was not used.
    ReceiveWrite,
}

/// How a work request went (11.6.2; the numbers are those of libibverbs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Done.
    Success = 0,
    /// More bytes than the receive had room for, or than a message may have.
    LocalLength = 1,
    /// The queue pair could not do it.
    LocalQueuePairOperation = 2,
    /// The gather or scatter list names memory that may not be used so.
    LocalProtection = 4,
    /// The queue pair went into error before it was its turn.
    Flushed = 5,
    /// The window cannot be bound so.
    WindowBind = 6,
    /// The peer answered what it may not.
    BadResponse = 7,
    /// A peer's write or atomic hit memory of ours that may not be used so.
    LocalAccess = 8,
    /// The peer cannot do such a request.
    RemoteInvalidRequest = 9,
    /// The peer's memory may not be used so.
    RemoteAccess = 10,
    /// The peer failed.
    RemoteOperation = 11,
    /// The peer did not answer, however often it was asked.
    RetryExceeded = 12,
    /// The peer had no receive, however often it was tried.
    RnrRetryExceeded = 13,
    /// The peer gave up on it.
    RemoteAborted = 16,
    /// The provider failed.
    Fatal = 19,
    /// Anything else.
    General = 21,
}

impl Completion {
    /// A completion that says nothing but how it went.
    pub const fn failed(qp: QpId, id: u64, kind: CompletionKind, status: Status) -> Self {
        Self { id, qp, status, kind, len: 0, immediate: None, invalidated: None, origin: None }
    }
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 16] = [
        Self::Success,
        Self::LocalLength,
        Self::LocalQueuePairOperation,
        Self::LocalProtection,
        Self::Flushed,
        Self::WindowBind,
        Self::BadResponse,
        Self::LocalAccess,
        Self::RemoteInvalidRequest,
        Self::RemoteAccess,
        Self::RemoteOperation,
        Self::RetryExceeded,
        Self::RnrRetryExceeded,
        Self::RemoteAborted,
        Self::Fatal,
        Self::General,
    ];

    /// The number that libibverbs gives it.
    pub const fn code(self) -> u32 {
        self as u32
    }
}
