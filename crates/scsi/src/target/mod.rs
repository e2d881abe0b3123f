//! The target side of SAM-5: devices with their logical units, nexuses, task sets, and the commands of SPC-4 and SBC-3.
//!
//! What it is not: it sees no PDU, knows no iSCSI name rule, and holds no buffer but those a transport lends it for a task.

mod executor;
mod seam;

pub use executor::Executor;
pub use seam::{
    Begun, Command, Function, Management, ManagementOutcome, NexusKey, Outcome, TaskAttribute, TaskKey,
    Transfer,
};
