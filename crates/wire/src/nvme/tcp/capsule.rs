//! CapsuleCmd and CapsuleResp: a queue entry behind a common header (TCP Transport 3.6.2.5, 3.6.2.6).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{HeaderError, HeaderField};
use super::header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType};
use crate::BufferTooSmall;
use crate::nvme::command::SubmissionQueueEntry;
use crate::nvme::completion::CompletionQueueEntry;

/// The header of a command capsule: 72 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CapsuleCmd {
    /// Common header.
    pub common: CommonHeader,
    /// The command.
    pub command: SubmissionQueueEntry,
}

/// A response capsule: 24 bytes, never with data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CapsuleResp {
    /// Common header.
    pub common: CommonHeader,
    /// The completion.
    pub completion: CompletionQueueEntry,
}

impl CapsuleCmd {
    /// Bytes of the header.
    pub const LEN: usize = 72;

    /// Borrows the header from a PDU whose common header passed [`CommonHeader::check`].
    pub fn view(header: &[u8]) -> Result<&Self, HeaderError> {
        crate::view(header).map_err(|_| HeaderError::InvalidField(HeaderField::HeaderLength))
    }

    /// Writes the header of a capsule with `data_len` bytes of data to the front of `out`; digest and padding are
    /// left to [`PduLayout::seal`].
    pub fn encode(
        command: &SubmissionQueueEntry,
        digests: Digests,
        alignment: DataAlignment,
        data_len: u32,
        out: &mut [u8],
    ) -> Result<PduLayout, BufferTooSmall> {
        let layout = PduLayout::plan(PduType::CapsuleCmd, Flags::NONE, digests, alignment, data_len);
        crate::put(&Self { common: layout.common_header(), command: *command }, out)?;
        Ok(layout)
    }
}

impl CapsuleResp {
    /// Bytes of the PDU without digest.
    pub const LEN: usize = 24;

    /// Borrows the header from a PDU whose common header passed [`CommonHeader::check`].
    pub fn view(header: &[u8]) -> Result<&Self, HeaderError> {
        crate::view(header).map_err(|_| HeaderError::InvalidField(HeaderField::HeaderLength))
    }

    /// Writes the PDU to the front of `out`; the digest is left to [`PduLayout::seal`].
    pub fn encode(
        completion: &CompletionQueueEntry,
        digests: Digests,
        out: &mut [u8],
    ) -> Result<PduLayout, BufferTooSmall> {
        let alignment = DataAlignment::default();
        let layout = PduLayout::plan(PduType::CapsuleResp, Flags::NONE, digests, alignment, 0);
        crate::put(&Self { common: layout.common_header(), completion: *completion }, out)?;
        Ok(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvme::status::Status;
    use crate::nvme::tcp::{HeaderRules, Phase, Receiver};

    #[test]
    fn a_command_with_data_is_laid_out_as_its_receiver_checks_it() {
        let digests = Digests { header: true, data: true };
        let alignment = DataAlignment::from_code(15).unwrap();
        let command = SubmissionQueueEntry::new(0x01, 4);
        let mut out = [0; 128];
        let layout = CapsuleCmd::encode(&command, digests, alignment, 512, &mut out).unwrap();
        assert_eq!((layout.data_offset, layout.pdu_len), (128, 644));
        let rules = HeaderRules {
            phase: Phase::Established,
            digests,
            alignment,
            in_capsule_max: 512,
            ..HeaderRules::initialization(Receiver::Controller)
        };
        let view = CapsuleCmd::view(&out).unwrap();
        assert_eq!(view.common.check(&rules), Ok(layout));
        assert_eq!(view.command, command);
    }

    #[test]
    fn a_response_is_its_completion() {
        let completion = CompletionQueueEntry::new(9, Status::SUCCESS).with_result(7);
        let mut out = [0; 24];
        let layout = CapsuleResp::encode(&completion, Digests::default(), &mut out).unwrap();
        assert_eq!(layout.seal(&mut out, |_| 0), Ok(24));
        assert_eq!(out[..8], [5, 0, 24, 0, 24, 0, 0, 0]);
        assert_eq!(CapsuleResp::view(&out).unwrap().completion, completion);
        assert!(CapsuleResp::view(&out[..23]).is_err());
    }
}
