//! H2CTermReq and C2HTermReq: the last words on a connection (TCP Transport 3.6.2.3, 3.6.2.4).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::check::Receiver;
use super::error::{FatalError, FatalErrorStatus, HeaderError, HeaderField};
use super::header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType};
use crate::BufferTooSmall;

/// The longest termination request, in bytes: its header and 128 bytes of the PDU that caused it.
pub const TERMINATE_LEN_MAX: usize = 152;

/// A termination request without the copy of the offending header that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermReq {
    /// Fatal error status (FES) as received.
    pub status_code: u16,
    /// Fatal error information (FEI).
    pub information: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    common: CommonHeader,
    status: U16,
    information: U32,
    reserved: [u8; 10],
}

impl TermReq {
    /// A request that reports this error.
    pub const fn new(error: FatalError) -> Self {
        Self { status_code: error.status.code(), information: error.information }
    }

    /// The status, `None` if the peer sent a code that is not defined.
    pub const fn status(&self) -> Option<FatalErrorStatus> {
        FatalErrorStatus::from_code(self.status_code)
    }

    /// Reads a header that passed [`CommonHeader::check`].
    pub fn decode(header: &[u8]) -> Result<Self, HeaderError> {
        let raw: &Raw =
            crate::view(header).map_err(|_| HeaderError::InvalidField(HeaderField::HeaderLength))?;
        Ok(Self { status_code: raw.status.get(), information: raw.information.get() })
    }

    /// Writes the whole PDU for `receiver`: the header, then the bytes of the offending header, at most 128 of them.
    pub fn encode(
        &self,
        receiver: Receiver,
        offending: &[u8],
        out: &mut [u8],
    ) -> Result<usize, BufferTooSmall> {
        let kind = match receiver {
            Receiver::Controller => PduType::H2cTermReq,
            Receiver::Host => PduType::C2hTermReq,
        };
        let copied = &offending[..offending.len().min(TERMINATE_LEN_MAX - size_of::<Raw>())];
        let none = Digests::default();
        let layout = PduLayout::plan(kind, Flags::NONE, none, DataAlignment::default(), copied.len() as u32);
        let raw = Raw {
            common: layout.common_header(),
            status: U16::new(self.status_code),
            information: U32::new(self.information),
            reserved: [0; 10],
        };
        let needed = size_of::<Raw>() + copied.len();
        let available = out.len();
        let Some(out) = out.get_mut(..needed) else {
            return Err(BufferTooSmall { needed, available });
        };
        let header_len = crate::put(&raw, out)?;
        out[header_len..].copy_from_slice(copied);
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvme::tcp::HeaderRules;

    #[test]
    fn a_request_carries_status_field_and_header() {
        let error = HeaderError::InvalidField(HeaderField::PduLength).fatal_error();
        let mut out = [0; TERMINATE_LEN_MAX];
        let len = TermReq::new(error).encode(Receiver::Host, &[0xab; 72], &mut out).unwrap();
        assert_eq!(len, 96);
        assert_eq!(out[..14], [3, 0, 24, 0, 96, 0, 0, 0, 1, 0, 4, 0, 0, 0]);
        assert_eq!(out[24..96], [0xab; 72]);
        let rules = HeaderRules::initialization(Receiver::Host);
        let layout = CommonHeader::view(&out).unwrap().check(&rules).unwrap();
        assert_eq!((layout.kind, layout.data_offset, layout.data_len), (PduType::C2hTermReq, 24, 72));
        let back = TermReq::decode(&out).unwrap();
        assert_eq!((back.status(), back.information), (Some(FatalErrorStatus::InvalidHeaderField), 4));
    }

    #[test]
    fn the_copy_is_cut_at_the_limit() {
        let mut out = [0; 300];
        let request = TermReq { status_code: 99, information: 0 };
        assert_eq!(request.encode(Receiver::Controller, &[1; 200], &mut out), Ok(TERMINATE_LEN_MAX));
        assert_eq!(request.status(), None);
        let refused = BufferTooSmall { needed: 25, available: 24 };
        assert_eq!(request.encode(Receiver::Controller, &[1], &mut out[..24]), Err(refused));
    }
}
