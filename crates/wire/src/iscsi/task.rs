//! Task Management Function Request and Response (RFC 7143, sections 11.5 and 11.6; RFC 7144, section 5).

use super::bhs::{Bhs, FINAL, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

codes! {
    /// What is to be done.
    pub enum TaskFunction: u8 {
        AbortTask = 1, "ABORT TASK";
        AbortTaskSet = 2, "ABORT TASK SET";
        ClearAca = 3, "CLEAR ACA";
        ClearTaskSet = 4, "CLEAR TASK SET";
        LogicalUnitReset = 5, "LOGICAL UNIT RESET";
        TargetWarmReset = 6, "TARGET WARM RESET";
        TargetColdReset = 7, "TARGET COLD RESET";
        TaskReassign = 8, "TASK REASSIGN";
        QueryTask = 9, "QUERY TASK";
        QueryTaskSet = 10, "QUERY TASK SET";
        NexusReset = 11, "I_T NEXUS RESET";
        QueryAsynchronousEvent = 12, "QUERY ASYNCHRONOUS EVENT";
    }
}

codes! {
    /// What came of it.
    pub enum TaskResult: u8 {
        Complete = 0, "Function complete";
        NoSuchTask = 1, "Task does not exist";
        NoSuchLun = 2, "LUN does not exist";
        StillAllegiant = 3, "Task still allegiant";
        ReassignmentNotSupported = 4, "Task allegiance reassignment not supported";
        NotSupported = 5, "Task management function not supported";
        NotAuthorized = 6, "Function authorization failed";
        Succeeded = 7, "Function succeeded";
        Rejected = 255, "Function rejected";
    }
}

/// The initiator manages its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRequest {
    /// Outside of the order of commands.
    pub immediate: bool,
    /// The code of what is to be done; see [`TaskFunction`]. Unknown ones have an answer of their own.
    pub function: u8,
    /// The logical unit.
    pub lun: Lun,
    /// The initiator's name for this request.
    pub task_tag: u32,
    /// The tag of the task it is about.
    pub referenced_tag: u32,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// The next response expected.
    pub exp_stat_sn: Serial,
    /// The CmdSN of the task it is about.
    pub referenced_cmd_sn: Serial,
    /// For TASK REASSIGN: the next Data-In or R2T expected.
    pub exp_data_sn: Serial,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskResponse {
    /// What came of it.
    pub result: TaskResult,
    /// The request's tag.
    pub task_tag: u32,
    /// The sequence numbers.
    pub numbers: Numbers,
}

impl TaskRequest {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() || bhs.data_len() > 0 {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            immediate: bhs.is_immediate(),
            function: bhs.flags & !FINAL,
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            referenced_tag: bhs.word(Word::At20),
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
            referenced_cmd_sn: Serial(bhs.word(Word::At32)),
            exp_data_sn: Serial(bhs.word(Word::At36)),
        })
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::TaskRequest, 0).with_immediate(self.immediate);
        bhs.flags |= self.function & !FINAL;
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.referenced_tag);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs.set(Word::At32, self.referenced_cmd_sn.0);
        bhs.set(Word::At36, self.exp_data_sn.0);
        bhs
    }
}

impl TaskResponse {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            result: TaskResult::from_code(bhs.specific[0]).ok_or(HeaderError::InvalidField)?,
            task_tag: bhs.task_tag.get(),
            numbers: Numbers::read(bhs),
        })
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::TaskResponse, 0);
        bhs.specific[0] = self.result.code();
        bhs.task_tag = U32::new(self.task_tag);
        self.numbers.write(&mut bhs);
        bhs
    }
}
