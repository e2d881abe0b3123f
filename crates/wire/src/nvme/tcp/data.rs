//! H2CData, C2HData and R2T: the transfer of data outside capsules (TCP Transport 3.6.2.7 to 3.6.2.9).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{HeaderError, HeaderField};
use super::header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType};
use crate::BufferTooSmall;

/// Data from host to controller, answering an R2T.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H2cData {
    /// The command (CCCID).
    pub command_id: u16,
    /// The tag of the R2T this answers (TTAG).
    pub transfer_tag: u16,
    /// Where in the command's buffer the data begins, in bytes (DATAO).
    pub offset: u32,
    /// Bytes of data (DATAL).
    pub length: u32,
    /// Whether this is the last PDU for the R2T.
    pub last: bool,
}

/// Data from controller to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct C2hData {
    /// The command (CCCID).
    pub command_id: u16,
    /// Where in the command's buffer the data begins, in bytes (DATAO).
    pub offset: u32,
    /// Bytes of data (DATAL).
    pub length: u32,
    /// Whether this is the last PDU of the command's data.
    pub last: bool,
    /// Whether the command is hereby completed with success; only on the last PDU.
    pub success: bool,
}

/// Ready to Transfer: the controller asks for a part of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct R2t {
    /// The command (CCCID).
    pub command_id: u16,
    /// A tag of the controller's choice that the data will bear (TTAG).
    pub transfer_tag: u16,
    /// Where in the command's buffer the wanted data begins, in bytes (R2TO).
    pub offset: u32,
    /// Bytes wanted (R2TL).
    pub length: u32,
}

/// The 24 bytes all three have; the tag is reserved in C2HData.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    common: CommonHeader,
    command_id: U16,
    transfer_tag: U16,
    offset: U32,
    length: U32,
    reserved: [u8; 4],
}

impl H2cData {
    /// Bytes of the header.
    pub const LEN: usize = 24;

    /// Reads a header whose common part was found to have `layout`.
    pub fn decode(layout: &PduLayout, header: &[u8]) -> Result<Self, HeaderError> {
        let raw = view(header)?;
        check_length(layout, raw)?;
        Ok(Self {
            command_id: raw.command_id.get(),
            transfer_tag: raw.transfer_tag.get(),
            offset: raw.offset.get(),
            length: raw.length.get(),
            last: layout.flags.contains(Flags::LAST),
        })
    }

    /// Writes the header to the front of `out`; digest and padding are left to [`PduLayout::seal`].
    pub fn encode(
        &self,
        digests: Digests,
        alignment: DataAlignment,
        out: &mut [u8],
    ) -> Result<PduLayout, BufferTooSmall> {
        let flags = if self.last { Flags::LAST } else { Flags::NONE };
        let layout = PduLayout::plan(PduType::H2cData, flags, digests, alignment, self.length);
        put(&layout, self.command_id, self.transfer_tag, self.offset, self.length, out)
    }

    /// Checks that the data lies inside the `length` bytes from `offset` that an R2T asked for.
    pub fn check_within(&self, offset: u32, length: u32) -> Result<(), HeaderError> {
        check_within(self.offset, self.length, offset, length)
    }
}

impl C2hData {
    /// Bytes of the header.
    pub const LEN: usize = 24;

    /// Reads a header whose common part was found to have `layout`.
    pub fn decode(layout: &PduLayout, header: &[u8]) -> Result<Self, HeaderError> {
        let raw = view(header)?;
        check_length(layout, raw)?;
        Ok(Self {
            command_id: raw.command_id.get(),
            offset: raw.offset.get(),
            length: raw.length.get(),
            last: layout.flags.contains(Flags::LAST),
            success: layout.flags.contains(Flags::SUCCESS),
        })
    }

    /// Writes the header to the front of `out`; digest and padding are left to [`PduLayout::seal`].
    /// Success is announced only together with `last`.
    pub fn encode(
        &self,
        digests: Digests,
        alignment: DataAlignment,
        out: &mut [u8],
    ) -> Result<PduLayout, BufferTooSmall> {
        let flags = match (self.last, self.success) {
            (false, _) => Flags::NONE,
            (true, false) => Flags::LAST,
            (true, true) => Flags::LAST | Flags::SUCCESS,
        };
        let layout = PduLayout::plan(PduType::C2hData, flags, digests, alignment, self.length);
        put(&layout, self.command_id, 0, self.offset, self.length, out)
    }

    /// Checks that the data lies inside the `length` bytes the command's buffer has.
    pub fn check_within(&self, length: u32) -> Result<(), HeaderError> {
        check_within(self.offset, self.length, 0, length)
    }
}

impl R2t {
    /// Bytes of the PDU without digest.
    pub const LEN: usize = 24;

    /// Reads a header that passed [`CommonHeader::check`]. An R2T that asks for nothing is not legal.
    pub fn decode(header: &[u8]) -> Result<Self, HeaderError> {
        let raw = view(header)?;
        if raw.length.get() == 0 {
            return Err(HeaderError::InvalidField(HeaderField::TransferLength));
        }
        Ok(Self {
            command_id: raw.command_id.get(),
            transfer_tag: raw.transfer_tag.get(),
            offset: raw.offset.get(),
            length: raw.length.get(),
        })
    }

    /// Writes the PDU to the front of `out`; the digest is left to [`PduLayout::seal`].
    pub fn encode(&self, digests: Digests, out: &mut [u8]) -> Result<PduLayout, BufferTooSmall> {
        let layout = PduLayout::plan(PduType::R2t, Flags::NONE, digests, DataAlignment::default(), 0);
        put(&layout, self.command_id, self.transfer_tag, self.offset, self.length, out)
    }

    /// Checks that what is asked for lies inside the `length` bytes the command has.
    pub fn check_within(&self, length: u32) -> Result<(), HeaderError> {
        check_within(self.offset, self.length, 0, length)
    }
}

fn view(header: &[u8]) -> Result<&Raw, HeaderError> {
    crate::view(header).map_err(|_| HeaderError::InvalidField(HeaderField::HeaderLength))
}

/// The header says the length of the data twice; the two must agree.
fn check_length(layout: &PduLayout, raw: &Raw) -> Result<(), HeaderError> {
    if raw.length.get() == layout.data_len {
        Ok(())
    } else {
        Err(HeaderError::InvalidField(HeaderField::TransferLength))
    }
}

/// Checks that `inner_length` bytes at `inner_offset` lie inside `length` bytes at `offset`.
fn check_within(inner_offset: u32, inner_length: u32, offset: u32, length: u32) -> Result<(), HeaderError> {
    let inner_end = u64::from(inner_offset) + u64::from(inner_length);
    let end = u64::from(offset) + u64::from(length);
    if inner_offset >= offset && inner_end <= end { Ok(()) } else { Err(HeaderError::DataOutOfRange) }
}

fn put(
    layout: &PduLayout,
    command_id: u16,
    transfer_tag: u16,
    offset: u32,
    length: u32,
    out: &mut [u8],
) -> Result<PduLayout, BufferTooSmall> {
    let raw = Raw {
        common: layout.common_header(),
        command_id: U16::new(command_id),
        transfer_tag: U16::new(transfer_tag),
        offset: U32::new(offset),
        length: U32::new(length),
        reserved: [0; 4],
    };
    crate::put(&raw, out)?;
    Ok(*layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_survive_their_bytes() {
        let digests = Digests { header: true, data: true };
        let alignment = DataAlignment::from_code(1).unwrap();
        let mut out = [0xee; 32];
        let host = H2cData { command_id: 1, transfer_tag: 2, offset: 4096, length: 512, last: true };
        let layout = host.encode(digests, alignment, &mut out).unwrap();
        assert_eq!(H2cData::decode(&layout, &out), Ok(host));
        let controller = C2hData { command_id: 3, offset: 8, length: 16, last: true, success: true };
        let layout = controller.encode(digests, alignment, &mut out).unwrap();
        assert_eq!(C2hData::decode(&layout, &out), Ok(controller));
        let ready = R2t { command_id: 5, transfer_tag: 6, offset: 7, length: 8 };
        let layout = ready.encode(digests, &mut out).unwrap();
        assert_eq!((layout.pdu_len, R2t::decode(&out)), (28, Ok(ready)));
    }

    #[test]
    fn success_never_stands_without_last() {
        let early = C2hData { command_id: 3, offset: 0, length: 16, last: false, success: true };
        let layout = early.encode(Digests::default(), DataAlignment::default(), &mut [0; 24]).unwrap();
        assert_eq!(layout.flags, Flags::NONE);
    }

    #[test]
    fn lengths_that_disagree_and_empty_requests_are_refused() {
        let data = H2cData { command_id: 1, transfer_tag: 2, offset: 0, length: 512, last: false };
        let mut out = [0; 24];
        let layout = data.encode(Digests::default(), DataAlignment::default(), &mut out).unwrap();
        out[16] = 1;
        let error = HeaderError::InvalidField(HeaderField::TransferLength);
        assert_eq!(H2cData::decode(&layout, &out), Err(error));
        assert_eq!(error.fatal_error().information, 16);
        let empty = R2t { command_id: 0, transfer_tag: 0, offset: 0, length: 0 };
        empty.encode(Digests::default(), &mut out).unwrap();
        assert_eq!(R2t::decode(&out), Err(error));
    }

    #[test]
    fn range_check_survives_the_ends_of_the_number_space() {
        let data = H2cData { command_id: 1, transfer_tag: 2, offset: 100, length: 50, last: true };
        assert_eq!(data.check_within(100, 50), Ok(()));
        assert_eq!(data.check_within(101, 60), Err(HeaderError::DataOutOfRange));
        assert_eq!(data.check_within(0, 149), Err(HeaderError::DataOutOfRange));
        let edge = H2cData { offset: u32::MAX, length: u32::MAX, ..data };
        assert_eq!(edge.check_within(0, u32::MAX), Err(HeaderError::DataOutOfRange));
        assert_eq!(edge.check_within(u32::MAX, u32::MAX), Ok(()));
    }
}
