//! What a provider has to tell besides completions (11.6.3).

use crate::{AgentId, CqId, QpId, SrqId};
use stdx::env::Owner;

/// Something happened to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose object it is.
    pub owner: Owner,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A completion came that the queue was armed for. It is armed no more.
    Completion(CqId),
    /// A completion found no room: it is lost, and its queue pair in error.
    CqOverrun(CqId),
    /// The first packet came before the connection was known to be there.
    Established(QpId),
    /// Everything that was being sent is done, and the queue pair is in [`QpState::SendQueueDrained`](crate::QpState).
    SendQueueDrained(QpId),
    /// No receive of the shared queue is held by this queue pair, which is in error, any more.
    LastReceiveReached(QpId),
    /// The queue pair went into error by itself: the completions say why.
    QueuePairError(QpId),
    /// A peer sent what it may not; the queue pair is in error.
    InvalidRequest(QpId),
    /// A peer asked for memory it may not use; the queue pair is in error.
    AccessError(QpId),
    /// Fewer receives are left than the queue was armed for. It is armed no more.
    SrqLimitReached(SrqId),
    /// Datagrams came for the agent. It is told again once it has taken all.
    Datagrams(AgentId),
}
