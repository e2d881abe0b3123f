//! SCSI Data-Out and Data-In (RFC 7143, section 11.7).

use super::bhs::{Bhs, FINAL, Word};
use super::response::{OVERFLOW, Residual, UNDERFLOW};
use super::{HeaderError, Numbers, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

/// Data from the initiator: unsolicited, or for an R2T.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataOut {
    /// The last of its sequence.
    pub is_final: bool,
    /// The logical unit, if it answers an R2T.
    pub lun: Lun,
    /// The task.
    pub task_tag: u32,
    /// The R2T it answers; the reserved tag if it is unsolicited.
    pub transfer_tag: u32,
    /// The next response expected.
    pub exp_stat_sn: Serial,
    /// Its number in its sequence.
    pub data_sn: Serial,
    /// Where in the command's data it begins, in bytes.
    pub offset: u32,
}

/// Data for the initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataIn {
    /// The last of its sequence.
    pub is_final: bool,
    /// The initiator is to tell by a SNACK that it has everything up to here.
    pub acknowledge: bool,
    /// The logical unit, if it is to be acknowledged.
    pub lun: Lun,
    /// The task.
    pub task_tag: u32,
    /// What the acknowledgement bears; the reserved tag if none is wanted.
    pub transfer_tag: u32,
    /// The sequence numbers; StatSN only if there is a status.
    pub numbers: Numbers,
    /// Its number among the task's Data-In.
    pub data_sn: Serial,
    /// Where in the command's data it begins, in bytes.
    pub offset: u32,
    /// The command's status, if no response follows.
    pub status: Option<DataInStatus>,
}

/// A status that comes along with the last data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataInStatus {
    /// The SCSI status: one without sense data.
    pub status: u8,
    /// The difference in data.
    pub residual: Residual,
}

impl DataOut {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        Ok(Self {
            is_final: bhs.is_final(),
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
            data_sn: Serial(bhs.word(Word::At36)),
            offset: bhs.word(Word::At40),
        })
    }

    /// The header for so many bytes of data.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::DataOut, data_len);
        bhs.flags = if self.is_final { FINAL } else { 0 };
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs.set(Word::At36, self.data_sn.0);
        bhs.set(Word::At40, self.offset);
        bhs
    }
}

impl DataIn {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let flag = |bit| bhs.flags & bit != 0;
        let status = if flag(STATUS) {
            // Section 11.7.3: a status ends the data.
            if !bhs.is_final() {
                return Err(HeaderError::InvalidField);
            }
            let residual = Residual::read(flag(OVERFLOW), flag(UNDERFLOW), bhs.word(Word::At44))?;
            Some(DataInStatus { status: bhs.specific[1], residual })
        } else {
            None
        };
        Ok(Self {
            is_final: bhs.is_final(),
            acknowledge: flag(ACKNOWLEDGE),
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            numbers: Numbers::read(bhs),
            data_sn: Serial(bhs.word(Word::At36)),
            offset: bhs.word(Word::At40),
            status,
        })
    }

    /// The header for so many bytes of data.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::DataIn, data_len);
        let flag = |set, bit| if set { bit } else { 0 };
        bhs.flags = flag(self.is_final, FINAL) | flag(self.acknowledge, ACKNOWLEDGE);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At36, self.data_sn.0);
        bhs.set(Word::At40, self.offset);
        if let Some(DataInStatus { status, residual }) = self.status {
            let (overflow, underflow, count) = residual.parts();
            bhs.flags |= STATUS | flag(overflow, OVERFLOW) | flag(underflow, UNDERFLOW);
            bhs.specific[1] = status;
            bhs.set(Word::At44, count);
        }
        bhs
    }
}

const ACKNOWLEDGE: u8 = 0x40;
const STATUS: u8 = 0x01;
