//! The basic header segment, and the layout it announces (RFC 7143, section 11.2).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BHS_LEN, DIGEST_LEN, HeaderError, Opcode, Receiver};
use crate::Truncated;
use crate::scsi::Lun;

/// The basic header as it is on the wire. Beyond what all PDUs share, each type gives its own meaning to `specific`, to the
/// eight bytes of `lun`, and to the seven words after the tag.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Bhs {
    /// The immediate bit and the operation code.
    pub opcode: u8,
    /// The final bit and flags of each type.
    pub flags: u8,
    /// Bytes 2 and 3.
    pub specific: [u8; 2],
    /// TotalAHSLength, in words.
    pub ahs_words: u8,
    /// DataSegmentLength, in bytes.
    pub data_length: [u8; 3],
    /// The logical unit, or what a type has in its place.
    pub lun: [u8; 8],
    /// The initiator task tag.
    pub task_tag: U32,
    /// The words at bytes 20, 24, 28, 32, 36, 40 and 44.
    pub words: [U32; 7],
}

/// Which digests a connection uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// CRC32C over each header.
    pub header: bool,
    /// CRC32C over each data segment with its padding.
    pub data: bool,
}

/// What the receiver accepts at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRules {
    /// Who reads.
    pub receiver: Receiver,
    /// The digests in use.
    pub digests: Digests,
    /// Most data bytes in a PDU (this side's MaxRecvDataSegmentLength).
    pub data_max: u32,
}

/// Where the parts of a PDU are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduLayout {
    /// What the PDU is.
    pub opcode: Opcode,
    /// It is to be executed at once, outside of the order of commands.
    pub immediate: bool,
    /// Bytes of additional headers.
    pub ahs_len: u16,
    /// Bytes of data, without padding and digest.
    pub data_len: u32,
    /// A digest follows the header.
    pub header_digest: bool,
    /// A digest follows the data.
    pub data_digest: bool,
}

impl Bhs {
    /// Borrows a basic header from the front of `bytes`; nothing in it is checked.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Its 48 bytes.
    pub fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    /// The operation code, if it is one of the standard's.
    pub const fn opcode(&self) -> Option<Opcode> {
        Opcode::from_code(self.opcode & OPCODE)
    }

    /// Whether the immediate bit is set.
    pub const fn is_immediate(&self) -> bool {
        self.opcode & IMMEDIATE != 0
    }

    /// Bytes of data.
    pub const fn data_len(&self) -> u32 {
        let [high, middle, low] = self.data_length;
        u32::from_be_bytes([0, high, middle, low])
    }

    /// Checks the header and says where the parts of its PDU are. A length is looked at before anything else, so that after
    /// any error that is not fatal [`Bhs::skip`] tells how far the PDU goes.
    pub fn check(&self, rules: &HeaderRules) -> Result<PduLayout, HeaderError> {
        if self.data_len() > rules.data_max {
            return Err(HeaderError::DataTooLong);
        }
        let opcode = self.opcode().ok_or(HeaderError::UnknownOpcode)?;
        if opcode.receiver() != rules.receiver {
            return Err(HeaderError::WrongDirection(opcode));
        }
        if self.ahs_words != 0 && !opcode.may_have_additional_headers() {
            return Err(HeaderError::AdditionalHeaders);
        }
        Ok(self.lay_out(opcode, rules))
    }

    /// The layout of a PDU that is not taken, so that it can be passed over whatever it is.
    pub fn skip(&self, rules: &HeaderRules) -> PduLayout {
        self.lay_out(self.opcode().unwrap_or(Opcode::NopOut), rules)
    }

    fn lay_out(&self, opcode: Opcode, rules: &HeaderRules) -> PduLayout {
        let data_len = self.data_len();
        PduLayout {
            opcode,
            immediate: self.is_immediate(),
            ahs_len: u16::from(self.ahs_words) * 4,
            data_len,
            header_digest: rules.digests.header,
            data_digest: rules.digests.data && data_len > 0,
        }
    }

    /// A header of this type, before anything else is said. Data lengths beyond 24 bits saturate; whoever sends keeps far
    /// below.
    pub(super) fn new(opcode: Opcode, data_len: u32) -> Self {
        let [_, high, middle, low] = data_len.min(0xff_ffff).to_be_bytes();
        Self { opcode: opcode.code(), flags: FINAL, data_length: [high, middle, low], ..Self::default() }
    }

    /// The same, immediate or not.
    pub(super) const fn with_immediate(mut self, immediate: bool) -> Self {
        if immediate {
            self.opcode |= IMMEDIATE;
        }
        self
    }

    pub(super) const fn is_final(&self) -> bool {
        self.flags & FINAL != 0
    }

    pub(super) const fn logical_unit(&self) -> Lun {
        Lun(self.lun)
    }

    pub(super) const fn word(&self, at: Word) -> u32 {
        self.words[at as usize].get()
    }

    pub(super) const fn set(&mut self, at: Word, value: u32) {
        self.words[at as usize] = U32::new(value);
    }
}

/// The words after the tag, by the byte they begin at.
#[derive(Clone, Copy)]
pub(super) enum Word {
    At20,
    At24,
    At28,
    At32,
    At36,
    At40,
    At44,
}

impl PduLayout {
    /// The layout of a PDU to be sent.
    pub const fn plan(bhs: &Bhs, opcode: Opcode, digests: Digests) -> Self {
        let data_len = bhs.data_len();
        Self {
            opcode,
            immediate: bhs.is_immediate(),
            ahs_len: bhs.ahs_words as u16 * 4,
            data_len,
            header_digest: digests.header,
            data_digest: digests.data && data_len > 0,
        }
    }

    /// Bytes of the header without its digest: at most 1068.
    pub const fn header_len(&self) -> usize {
        BHS_LEN + self.ahs_len as usize
    }

    /// Bytes of the header with its digest.
    pub const fn header_span(&self) -> usize {
        self.header_len() + if self.header_digest { DIGEST_LEN } else { 0 }
    }

    /// Bytes of zero between the data and its digest, or the next PDU.
    pub const fn padding_len(&self) -> usize {
        padding(self.data_len)
    }

    /// Bytes of the whole PDU.
    pub const fn pdu_len(&self) -> usize {
        let digest = if self.data_digest { DIGEST_LEN } else { 0 };
        self.header_span() + self.data_len as usize + self.padding_len() + digest
    }

    /// Compares the header digest in `header` (header and digest as received) with the one computed over the first
    /// [`PduLayout::header_len`] bytes. Without a digest there is nothing to compare.
    pub fn verify_header(&self, header: &[u8], computed: u32) -> Result<(), HeaderError> {
        if !self.header_digest {
            return Ok(());
        }
        let digest = header.get(self.header_len()..).and_then(<[u8]>::first_chunk::<DIGEST_LEN>);
        match digest {
            Some(digest) if u32::from_le_bytes(*digest) == computed => Ok(()),
            _ => Err(HeaderError::HeaderDigest),
        }
    }
}

/// Bytes that pad so many to a multiple of four.
pub const fn padding(len: u32) -> usize {
    (len.wrapping_neg() & 3) as usize
}

/// The final bit of the second byte.
pub(super) const FINAL: u8 = 0x80;

/// The continue bit of text and login.
pub(super) const CONTINUE: u8 = 0x40;

const IMMEDIATE: u8 = 0x40;
const OPCODE: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: HeaderRules = HeaderRules {
        receiver: Receiver::Target,
        digests: Digests { header: true, data: true },
        data_max: 8192,
    };

    #[test]
    fn a_layout_counts_everything() {
        let mut bhs = Bhs::new(Opcode::ScsiCommand, 5);
        bhs.ahs_words = 2;
        let layout = bhs.check(&RULES).unwrap();
        assert_eq!((layout.header_len(), layout.header_span(), layout.padding_len()), (56, 60, 3));
        assert_eq!(layout.pdu_len(), 60 + 8 + 4);
        let empty = Bhs::new(Opcode::NopOut, 0).check(&RULES).unwrap();
        assert_eq!((empty.data_digest, empty.pdu_len()), (false, 52));
    }

    #[test]
    fn what_does_not_belong_is_told() {
        let check = |bhs: &Bhs| bhs.check(&RULES).unwrap_err();
        assert_eq!(check(&Bhs::new(Opcode::NopOut, 8193)), HeaderError::DataTooLong);
        assert_eq!(check(&Bhs::new(Opcode::NopIn, 0)), HeaderError::WrongDirection(Opcode::NopIn));
        let mut bhs = Bhs::new(Opcode::NopOut, 0);
        bhs.ahs_words = 1;
        assert_eq!(check(&bhs), HeaderError::AdditionalHeaders);
        assert_eq!(bhs.skip(&RULES).pdu_len(), 56);
        bhs.opcode = 0x1c;
        assert_eq!(check(&bhs), HeaderError::UnknownOpcode);
    }

    #[test]
    fn digests_are_compared_where_they_lie() {
        let layout = Bhs::new(Opcode::NopOut, 0).check(&RULES).unwrap();
        let mut header = [0; 52];
        header[48..].copy_from_slice(&7_u32.to_le_bytes());
        assert_eq!(layout.verify_header(&header, 7), Ok(()));
        assert_eq!(layout.verify_header(&header, 8), Err(HeaderError::HeaderDigest));
        assert_eq!(layout.verify_header(&header[..51], 7), Err(HeaderError::HeaderDigest));
    }
}
