//! Reject (RFC 7143, section 11.17). The data segment has the header that was rejected.

use super::bhs::{Bhs, Word};
use super::{HeaderError, Numbers, Opcode, RESERVED_TAG, Serial};
use zerocopy::big_endian::U32;

codes! {
    /// Why a PDU was rejected (section 11.17.1).
    pub enum RejectReason: u8 {
        DataDigestError = 0x02, "Data (payload) digest error";
        SnackReject = 0x03, "SNACK reject";
        ProtocolError = 0x04, "Protocol error";
        CommandNotSupported = 0x05, "Command not supported";
        ImmediateCommandReject = 0x06, "Immediate command reject";
        TaskInProgress = 0x07, "Task in progress";
        InvalidDataAck = 0x08, "Invalid data ACK";
        InvalidPduField = 0x09, "Invalid PDU field";
        LongOperationReject = 0x0a, "Long operation reject";
        NegotiationReset = 0x0b, "Negotiation reset";
        WaitingForLogout = 0x0c, "Waiting for logout";
    }
}

/// The target does not take a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// The sequence numbers.
    pub numbers: Numbers,
    /// For a protocol error of a data transfer, or a SNACK: the next DataSN or R2TSN of the task.
    pub data_sn: Serial,
}

impl Reject {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        Ok(Self {
            reason: RejectReason::from_code(bhs.specific[0]).ok_or(HeaderError::InvalidField)?,
            numbers: Numbers::read(bhs),
            data_sn: Serial(bhs.word(Word::At36)),
        })
    }

    /// The header for so many bytes of a rejected header.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::Reject, data_len);
        bhs.specific[0] = self.reason.code();
        bhs.task_tag = U32::new(RESERVED_TAG);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At36, self.data_sn.0);
        bhs
    }
}
