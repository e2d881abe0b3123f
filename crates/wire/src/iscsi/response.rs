//! SCSI Response (RFC 7143, section 11.4).

use super::bhs::{Bhs, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use zerocopy::big_endian::U32;

codes! {
    /// Whether the target could deal with the command at all (section 11.4.3).
    pub enum ServiceResponse: u8 {
        Completed = 0x00, "Command completed at target";
        TargetFailure = 0x01, "Target failure";
    }
}

/// How the bytes moved differ from the bytes expected (section 11.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Residual {
    /// Not at all.
    #[default]
    None,
    /// So many bytes less were moved.
    Underflow(u32),
    /// So many bytes more would have been.
    Overflow(u32),
}

/// How a command ended. The data segment has the length of the sense data in two bytes, and the sense data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScsiResponse {
    /// Whether it was completed.
    pub response: ServiceResponse,
    /// The SCSI status, if it was completed.
    pub status: u8,
    /// The task.
    pub task_tag: u32,
    /// The tag of a SNACK that led to data being sent anew; 0 otherwise.
    pub snack_tag: u32,
    /// The sequence numbers.
    pub numbers: Numbers,
    /// How many Data-In (or R2T) were sent.
    pub exp_data_sn: Serial,
    /// The difference in data read by a command that moves both ways.
    pub bidirectional: Residual,
    /// The difference in data.
    pub residual: Residual,
}

impl Residual {
    /// Compares what the initiator expected with what the command has, in bytes.
    pub const fn between(expected: u32, actual: u32) -> Self {
        if actual < expected {
            Self::Underflow(expected - actual)
        } else if actual > expected {
            Self::Overflow(actual - expected)
        } else {
            Self::None
        }
    }

    /// From the overflow bit, the underflow bit, and the count. Section 11.4.1: not both.
    pub(super) const fn read(overflow: bool, underflow: bool, count: u32) -> Result<Self, HeaderError> {
        match (overflow, underflow) {
            (false, false) => Ok(Self::None),
            (true, false) => Ok(Self::Overflow(count)),
            (false, true) => Ok(Self::Underflow(count)),
            (true, true) => Err(HeaderError::InvalidField),
        }
    }

    /// Whether it overflows, whether it underflows, by how much.
    pub(super) const fn parts(self) -> (bool, bool, u32) {
        match self {
            Self::None => (false, false, 0),
            Self::Underflow(count) => (false, true, count),
            Self::Overflow(count) => (true, false, count),
        }
    }
}

impl ScsiResponse {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let flag = |bit| bhs.flags & bit != 0;
        let [response, status] = bhs.specific;
        Ok(Self {
            response: ServiceResponse::from_code(response).ok_or(HeaderError::InvalidField)?,
            status,
            task_tag: bhs.task_tag.get(),
            snack_tag: bhs.word(Word::At20),
            numbers: Numbers::read(bhs),
            exp_data_sn: Serial(bhs.word(Word::At36)),
            bidirectional: Residual::read(flag(READ_OVERFLOW), flag(READ_UNDERFLOW), bhs.word(Word::At40))?,
            residual: Residual::read(flag(OVERFLOW), flag(UNDERFLOW), bhs.word(Word::At44))?,
        })
    }

    /// The header for so many bytes of sense data with their length.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::ScsiResponse, data_len);
        let flag = |set, bit| if set { bit } else { 0 };
        let (overflow, underflow, count) = self.residual.parts();
        let (read_overflow, read_underflow, read_count) = self.bidirectional.parts();
        bhs.flags |= flag(overflow, OVERFLOW)
            | flag(underflow, UNDERFLOW)
            | flag(read_overflow, READ_OVERFLOW)
            | flag(read_underflow, READ_UNDERFLOW);
        bhs.specific = [self.response.code(), self.status];
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, self.snack_tag);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At36, self.exp_data_sn.0);
        bhs.set(Word::At40, read_count);
        bhs.set(Word::At44, count);
        bhs
    }
}

const READ_OVERFLOW: u8 = 0x10;
const READ_UNDERFLOW: u8 = 0x08;
pub(super) const OVERFLOW: u8 = 0x04;
pub(super) const UNDERFLOW: u8 = 0x02;
