//! The Fabrics commands: Connect, Property Get and Set, Disconnect (Base 6).
//!
//! All have opcode 7Fh; the type stands in the low byte of the namespace identifier. Authentication Send and Receive
//! exist here as codes only.

mod connect;
mod property;
mod registers;

pub use connect::{
    CONNECT_DATA_LEN, Connect, ConnectAttributes, ConnectData, ConnectField, ConnectResult, HostId,
};
pub use property::{Property, PropertyGet, PropertySet, PropertySize};
pub use registers::{
    CC_COMMAND_SET_ALL, CC_COMMAND_SET_NVM, Capabilities, Configuration, ControllerStatus,
    ShutdownNotification, ShutdownStatus, Version,
};

use super::command::SubmissionQueueEntry;
use super::opcode::{FABRICS_OPCODE, FabricsCommandType};

/// A Fabrics command with its type and nothing else.
pub(crate) fn command(kind: FabricsCommandType, command_id: u16) -> SubmissionQueueEntry {
    SubmissionQueueEntry::new(FABRICS_OPCODE, command_id).with_namespace(u32::from(kind.code()))
}

/// The Disconnect command that ends an I/O queue (Base 6.4), record format 0.
pub fn disconnect(command_id: u16) -> SubmissionQueueEntry {
    command(FabricsCommandType::Disconnect, command_id)
}
