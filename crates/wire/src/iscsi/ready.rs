//! Ready To Transfer (RFC 7143, section 11.8).

use super::bhs::{Bhs, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

/// The target asks for a part of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct R2t {
    /// The logical unit.
    pub lun: Lun,
    /// The task.
    pub task_tag: u32,
    /// What the data will bear.
    pub transfer_tag: u32,
    /// The sequence numbers; StatSN is the next, this PDU has none.
    pub numbers: Numbers,
    /// Its number among the task's R2Ts.
    pub r2t_sn: Serial,
    /// Where in the command's data it begins, in bytes.
    pub offset: u32,
    /// Bytes wanted: at least one, at most MaxBurstLength.
    pub length: u32,
}

impl R2t {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let length = bhs.word(Word::At44);
        if !bhs.is_final() || length == 0 || bhs.data_len() > 0 {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            numbers: Numbers::read(bhs),
            r2t_sn: Serial(bhs.word(Word::At36)),
            offset: bhs.word(Word::At40),
            length,
        })
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::R2t, 0);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At36, self.r2t_sn.0);
        bhs.set(Word::At40, self.offset);
        bhs.set(Word::At44, self.length);
        bhs
    }
}
