//! What an initiator tells its owner.

use super::connection::ConnectionEnd;
use crate::initiator::Ending;
use core::fmt;
use stdx::env::IoError;
use stdx::mem::OutOfMemory;
use thiserror::Error;
use wire::scsi::SenseKey;

/// Something happened to an initiator.
pub type InitiatorEvent = crate::initiator::InitiatorEvent<Failure>;

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// A connection ended, or did not come to be.
    #[error("{0}")]
    Connection(#[from] ConnectionEnd),
    /// The way up took too long.
    #[error("the target did not answer in time ({0})")]
    ConnectTimedOut(Stage),
    /// A command got no answer in time.
    #[error("a command got no answer in time")]
    CommandTimedOut,
    /// The target does not answer signs of life.
    #[error("the target is silent")]
    Silent,
    /// A command that tells what the target has failed.
    #[error("the target refused {stage} ({key:?}, {code:02x}/{qualifier:02x})")]
    Refused {
        /// The step.
        stage: Stage,
        /// Sense key.
        key: SenseKey,
        /// Additional sense code.
        code: u8,
        /// Additional sense code qualifier.
        qualifier: u8,
    },
    /// A command that tells what the target has failed without saying why.
    #[error("the target failed {stage} (status {status:#04x})")]
    Status {
        /// The step.
        stage: Stage,
        /// The SCSI status.
        status: u8,
    },
    /// The target says it is somewhere we cannot find.
    #[error("the target has moved to {0:?}, which is no address")]
    MovedAway(String),
    /// The target sends us from one address to the next.
    #[error("the target sends us from one address to the next")]
    MovedOften,
    /// No memory for buffers.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The owner closed the initiator.
    #[error("closed")]
    Closed,
}

/// A stage of the way up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The stream and the login of the first session.
    Login,
    /// The logical units are looked at.
    LogicalUnits,
    /// Streams and logins of the other sessions.
    Sessions,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Login => "the login",
            Stage::LogicalUnits => "telling its logical units",
            Stage::Sessions => "the login of a further session",
        })
    }
}

impl Failure {
    /// What the target said when it was asked something on the way up.
    pub(super) fn of(stage: Stage, ending: &Ending) -> Self {
        match (ending.sense, ending.status) {
            (Some(sense), _) => {
                Self::Refused { stage, key: sense.key, code: sense.code, qualifier: sense.qualifier }
            }
            (None, status) => Self::Status { stage, status: status.unwrap_or(u8::MAX) },
        }
    }

    /// True if trying again is known to be useless.
    pub fn is_final(&self) -> bool {
        match self {
            Failure::Connection(ConnectionEnd::Login(error)) => error.is_final(),
            Failure::Closed | Failure::MovedAway(_) => true,
            Failure::Connection(_) | Failure::ConnectTimedOut(_) | Failure::CommandTimedOut => false,
            Failure::Silent | Failure::Refused { .. } | Failure::Status { .. } => false,
            Failure::MovedOften | Failure::OutOfMemory(_) => false,
        }
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::Connection(ConnectionEnd::Stream(error))
    }
}
