//! Text Request and Response (RFC 7143, sections 11.10 and 11.11). The text is in the data segment.

use super::bhs::{Bhs, CONTINUE, FINAL, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

/// Text of the initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRequest {
    /// Outside of the order of commands.
    pub immediate: bool,
    /// The initiator has nothing more to say.
    pub is_final: bool,
    /// A key or value goes on in the next PDU.
    pub continues: bool,
    /// Copied from the response before.
    pub lun: Lun,
    /// The initiator's name for the exchange.
    pub task_tag: u32,
    /// Copied from the response before; the reserved tag begins an exchange.
    pub transfer_tag: u32,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// The next response expected.
    pub exp_stat_sn: Serial,
}

/// Text of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextResponse {
    /// The exchange is over.
    pub is_final: bool,
    /// A key or value goes on in the next PDU.
    pub continues: bool,
    /// For the initiator to copy.
    pub lun: Lun,
    /// The exchange.
    pub task_tag: u32,
    /// For the initiator to copy; the reserved tag if it is over.
    pub transfer_tag: u32,
    /// The sequence numbers.
    pub numbers: Numbers,
}

impl TextRequest {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let (is_final, continues) = read_flags(bhs)?;
        Ok(Self {
            immediate: bhs.is_immediate(),
            is_final,
            continues,
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
        })
    }

    /// The header for so many bytes of text.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::TextRequest, data_len).with_immediate(self.immediate);
        bhs.flags = flags(self.is_final, self.continues);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs
    }
}

impl TextResponse {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let (is_final, continues) = read_flags(bhs)?;
        Ok(Self {
            is_final,
            continues,
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            transfer_tag: bhs.word(Word::At20),
            numbers: Numbers::read(bhs),
        })
    }

    /// The header for so many bytes of text.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::TextResponse, data_len);
        bhs.flags = flags(self.is_final, self.continues);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.transfer_tag);
        self.numbers.write(&mut bhs);
        bhs
    }
}

/// Section 11.10.2: text that goes on is not at its end.
fn read_flags(bhs: &Bhs) -> Result<(bool, bool), HeaderError> {
    match (bhs.is_final(), bhs.flags & CONTINUE != 0) {
        (true, true) => Err(HeaderError::InvalidField),
        flags => Ok(flags),
    }
}

const fn flags(is_final: bool, continues: bool) -> u8 {
    (if is_final { FINAL } else { 0 }) | (if continues { CONTINUE } else { 0 })
}
