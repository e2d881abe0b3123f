//! Vital product data pages of one structure each, but for the block limits (SPC-4, section 7.8; SBC-3, section 6.6).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Peripheral, VpdPage};
use crate::{BufferTooSmall, Truncated};

/// The front of every page: 4 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct PageHeader {
    /// Peripheral qualifier and device type: [`Peripheral`].
    pub peripheral: u8,
    /// PAGE CODE: [`VpdPage`].
    pub page: u8,
    /// PAGE LENGTH: bytes behind the header.
    pub len: U16,
}

/// Extended INQUIRY Data, 86h: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExtendedInquiry {
    header: PageHeader,
    checks: u8,
    attributes: u8,
    caches: u8,
    clearing: u8,
    reserved8: [u8; 5],
    /// MAXIMUM SUPPORTED SENSE DATA LENGTH, in bytes.
    pub sense_len_max: u8,
    reserved14: [u8; 50],
}

/// Block Device Characteristics, B1h: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockDeviceCharacteristics {
    header: PageHeader,
    /// MEDIUM ROTATION RATE: 1 is a medium that does not rotate.
    pub rotation_rate: U16,
    product_type: u8,
    form: u8,
    reserved8: [u8; 56],
}

/// Logical Block Provisioning, B2h, without a provisioning group descriptor: 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LogicalBlockProvisioning {
    header: PageHeader,
    threshold_exponent: u8,
    flags: u8,
    kind: u8,
    reserved7: u8,
}

/// How a logical unit is provisioned (SBC-3, section 4.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provisioning {
    /// Every block has its space.
    Full,
    /// Blocks have space when they are written, and may give it back: by UNMAP and both WRITE SAME commands. They read as
    /// zero then. They keep it if they are to be anchored.
    Thin,
}

impl PageHeader {
    /// Bytes of the structure.
    pub const LEN: usize = 4;

    /// The header of a page with `len` bytes behind it.
    pub fn new(peripheral: Peripheral, page: VpdPage, len: usize) -> Self {
        Self { peripheral: peripheral as u8, page: page.code(), len: U16::new(len as u16) }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }

    /// The header of a page that is one structure.
    pub(super) fn of<T>(page: VpdPage) -> Self {
        Self::new(Peripheral::Disk, page, size_of::<T>() - Self::LEN)
    }
}

impl ExtendedInquiry {
    /// Simple, ordered and head of queue tasks; unit attentions are cleared for each nexus alone. `volatile_cache`: V_SUP.
    pub fn new(volatile_cache: bool, sense_len_max: u8) -> Self {
        Self {
            header: PageHeader::of::<Self>(VpdPage::ExtendedInquiryData),
            attributes: HEADSUP | ORDSUP | SIMPSUP,
            caches: u8::from(volatile_cache),
            clearing: LUICLR,
            sense_len_max,
            ..Self::new_zeroed()
        }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 64 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl BlockDeviceCharacteristics {
    /// A medium that does not rotate, and can be read after it was sanitized by BLOCK ERASE (WABEREQ 01b).
    pub fn solid_state() -> Self {
        Self {
            header: PageHeader::of::<Self>(VpdPage::BlockDeviceCharacteristics),
            rotation_rate: U16::new(1),
            form: READABLE_AFTER_ERASE,
            ..Self::new_zeroed()
        }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 64 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl LogicalBlockProvisioning {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// The page.
    pub fn new(provisioning: Provisioning) -> Self {
        let (flags, kind) = match provisioning {
            Provisioning::Full => (0, 0),
            Provisioning::Thin => (LBPU | LBPWS | LBPWS10 | LBPRZ | ANC_SUP, TYPE_THIN),
        };
        Self {
            header: PageHeader::of::<Self>(VpdPage::LogicalBlockProvisioning),
            flags,
            kind,
            ..Self::new_zeroed()
        }
    }

    /// LBPU: UNMAP gives space back.
    pub const fn unmap(&self) -> bool {
        self.flags & LBPU != 0
    }

    /// LBPWS: WRITE SAME (16) with UNMAP gives space back.
    pub const fn write_same_16(&self) -> bool {
        self.flags & LBPWS != 0
    }

    /// LBPWS10: WRITE SAME (10) with UNMAP gives space back.
    pub const fn write_same_10(&self) -> bool {
        self.flags & LBPWS10 != 0
    }

    /// LBPRZ: blocks without space read as zero.
    pub const fn reads_zero(&self) -> bool {
        self.flags & LBPRZ != 0
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 8 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

const HEADSUP: u8 = 1 << 2;
const ORDSUP: u8 = 1 << 1;
const SIMPSUP: u8 = 1 << 0;
const LUICLR: u8 = 1 << 0;
const LBPU: u8 = 1 << 7;
const LBPWS: u8 = 1 << 6;
const LBPWS10: u8 = 1 << 5;
const LBPRZ: u8 = 1 << 2;
const ANC_SUP: u8 = 1 << 1;
/// WABEREQ 01b.
const READABLE_AFTER_ERASE: u8 = 1 << 6;
const TYPE_THIN: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0xff; 64];
        assert_eq!(ExtendedInquiry::new(true, 252).encode(&mut out), Ok(64));
        assert_eq!(out[..14], [0, 0x86, 0, 60, 0, 7, 1, 1, 0, 0, 0, 0, 0, 252]);
        assert_eq!(BlockDeviceCharacteristics::solid_state().encode(&mut out), Ok(64));
        assert_eq!(out[..8], [0, 0xb1, 0, 60, 0, 1, 0, 0x40]);
        assert_eq!(LogicalBlockProvisioning::new(Provisioning::Thin).encode(&mut out), Ok(8));
        assert_eq!(out[..8], [0, 0xb2, 0, 4, 0, 0xe6, 2, 0]);
        assert_eq!(LogicalBlockProvisioning::new(Provisioning::Full).encode(&mut out), Ok(8));
        assert_eq!(out[..8], [0, 0xb2, 0, 4, 0, 0, 0, 0]);
    }
}
