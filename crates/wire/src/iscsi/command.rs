//! SCSI Command (RFC 7143, section 11.3).

use super::bhs::{Bhs, FINAL, Word};
use super::{HeaderError, Opcode, Serial};
use crate::scsi::{Cdb, Lun};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U32;

codes! {
    /// How a task is ordered (section 11.3.1).
    pub enum TaskAttributeCode: u8 {
        Untagged = 0, "Untagged";
        Simple = 1, "Simple";
        Ordered = 2, "Ordered";
        HeadOfQueue = 3, "Head of queue";
        Aca = 4, "ACA";
    }
}

/// A command for a logical unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScsiCommand {
    /// Outside of the order of commands.
    pub immediate: bool,
    /// No unsolicited Data-Out follows.
    pub is_final: bool,
    /// Data to the initiator is expected.
    pub read: bool,
    /// Data from the initiator is expected.
    pub write: bool,
    /// How it is ordered against others.
    pub attribute: TaskAttributeCode,
    /// The logical unit.
    pub lun: Lun,
    /// The initiator's name for the task.
    pub task_tag: u32,
    /// Bytes expected to move: of the write, if both ways.
    pub expected_length: u32,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// The next response expected.
    pub exp_stat_sn: Serial,
    /// The first 16 bytes of the command descriptor block.
    pub cdb: Cdb,
}

impl ScsiCommand {
    /// CmdSN alone, which every numbered PDU has in the same place.
    pub const fn number(bhs: &Bhs) -> Serial {
        Serial(bhs.word(Word::At24))
    }

    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let flags = bhs.flags;
        let mut cdb = Cdb([0; 16]);
        for (to, from) in cdb.0.iter_mut().zip(bhs.words[CDB_WORD..].as_bytes()) {
            *to = *from;
        }
        let command = Self {
            immediate: bhs.is_immediate(),
            is_final: flags & FINAL != 0,
            read: flags & READ != 0,
            write: flags & WRITE != 0,
            attribute: TaskAttributeCode::from_code(flags & ATTRIBUTE).ok_or(HeaderError::InvalidField)?,
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            expected_length: bhs.word(Word::At20),
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
            cdb,
        };
        // Section 11.3.1: without the final bit data must follow, and only writes have such data.
        if !command.is_final && !command.write {
            return Err(HeaderError::InvalidField);
        }
        Ok(command)
    }

    /// The header for so many bytes of immediate data, without additional headers.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::ScsiCommand, data_len).with_immediate(self.immediate);
        let flag = |set, bit| if set { bit } else { 0 };
        bhs.flags = flag(self.is_final, FINAL)
            | flag(self.read, READ)
            | flag(self.write, WRITE)
            | self.attribute.code();
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.expected_length);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        for (to, from) in bhs.words[CDB_WORD..].as_mut_bytes().iter_mut().zip(self.cdb.0) {
            *to = from;
        }
        bhs
    }
}

/// The command descriptor block begins at byte 32.
const CDB_WORD: usize = Word::At32 as usize;

const READ: u8 = 0x40;
const WRITE: u8 = 0x20;
const ATTRIBUTE: u8 = 0x07;
