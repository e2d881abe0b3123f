//! What is wrong with a PDU, and how a termination request says so (TCP Transport 3.6.2.3, 3.6.2.4, 3.5).

codes! {
    /// Fatal error status (FES, TCP Transport figures 24 and 26).
    pub enum FatalErrorStatus: u16 {
        InvalidHeaderField = 0x01, "Invalid PDU Header Field";
        SequenceError = 0x02, "PDU Sequence Error";
        HeaderDigestError = 0x03, "Header Digest Error";
        DataTransferOutOfRange = 0x04, "Data Transfer Out of Range";
        LimitExceeded = 0x05, "Data Transfer or R2T Limit Exceeded";
        UnsupportedParameter = 0x06, "Unsupported Parameter";
    }
}

/// What a termination request carries: a status and, for two of them, the offset of the field to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FatalError {
    /// Fatal error status (FES).
    pub status: FatalErrorStatus,
    /// Fatal error information (FEI): bytes from the start of the header to the field, 0 where no field is to blame.
    pub information: u32,
}

/// A reason to end the connection.
///
/// A data digest that does not match is none of them: it fails the one command with the status "Transient Transport
/// Error" (TCP Transport 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A field has a value that is never legal here.
    #[error("the PDU header field {0} is invalid")]
    InvalidField(HeaderField),
    /// A field has a legal value that this side does not support.
    #[error("the value of the PDU header field {0} is not supported")]
    UnsupportedParameter(HeaderField),
    /// The PDU is not expected in this phase.
    #[error("the PDU is out of sequence")]
    Sequence,
    /// The header does not match its digest.
    #[error("the header digest does not match")]
    HeaderDigest,
    /// Data outside of what was asked for.
    #[error("data outside the range of the transfer")]
    DataOutOfRange,
    /// More data in one PDU than the receiver announced (MAXH2CDATA, in-capsule size).
    #[error("more data than the limit for one PDU")]
    DataLimitExceeded,
    /// More R2Ts outstanding for a command than the host announced (MAXR2T).
    #[error("more R2Ts than the limit for one command")]
    R2tLimitExceeded,
}

impl HeaderError {
    /// What the termination request is to carry.
    pub const fn fatal_error(self) -> FatalError {
        let (status, information) = match self {
            Self::InvalidField(field) => (FatalErrorStatus::InvalidHeaderField, field.offset()),
            Self::UnsupportedParameter(field) => (FatalErrorStatus::UnsupportedParameter, field.offset()),
            Self::Sequence => (FatalErrorStatus::SequenceError, 0),
            Self::HeaderDigest => (FatalErrorStatus::HeaderDigestError, 0),
            Self::DataOutOfRange => (FatalErrorStatus::DataTransferOutOfRange, 0),
            Self::DataLimitExceeded | Self::R2tLimitExceeded => (FatalErrorStatus::LimitExceeded, 0),
        };
        FatalError { status, information }
    }
}

/// The fields a termination request can blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderField {
    /// PDU-Type.
    PduType,
    /// FLAGS.
    Flags,
    /// HLEN.
    HeaderLength,
    /// PDO.
    DataOffset,
    /// PLEN.
    PduLength,
    /// PFV of ICReq and ICResp.
    FormatVersion,
    /// HPDA of ICReq, CPDA of ICResp.
    DataAlignment,
    /// DGST of ICReq and ICResp.
    Digest,
    /// MAXH2CDATA of ICResp.
    MaxH2cData,
    /// The command identifier in the entry of CapsuleCmd.
    SubmissionCommandId,
    /// The SGL descriptor in the entry of CapsuleCmd.
    Sgl,
    /// The command identifier in the entry of CapsuleResp.
    CompletionCommandId,
    /// CCCID of H2CData, C2HData and R2T.
    CommandId,
    /// TTAG of H2CData and R2T.
    TransferTag,
    /// DATAO of H2CData and C2HData, R2TO of R2T.
    TransferOffset,
    /// DATAL of H2CData and C2HData, R2TL of R2T.
    TransferLength,
    /// FES of the termination requests.
    FatalErrorStatus,
}

impl HeaderField {
    /// Bytes from the start of the header to the field.
    pub const fn offset(self) -> u32 {
        match self {
            Self::PduType => 0,
            Self::Flags => 1,
            Self::HeaderLength => 2,
            Self::DataOffset => 3,
            Self::PduLength => 4,
            Self::FormatVersion | Self::CommandId | Self::FatalErrorStatus => 8,
            Self::DataAlignment | Self::TransferTag | Self::SubmissionCommandId => 10,
            Self::Digest => 11,
            Self::MaxH2cData | Self::TransferOffset => 12,
            Self::TransferLength => 16,
            Self::CompletionCommandId => 20,
            Self::Sgl => 32,
        }
    }

    /// The standard's short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PduType => "PDU-Type",
            Self::Flags => "FLAGS",
            Self::HeaderLength => "HLEN",
            Self::DataOffset => "PDO",
            Self::PduLength => "PLEN",
            Self::FormatVersion => "PFV",
            Self::DataAlignment => "HPDA/CPDA",
            Self::Digest => "DGST",
            Self::MaxH2cData => "MAXH2CDATA",
            Self::SubmissionCommandId | Self::CompletionCommandId => "CID",
            Self::Sgl => "SGL1",
            Self::CommandId => "CCCID",
            Self::TransferTag => "TTAG",
            Self::TransferOffset => "DATAO/R2TO",
            Self::TransferLength => "DATAL/R2TL",
            Self::FatalErrorStatus => "FES",
        }
    }
}

impl core::fmt::Display for HeaderField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
