//! What is wrong with a header, and how a Reject says so.

use super::{Opcode, RejectReason};

/// A header that cannot be taken.
///
/// RFC 7143, section 7.7, ends the connection for a PDU whose layout is wrong, because nothing after it can be trusted;
/// what is laid out well and still makes no sense is rejected, and the connection goes on ([`HeaderError::is_fatal`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The operation code is none of the standard's.
    #[error("the operation code is unknown")]
    UnknownOpcode,
    /// The PDU is one that this side sends.
    #[error("a {0} came from the wrong side")]
    WrongDirection(Opcode),
    /// The data segment is longer than what the receiver declared, or than its type may have.
    #[error("the data segment is too long")]
    DataTooLong,
    /// Additional headers where none may be.
    #[error("additional headers do not belong here")]
    AdditionalHeaders,
    /// Additional headers whose lengths do not fit.
    #[error("the additional headers are not well formed")]
    AdditionalHeaderLength,
    /// The header does not match its digest.
    #[error("the header digest does not match")]
    HeaderDigest,
    /// A field has a value that the standard does not allow.
    #[error("a field of the header is invalid")]
    InvalidField,
}

impl HeaderError {
    /// Whether the connection cannot go on. Where a data segment's length is sure, its PDU can be skipped.
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::DataTooLong | Self::AdditionalHeaderLength | Self::HeaderDigest => true,
            Self::UnknownOpcode | Self::WrongDirection(_) | Self::AdditionalHeaders | Self::InvalidField => {
                false
            }
        }
    }

    /// What a Reject says of it (section 11.17.1).
    pub const fn reason(self) -> RejectReason {
        match self {
            Self::UnknownOpcode => RejectReason::CommandNotSupported,
            Self::WrongDirection(_) | Self::DataTooLong | Self::HeaderDigest => RejectReason::ProtocolError,
            Self::AdditionalHeaders | Self::AdditionalHeaderLength | Self::InvalidField => {
                RejectReason::InvalidPduField
            }
        }
    }
}
