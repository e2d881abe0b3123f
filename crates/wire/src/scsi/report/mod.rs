//! The data of the REPORT commands: target port groups (SPC-4, sections 6.37 and 6.45), operation codes and task
//! management functions (sections 6.35 and 6.36).

mod groups;
mod opcodes;

pub use groups::{AccessState, GroupDescriptor, GroupReportHeader, SetGroupDescriptor, StatusCode};
pub use opcodes::{CommandDescriptor, OneCommandHeader, Reporting, TIMEOUTS_LEN, TaskFunctions, Timeouts};
