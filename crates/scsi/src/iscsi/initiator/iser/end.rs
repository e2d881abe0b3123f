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
