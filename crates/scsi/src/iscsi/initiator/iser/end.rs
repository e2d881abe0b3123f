//! Why connections over RDMA end, or never begin.

use thiserror::Error;
use verbs::endpoint::OpenError;
use verbs::{ConnectError, CreateError, Rejection, Status};

/// Why there is no connection over RDMA.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RdmaEnd {
    /// The device has no room for what the connections need.
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
    /// The target refused. It has no words for why.
    #[error("the target refused the connection")]
    Rejected,
    /// The connection manager refused the connection; a number of InfiniBand's table 110.
    #[error("the connection was refused: reason {0}")]
    Refused(u16),
    /// A request failed, and the connection with it.
    #[error("the connection broke: {0:?}")]
    Broken(Status),
}

impl RdmaEnd {
    /// True if what is in the way is a connection of a process that went without its last word being heard, and whose queue
    /// pair had our number: the target ends that once it sees it (InfiniBand, 12.9.8.3.1), so another attempt may go better.
    pub(in super::super) fn is_stale(&self) -> bool {
        *self == Self::Refused(STALE)
    }

    /// The connection did not come about; `None` if nobody answered.
    pub(in super::super) fn refused(why: Option<Rejection>) -> Self {
        match why {
            None => Self::Unreachable,
            Some(Rejection::NoListener) => Self::NoListener,
            Some(Rejection::Consumer) => Self::Rejected,
            Some(Rejection::Other(reason)) => Self::Refused(reason),
        }
    }
}

impl From<OpenError> for RdmaEnd {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::QueuePair(why) => Self::Device(why),
            OpenError::TooMany => Self::Device(CreateError::Limit),
            OpenError::Connect(why) => Self::Connect(why),
        }
    }
}

/// "Stale connection", of InfiniBand's table 110.
const STALE: u16 = 10;
/// How often that is borne before the first time that we are let in.
pub(in super::super) const STALE_MAX: u32 = 6;
