//! SNACK Request (RFC 7143, section 11.16).

use super::bhs::{Bhs, FINAL, Word};
use super::{HeaderError, Opcode, Serial};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

codes! {
    /// What is to be sent again, or was received (section 11.16.1).
    pub enum SnackType: u8 {
        DataOrR2t = 0, "Data/R2T SNACK";
        Status = 1, "Status SNACK";
        DataAck = 2, "DataACK";
        ResegmentedData = 3, "R-Data SNACK";
    }
}

/// The initiator misses PDUs, or acknowledges data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snack {
    /// What it is about.
    pub kind: SnackType,
    /// For a DataACK: copied from the Data-In.
    pub lun: Lun,
    /// The task; the reserved tag for statuses and acknowledgements.
    pub task_tag: u32,
    /// For a DataACK the Data-In's transfer tag, for an R-Data SNACK a tag that the response is to bear.
    pub tag: u32,
    /// The next response expected.
    pub exp_stat_sn: Serial,
    /// The first number that is missing; for a DataACK the next one expected.
    pub begin: Serial,
    /// How many are missing; 0 means all from the first on.
    pub run_length: u32,
}

impl Snack {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() || bhs.data_len() > 0 {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            kind: SnackType::from_code(bhs.flags & !FINAL).ok_or(HeaderError::InvalidField)?,
            lun: bhs.logical_unit(),
            task_tag: bhs.task_tag.get(),
            tag: bhs.word(Word::At20),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
            begin: Serial(bhs.word(Word::At40)),
            run_length: bhs.word(Word::At44),
        })
    }

    /// ExpStatSN, which all requests after the login have in the same place.
    pub const fn expected_status(bhs: &Bhs) -> Serial {
        Serial(bhs.word(Word::At28))
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::Snack, 0);
        bhs.flags |= self.kind.code();
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.tag);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs.set(Word::At40, self.begin.0);
        bhs.set(Word::At44, self.run_length);
        bhs
    }
}
