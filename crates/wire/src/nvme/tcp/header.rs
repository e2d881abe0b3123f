//! The eight bytes every PDU begins with, and the layout they announce (TCP Transport 3.6.1).

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::HeaderError;
use super::{DIGEST_LEN, Receiver};
use crate::{BufferTooSmall, Truncated};

codes! {
    /// PDU types (TCP Transport figure 14).
    pub enum PduType: u8 {
        IcReq = 0x00, "ICReq";
        IcResp = 0x01, "ICResp";
        H2cTermReq = 0x02, "H2CTermReq";
        C2hTermReq = 0x03, "C2HTermReq";
        CapsuleCmd = 0x04, "CapsuleCmd";
        CapsuleResp = 0x05, "CapsuleResp";
        H2cData = 0x06, "H2CData";
        C2hData = 0x07, "C2HData";
        R2t = 0x09, "R2T";
    }
}

bits! {
    /// The flags of a PDU; which of them exist depends on its type.
    pub struct Flags: u8 {
        /// A header digest follows the header (HDGSTF).
        HEADER_DIGEST = 0x01;
        /// A data digest follows the data (DDGSTF).
        DATA_DIGEST = 0x02;
        /// The last data PDU of an R2T or of a command (LAST_PDU).
        LAST = 0x04;
        /// The command succeeded and no response capsule follows (SUCCESS).
        SUCCESS = 0x08;
    }
}

/// The common header as it is on the wire.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CommonHeader {
    /// PDU type.
    pub pdu_type: u8,
    /// Flags.
    pub flags: u8,
    /// Bytes of the header without its digest (HLEN).
    pub header_length: u8,
    /// Bytes from the start of the PDU to its data (PDO).
    pub data_offset: u8,
    /// Bytes of the whole PDU with digests (PLEN).
    pub pdu_length: U32,
}

/// Which digests a connection uses: each of them only if both sides asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// CRC32C over each header.
    pub header: bool,
    /// CRC32C over each PDU's data.
    pub data: bool,
}

/// How the receiver of data wants it aligned in the PDU (HPDA, CPDA): 1 to 32 dwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataAlignment(u8);

/// Where the parts of a PDU are. Made by [`CommonHeader::check`] from a header or by [`PduLayout::plan`] for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduLayout {
    /// What the PDU is.
    pub kind: PduType,
    /// Its flags.
    pub flags: Flags,
    /// Bytes of the header without its digest.
    pub header_len: u8,
    /// Whether a digest follows the header.
    pub header_digest: bool,
    /// Bytes from the start of the PDU to the data; where the PDU ends if there is no data.
    pub data_offset: u32,
    /// Bytes of data, without digest.
    pub data_len: u32,
    /// Whether a digest follows the data.
    pub data_digest: bool,
    /// Bytes of the whole PDU.
    pub pdu_len: u32,
}

impl PduType {
    /// Who receives PDUs of this type.
    pub const fn receiver(self) -> Receiver {
        match self {
            Self::IcReq | Self::H2cTermReq | Self::CapsuleCmd | Self::H2cData => Receiver::Controller,
            Self::IcResp | Self::C2hTermReq | Self::CapsuleResp | Self::C2hData | Self::R2t => Receiver::Host,
        }
    }

    /// The header length this type always has.
    pub const fn header_len(self) -> u8 {
        match self {
            Self::IcReq | Self::IcResp => 128,
            Self::CapsuleCmd => 72,
            Self::H2cTermReq
            | Self::C2hTermReq
            | Self::CapsuleResp
            | Self::H2cData
            | Self::C2hData
            | Self::R2t => 24,
        }
    }

    /// Whether headers of this type have a digest when header digests are on.
    pub const fn has_header_digest(self) -> bool {
        match self {
            Self::IcReq | Self::IcResp | Self::H2cTermReq | Self::C2hTermReq => false,
            Self::CapsuleCmd | Self::CapsuleResp | Self::H2cData | Self::C2hData | Self::R2t => true,
        }
    }

    /// The flags that exist for this type.
    pub const fn flags(self) -> Flags {
        const BOTH: Flags = Flags::HEADER_DIGEST.with(Flags::DATA_DIGEST);
        match self {
            Self::IcReq | Self::IcResp | Self::H2cTermReq | Self::C2hTermReq => Flags::NONE,
            Self::CapsuleCmd => BOTH,
            Self::CapsuleResp | Self::R2t => Flags::HEADER_DIGEST,
            Self::H2cData => BOTH.with(Flags::LAST),
            Self::C2hData => BOTH.with(Flags::LAST).with(Flags::SUCCESS),
        }
    }
}

impl CommonHeader {
    /// Bytes of the common header.
    pub const LEN: usize = 8;

    /// Borrows a common header from the front of `bytes`; nothing in it is checked.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }
}

impl DataAlignment {
    /// Reads the field: dwords less one. `None` above 31.
    pub const fn from_code(code: u8) -> Option<Self> {
        if code <= 31 { Some(Self(code)) } else { None }
    }

    /// The field: dwords less one.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The alignment in bytes: 4 to 128.
    pub const fn bytes(self) -> u32 {
        (self.0 as u32 + 1) * 4
    }
}

impl PduLayout {
    /// Lays out a PDU to be sent. Whoever sends keeps `data_len` far below 4 GiB; beyond, the length saturates.
    pub fn plan(
        kind: PduType,
        flags: Flags,
        digests: Digests,
        alignment: DataAlignment,
        data_len: u32,
    ) -> Self {
        let header_digest = digests.header && kind.has_header_digest();
        let data_digest = digests.data && data_len > 0 && kind.flags().contains(Flags::DATA_DIGEST);
        let header_len = kind.header_len();
        let header_span = u32::from(header_len) + digest_len(header_digest);
        let aligned = data_len > 0 && kind.flags().contains(Flags::DATA_DIGEST);
        let data_offset = if aligned { header_span.next_multiple_of(alignment.bytes()) } else { header_span };
        let pdu_len = data_offset.saturating_add(data_len).saturating_add(digest_len(data_digest));
        let mut flags = flags.without(Flags::HEADER_DIGEST.with(Flags::DATA_DIGEST));
        if header_digest {
            flags = flags | Flags::HEADER_DIGEST;
        }
        if data_digest {
            flags = flags | Flags::DATA_DIGEST;
        }
        Self { kind, flags, header_len, header_digest, data_offset, data_len, data_digest, pdu_len }
    }

    /// The common header that announces this layout.
    pub fn common_header(&self) -> CommonHeader {
        let announces_offset = self.data_len > 0 && self.kind.flags().contains(Flags::DATA_DIGEST);
        CommonHeader {
            pdu_type: self.kind.code(),
            flags: self.flags.bits(),
            header_length: self.header_len,
            // Never above 128: the longest header with data has 76 bytes, the widest alignment 128.
            data_offset: if announces_offset { self.data_offset as u8 } else { 0 },
            pdu_length: U32::new(self.pdu_len),
        }
    }

    /// Bytes of the header with its digest.
    pub const fn header_span(&self) -> u32 {
        self.header_len as u32 + digest_len(self.header_digest)
    }

    /// Bytes between the header and the data: what a receiver skips and a sender zeroes.
    pub const fn padding_len(&self) -> u32 {
        self.data_offset.saturating_sub(self.header_span())
    }

    /// Compares the header digest in `header` (header and digest as received) with the one computed over the first
    /// `header_len` bytes. Without a digest there is nothing to compare.
    pub fn verify_header(&self, header: &[u8], computed: u32) -> Result<(), HeaderError> {
        if !self.header_digest {
            return Ok(());
        }
        match read_digest(header, usize::from(self.header_len)) {
            Some(received) if received == computed => Ok(()),
            _ => Err(HeaderError::HeaderDigest),
        }
    }

    /// Completes an encoded header in `out`: its digest, if there is one, and zeros up to the data.
    /// Returns the bytes to send before the data.
    pub fn seal(&self, out: &mut [u8], crc32c: impl FnOnce(&[u8]) -> u32) -> Result<usize, BufferTooSmall> {
        let needed = self.data_offset as usize;
        let available = out.len();
        let header_len = usize::from(self.header_len);
        let Some((header, tail)) = out.get_mut(..needed).and_then(|out| out.split_at_mut_checked(header_len))
        else {
            return Err(BufferTooSmall { needed, available });
        };
        tail.fill(0);
        if self.header_digest
            && let Some(digest) = tail.first_chunk_mut::<DIGEST_LEN>()
        {
            *digest = crc32c(header).to_le_bytes();
        }
        Ok(needed)
    }
}

/// Reads the digest at `offset`, `None` past the end.
fn read_digest(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk::<DIGEST_LEN>().map(|digest| u32::from_le_bytes(*digest))
}

/// Bytes of a digest that may be absent.
pub(super) const fn digest_len(present: bool) -> u32 {
    if present { DIGEST_LEN as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_aligns_data_and_counts_digests() {
        let both = Digests { header: true, data: true };
        let wide = DataAlignment::from_code(31).unwrap();
        let layout = PduLayout::plan(PduType::H2cData, Flags::LAST, both, wide, 4096);
        assert_eq!((layout.data_offset, layout.padding_len(), layout.pdu_len), (128, 100, 128 + 4096 + 4));
        assert_eq!(layout.common_header().flags, 0x07);
        assert_eq!(layout.common_header().data_offset, 128);
        let bare = PduLayout::plan(PduType::CapsuleCmd, Flags::NONE, both, wide, 0);
        assert_eq!((bare.pdu_len, bare.common_header().data_offset), (76, 0));
        assert_eq!(bare.common_header().flags, 0x01);
        let initialize = PduLayout::plan(PduType::IcReq, Flags::NONE, both, wide, 0);
        assert_eq!((initialize.pdu_len, initialize.common_header().flags), (128, 0));
    }

    #[test]
    fn sealing_writes_digest_and_zeros() {
        let digests = Digests { header: true, data: false };
        let alignment = DataAlignment::from_code(7).unwrap();
        let layout = PduLayout::plan(PduType::C2hData, Flags::LAST, digests, alignment, 512);
        let mut out = [0xee; 40];
        assert_eq!(layout.seal(&mut out, |header| header.len() as u32), Ok(32));
        assert_eq!(out[24..32], [24, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[32], 0xee);
        assert_eq!(layout.verify_header(&out, 24), Ok(()));
        assert_eq!(layout.verify_header(&out, 25), Err(HeaderError::HeaderDigest));
        assert_eq!(layout.verify_header(&out[..27], 24), Err(HeaderError::HeaderDigest));
        assert_eq!(layout.seal(&mut out[..31], |_| 0), Err(BufferTooSmall { needed: 32, available: 31 }));
    }

    #[test]
    fn alignment_is_counted_in_dwords_less_one() {
        assert_eq!(DataAlignment::default().bytes(), 4);
        assert_eq!(DataAlignment::from_code(31).map(DataAlignment::bytes), Some(128));
        assert_eq!(DataAlignment::from_code(32), None);
    }
}
