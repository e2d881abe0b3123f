//! Why a channel ended.

use thiserror::Error;
use verbs::endpoint::OpenError;
use verbs::{ConnectError, CreateError, Status};
use wire::srp::{LoginRejectReason, LogoutReason};

/// Why a channel ended, or did not come to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ChannelEnd {
    /// The device has no room for what the channel needs.
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
    /// The target refused the login (SRP 6.4).
    #[error("the target refused the login: {name}", name = .0.name())]
    Rejected(LoginRejectReason),
    /// The target refused the login with words that mean nothing.
    #[error("the target refused the login without saying why")]
    RejectedOtherwise,
    /// The connection manager refused the connection; a number of InfiniBand's table 110.
    #[error("the connection was refused: reason {0}")]
    Refused(u16),
    /// The target accepted the login with words that mean nothing, without a credit, or with less than a login allows.
    #[error("the target accepted the login in a way that makes no sense")]
    BadLogin,
    /// The target logged us out (SRP 6.6).
    #[error("the target ended the channel: {name}", name = .0.name())]
    LoggedOut(LogoutReason),
    /// The target ended the connection without a word.
    #[error("the target ended the connection")]
    ByPeer,
    /// A request failed, and the connection with it.
    #[error("the connection broke: {0:?}")]
    Broken(Status),
    /// A unit of the target's is shorter than it says, or of no type that a target sends.
    #[error("the target sent {len} bytes that make no unit")]
    BadUnit {
        /// Bytes.
        len: u32,
    },
    /// A response is to no request that is outstanding.
    #[error("the target answered request {0:#x}, which is not outstanding")]
    UnknownRequest(u64),
    /// Good status, and more data than the command was for.
    #[error("the target says that more data moved than there was")]
    BadResidual,
    /// More credits than a number holds.
    #[error("the target gave more credits than can be")]
    Credits,
    /// More requests of the target's than it may have under way.
    #[error("the target asks without waiting for answers")]
    Insistent,
    /// The target closed memory that it was not asked to close.
    #[error("the target invalidated a key")]
    Invalidation,
}

impl From<OpenError> for ChannelEnd {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::QueuePair(why) => Self::Device(why),
            OpenError::TooMany => Self::Device(CreateError::Limit),
            OpenError::Connect(why) => Self::Connect(why),
        }
    }
}
