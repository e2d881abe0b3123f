//! What an initiator tells its owner.

use super::channel::ChannelEnd;
use crate::initiator::Ending;
use core::fmt;
use thiserror::Error;
use wire::scsi::SenseKey;

/// Something happened to an initiator.
pub type InitiatorEvent = crate::initiator::InitiatorEvent<Failure>;

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// A channel ended, or did not come to be.
    #[error("{0}")]
    Channel(#[from] ChannelEnd),
    /// The way up took too long.
    #[error("the target did not answer in time ({0})")]
    ConnectTimedOut(Stage),
    /// A command got no answer in time.
    #[error("a command got no answer in time")]
    CommandTimedOut,
    /// A command that tells what the target has failed.
    #[error("the target refused to tell its logical units ({key:?}, {code:02x}/{qualifier:02x})")]
    Refused {
        /// Sense key.
        key: SenseKey,
        /// Additional sense code.
        code: u8,
        /// Additional sense code qualifier.
        qualifier: u8,
    },
    /// A command that tells what the target has failed without saying why.
    #[error("the target failed to tell its logical units (status {0:#04x})")]
    Status(u8),
    /// The owner closed the initiator.
    #[error("closed")]
    Closed,
}

/// A stage of the way up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The login of the first channel.
    Login,
    /// The logical units are looked at.
    LogicalUnits,
    /// Logins of the other channels.
    Channels,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "the login",
            Self::LogicalUnits => "telling its logical units",
            Self::Channels => "the login of a further channel",
        })
    }
}

impl Failure {
    /// What the target said when it was asked about its logical units.
    pub(super) fn of(ending: &Ending) -> Self {
        match (ending.sense, ending.status) {
            (Some(sense), _) => {
                Self::Refused { key: sense.key, code: sense.code, qualifier: sense.qualifier }
            }
            (None, status) => Self::Status(status.unwrap_or(u8::MAX)),
        }
    }
}
