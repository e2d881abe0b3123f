//! A task: a command between its delivery and its outcome.

use super::command::CommandRow;
use super::sbc::Work;
use super::seam::{Command, TaskAttribute, Transfer};
use stdx::mem::Span;
use stdx::slab::Key;
use stdx::time::Time;
use wire::scsi::{Cdb, Sense, Status};

/// A task. Its key is the tag of what it asks of volumes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) nexus: Key,
    pub(super) slot: u32,
    /// `None`: there is no logical unit behind the number, and the command is one of those answered even so.
    pub(super) unit: Option<Key>,
    pub(super) tag: u64,
    pub(super) attribute: TaskAttribute,
    pub(super) cdb: Cdb,
    pub(super) row: &'static CommandRow,
    pub(super) transfer: Transfer,
    /// Bytes the initiator said it sends.
    pub(super) data_out_len: u32,
    /// The transport's buffer, once submitted.
    pub(super) data: Span,
    /// Memory of the target's that the task holds: the same blocks again and again, or a block that is changed in part.
    /// Given back when it ends.
    pub(super) pattern: Span,
    pub(super) state: State,
    /// What follows when the present request to a volume is done.
    pub(super) work: Work,
    /// Whose channel has its present request; `None` if no volume has one.
    pub(super) at_volume: Option<Key>,
    /// It is to end like this once the volume lets go of its memory.
    pub(super) given_up: Option<Ending>,
    /// Its outcome was told, and the work goes on (IMMED).
    pub(super) answered: bool,
    /// When it was delivered, if its latency is counted.
    pub(super) delivered: Option<Time>,
}

/// Where a task stands (SAM-5, section 8.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Others come first.
    Dormant {
        /// Its data is there.
        submitted: bool,
    },
    /// It waits for its data.
    Enabled,
    /// It is being executed.
    Executing,
}

/// How a task ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// `None`: nobody is told.
    pub(super) status: Option<Status>,
    pub(super) sense: Option<Sense>,
    pub(super) data: Span,
}

/// Why a command does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// CHECK CONDITION with this sense data.
    Sense(Sense),
    /// This status alone.
    Status(Status),
}

impl Task {
    pub(super) fn new(command: &Command, unit: Option<Key>, row: &'static CommandRow) -> Self {
        Self {
            nexus: command.nexus.0,
            slot: command.slot,
            unit,
            tag: command.tag,
            attribute: command.attribute,
            cdb: command.cdb,
            row,
            transfer: Transfer::None,
            data_out_len: command.data_out_len,
            data: Span::EMPTY,
            pattern: Span::EMPTY,
            state: State::Enabled,
            work: Work::Whole,
            at_volume: None,
            given_up: None,
            answered: false,
            delivered: None,
        }
    }
}

impl Ending {
    /// Nobody is told.
    pub(super) const ABORTED: Self = Self { status: None, sense: None, data: Span::EMPTY };

    pub(super) const fn of(status: Status) -> Self {
        Self { status: Some(status), sense: None, data: Span::EMPTY }
    }

    pub(super) const fn good(data: Span) -> Self {
        Self { status: Some(Status::Good), sense: None, data }
    }

    /// True if it is to be told with sense data.
    pub(super) const fn is_check_condition(&self) -> bool {
        matches!(self.status, Some(Status::CheckCondition))
    }
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sense(sense) => {
                Self { status: Some(Status::CheckCondition), sense: Some(sense), data: Span::EMPTY }
            }
            Fault::Status(status) => Self::of(status),
        }
    }
}

impl From<Sense> for Fault {
    fn from(sense: Sense) -> Self {
        Self::Sense(sense)
    }
}
