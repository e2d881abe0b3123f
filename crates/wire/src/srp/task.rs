//! SRP_TSK_MGMT (section 6.7): a request to manage tasks. It is answered by an SRP_RSP with response data.

use super::Opcode;
use crate::scsi::Lun;
use crate::{Truncated, view};
use zerocopy::big_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the unit.
pub const TASK_LEN: usize = 48;

codes! {
    /// What is to be done.
    pub enum TaskFunction: u8 {
        AbortTask = 0x01, "ABORT TASK";
        AbortTaskSet = 0x02, "ABORT TASK SET";
        ClearTaskSet = 0x04, "CLEAR TASK SET";
        LogicalUnitReset = 0x08, "LOGICAL UNIT RESET";
        ClearAca = 0x40, "CLEAR ACA";
    }
}

/// The initiator manages its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRequest {
    /// The initiator's name for the request.
    pub tag: u64,
    /// The logical unit.
    pub lun: Lun,
    /// The code of what is to be done; see [`TaskFunction`]. Unknown ones have an answer of their own.
    pub function: u8,
    /// The tag of the command to abort.
    pub task_tag: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    solicited: u8,
    reserved_1: [u8; 6],
    tag: U64,
    reserved_2: [u8; 4],
    lun: [u8; 8],
    reserved_3: [u8; 2],
    function: u8,
    reserved_4: u8,
    task_tag: U64,
    reserved_5: [u8; 8],
}

impl TaskRequest {
    /// Reads an IU of this type.
    ///
    /// # Errors
    /// It is too short.
    pub fn decode(iu: &[u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(iu)?;
        Ok(Self {
            tag: layout.tag.get(),
            lun: Lun(layout.lun),
            function: layout.function,
            task_tag: layout.task_tag.get(),
        })
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; TASK_LEN] {
        zerocopy::transmute!(Layout {
            opcode: Opcode::TaskManagement.code(),
            solicited: 0,
            reserved_1: [0; 6],
            tag: U64::new(self.tag),
            reserved_2: [0; 4],
            lun: self.lun.0,
            reserved_3: [0; 2],
            function: self.function,
            reserved_4: 0,
            task_tag: U64::new(self.task_tag),
            reserved_5: [0; 8],
        })
    }
}
