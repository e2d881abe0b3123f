//! Why something was refused. Nothing has changed then.

use thiserror::Error;

/// An object was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CreateError {
    /// There are as many as there may be.
    #[error("a limit of the provider is reached")]
    Limit,
    /// It is asked to be larger than the provider allows.
    #[error("larger than the provider's limits allow")]
    TooLarge,
    /// An object it is to belong to does not exist.
    #[error("no such object")]
    NotFound,
    /// Rights that need others, memory that has no bytes, or the like.
    #[error("what is asked for contradicts itself")]
    Invalid,
    /// The provider cannot do that.
    #[error("not supported by this provider")]
    Unsupported,
    /// The system has no memory left.
    #[error("out of memory")]
    Memory,
}

/// An object was not destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DestroyError {
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// Others use it.
    #[error("the object is in use")]
    Busy,
}

/// A queue pair did not change its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ModifyError {
    /// There is no such queue pair.
    #[error("no such queue pair")]
    NotFound,
    /// There is no way from its state to that one (figure 124).
    #[error("no transition from the queue pair's state")]
    State,
    /// A value is beyond what the provider or the standard allows.
    #[error("a value is beyond its limits")]
    Invalid,
}

/// A request was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PostError {
    /// There is no such queue.
    #[error("no such queue")]
    NotFound,
    /// The queue pair takes none in its state.
    #[error("the queue pair takes no requests in its state")]
    State,
    /// The queue is full: retry after a completion.
    #[error("the queue is full")]
    Full,
    /// Too many pieces, or too many bytes inline.
    #[error("more pieces or inline bytes than the queue pair was made for")]
    TooLong,
    /// This kind of queue pair cannot do such work.
    #[error("this kind of queue pair cannot do such work")]
    Unsupported,
}

/// A request that was not taken comes back unharmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejected<T> {
    /// The request.
    pub request: T,
    /// Why.
    pub why: PostError,
}

/// A connection could not be asked for, answered or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConnectError {
    /// There is no such connection, listener or queue pair.
    #[error("no such object")]
    NotFound,
    /// The connection or queue pair is not in a state for it.
    #[error("not in this state")]
    State,
    /// A limit of the provider is reached.
    #[error("a limit of the provider is reached")]
    Limit,
    /// Someone listens there already.
    #[error("the port is in use")]
    InUse,
    /// The address is not one of the provider's.
    #[error("the address is not one of this provider's")]
    Address,
    /// More private data than the message has room for.
    #[error("more private data than the message has room for")]
    PrivateData,
}

/// A queue pair could not become a member of a multicast group, or end that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AttachError {
    /// There is no such queue pair, or it is no member.
    #[error("no such queue pair, or it is no member")]
    NotFound,
    /// The address is not a group's.
    #[error("the address is not a multicast group's")]
    Address,
    /// A limit of the provider is reached.
    #[error("a limit of the provider is reached")]
    Limit,
    /// The provider or the queue pair's service has no groups.
    #[error("there are no groups for such a queue pair")]
    Unsupported,
    /// The network refuses.
    #[error("the network refuses")]
    Network,
}
