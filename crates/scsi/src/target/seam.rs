//! What passes between a transport and the `Target`: the transport protocol services of SAM-5 (section 5.4 and 7.12), as
//! calls and their outcomes.
//!
//! A transport knows connections, PDUs and buffers; the target knows nexuses, logical units and tasks. For each command, in
//! the order in which the transport's rules deliver it (iSCSI: CmdSN), a transport calls `begin`. The task is then in its
//! logical unit's task set, and the answer says which data it moves. When the data has come, or the buffer for it is there,
//! the transport calls `submit`; at once if there is none to move. Each task begun ends in exactly one [`Outcome`] of `poll`,
//! whatever happens to its nexus meanwhile, and that may be before it was submitted: an unknown logical unit, a unit
//! attention, a reservation, an abort. The transport then takes the data that still arrives and drops it.
//!
//! Residuals are the transport's: it compares what the initiator expected with [`Transfer`] and [`Outcome::data`], also when
//! the command fails. It sends no more of the data than the initiator expects.

use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::{Cdb, Lun, Sense, Status};

/// An I_T nexus: one initiator port on one port of one device. An iSCSI session, an SRP login.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NexusKey(pub Key);

/// A task in a task set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskKey(pub Key);

/// A command as it arrived (SAM-5, section 5.1: Execute Command).
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The nexus it came through.
    pub nexus: NexusKey,
    /// The transport's name for the task within its nexus; comes back in the outcome. Several connections may serve one
    /// nexus, and a task may change from one to another: that is the transport's business.
    pub slot: u32,
    /// The logical unit.
    pub lun: Lun,
    /// The initiator's tag, by which task management names it.
    pub tag: u64,
    /// How it is ordered against others.
    pub attribute: TaskAttribute,
    /// The command descriptor block.
    pub cdb: Cdb,
    /// Bytes the initiator is ready to send.
    pub data_out_len: u32,
    /// Bytes the initiator is ready to take.
    pub data_in_len: u32,
}

/// How a task is ordered in its task set (SAM-5, section 8.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskAttribute {
    /// In any order with other simple ones.
    Simple,
    /// After everything before it, before everything after it.
    Ordered,
    /// Before everything that has not begun.
    HeadOfQueue,
    /// Clears, or is part of, an auto contingent allegiance.
    Aca,
}

/// A command was taken on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// The task, to submit it. Not valid after its outcome.
    pub task: TaskKey,
    /// Which data it moves.
    pub transfer: Transfer,
}

/// Which data a command moves, as its CDB says. Nothing if it is known already that it fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// None.
    None,
    /// From the initiator.
    Out {
        /// Bytes the command wants. A transport that is offered fewer submits what there is: the target answers that.
        len: u32,
    },
    /// To the initiator.
    In {
        /// The most bytes there can be: the buffer is this long, however little the initiator expects.
        len: u32,
        /// The volume lends its memory: a task submitted without a buffer is answered with a span of the volume's own.
        lent: bool,
    },
    /// From the initiator, and as much back: what is to be sent takes the place of what came, in the same buffer. Of
    /// transports that move data both ways alone ([`Protocol::moves_both_ways`](super::Protocol)).
    Both {
        /// Bytes of each. A transport that is offered fewer submits what there is: the target answers that.
        len: u32,
    },
}

/// A task has ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The task's nexus.
    pub nexus: NexusKey,
    /// The task's slot.
    pub slot: u32,
    /// How it ended. `None`: it was aborted, and nobody is to be told (SAM-5, section 5.6).
    pub status: Option<Status>,
    /// Sense data, with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// What to send before the status: the front of the submitted buffer, or memory the volume lends, which holds until
    /// the next call. Empty if there is nothing to send. The submitted buffer is the transport's again.
    pub data: Span,
}

/// A task management request (SAM-5, section 7).
#[derive(Clone, Copy, Debug)]
pub struct Management {
    /// The nexus it came through.
    pub nexus: NexusKey,
    /// The transport's name for the request; comes back in its outcome.
    pub slot: u32,
    /// The logical unit.
    pub lun: Lun,
    /// What is to be done.
    pub function: Function,
}

/// Task management functions (SAM-5, table 40).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// One task ends.
    AbortTask {
        /// Its tag.
        tag: u64,
    },
    /// All tasks of this nexus on the logical unit end.
    AbortTaskSet,
    /// All tasks on the logical unit end.
    ClearTaskSet,
    /// The auto contingent allegiance ends.
    ClearAca,
    /// The logical unit is as after power on.
    LogicalUnitReset,
    /// All logical units of the device are (iSCSI's TARGET WARM RESET, SRP's older TARGET RESET).
    TargetReset,
    /// The nexus is lost, and found again.
    NexusReset,
    /// Is the task there?
    QueryTask {
        /// Its tag.
        tag: u64,
    },
    /// Is any task of this nexus on the logical unit there?
    QueryTaskSet,
    /// Is a unit attention waiting?
    QueryAsynchronousEvent,
}

/// What came of a task management request. The outcomes of all tasks it ended came before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ManagementOutcome {
    /// Done; for a query: no.
    Complete,
    /// For a query: yes.
    Succeeded,
    /// No such task.
    NoSuchTask,
    /// No such logical unit.
    IncorrectLun,
    /// Not supported.
    Rejected,
}
