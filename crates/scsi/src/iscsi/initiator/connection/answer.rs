//! What a connection tells its owner.

use crate::initiator::Ending;
use wire::iscsi::{LogoutResult, TaskResult};

/// A task got its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Completed {
    /// Its owner's token.
    pub token: u64,
    /// What it says.
    pub answer: Answer,
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Answer {
    /// A SCSI command has ended.
    Command(Ending),
    /// A task management function has.
    Management(TaskResult),
    /// The target is alive.
    Nop,
    /// The whole text.
    Text(Vec<u8>),
    /// The session is over, or a connection of it.
    LoggedOut(LogoutResult),
}

/// What the target tells without being asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum News {
    /// Something about a logical unit changed.
    Changed,
    /// Another connection of the session, of this number, is or will be dropped.
    Dropped(u16),
}

/// The connection takes no further task now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Refused;
