//! NOP-Out and NOP-In: the heartbeat of either side (RFC 7143, sections 11.18 and 11.19).

use super::bhs::{Bhs, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

/// The initiator asks, or answers, or only tells its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NopOut {
    /// Outside of the order of commands.
    pub immediate: bool,
    /// Copied from the NOP-In it answers.
    pub lun: Lun,
    /// Its tag if an answer is wanted.
    pub task_tag: u32,
    /// The tag of the NOP-In it answers.
    pub transfer_tag: u32,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// The next response expected.
    pub exp_stat_sn: Serial,
}

/// The target asks, or answers, or only tells its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NopIn {
    /// For the initiator to copy.
    pub lun: Lun,
    /// The tag of the NOP-Out it answers.
    pub task_tag: u32,
    /// Its tag if an answer is wanted.
    pub transfer_tag: u32,
    /// StatSN counts only if this is an answer.
    pub numbers: Numbers,
}

impl NopOut {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            immediate: bhs.is_immediate(),
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
        })
    }

    /// The header for so many bytes of ping data.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::NopOut, data_len).with_immediate(self.immediate);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs
    }
}

impl NopIn {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            numbers: Numbers::read(bhs),
        })
    }

    /// The header for so many bytes of ping data.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::NopIn, data_len);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        self.numbers.write(&mut bhs);
        bhs
    }
}
