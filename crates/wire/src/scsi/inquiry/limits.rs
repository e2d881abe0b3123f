//! The page Block Limits, B0h (SBC-3, section 6.6.4; the atomic fields: SBC-4).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{PageHeader, VpdPage};
use crate::{BufferTooSmall, Truncated};

/// Block Limits: 64 bytes. Everything is in blocks, and 0 is "not told" or "not there".
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockLimits {
    header: PageHeader,
    write_same: u8,
    /// MAXIMUM COMPARE AND WRITE LENGTH.
    pub compare_and_write_max: u8,
    /// OPTIMAL TRANSFER LENGTH GRANULARITY.
    pub optimal_granularity: U16,
    /// MAXIMUM TRANSFER LENGTH.
    pub transfer_max: U32,
    /// OPTIMAL TRANSFER LENGTH.
    pub optimal_transfer: U32,
    /// MAXIMUM PREFETCH LENGTH.
    pub prefetch_max: U32,
    /// MAXIMUM UNMAP LBA COUNT, over all descriptors of a command.
    pub unmap_max: U32,
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT.
    pub unmap_descriptors_max: U32,
    /// OPTIMAL UNMAP GRANULARITY.
    pub unmap_granularity: U32,
    unmap_alignment: U32,
    /// MAXIMUM WRITE SAME LENGTH.
    pub write_same_max: U64,
    /// MAXIMUM ATOMIC TRANSFER LENGTH.
    pub atomic_max: U32,
    /// ATOMIC ALIGNMENT.
    pub atomic_alignment: U32,
    /// ATOMIC TRANSFER LENGTH GRANULARITY.
    pub atomic_granularity: U32,
    /// MAXIMUM ATOMIC TRANSFER LENGTH WITH ATOMIC BOUNDARY.
    pub atomic_bounded_max: U32,
    /// MAXIMUM ATOMIC BOUNDARY SIZE.
    pub atomic_boundary_max: U32,
}

impl BlockLimits {
    /// Bytes of the structure.
    pub const LEN: usize = 64;

    /// A page that tells no limit.
    pub fn new() -> Self {
        Self { header: PageHeader::of::<Self>(VpdPage::BlockLimits), ..Self::new_zeroed() }
    }

    /// WSNZ: WRITE SAME does not take 0 blocks for "up to the end".
    pub const fn write_same_nonzero(&self) -> bool {
        self.write_same & 1 != 0
    }

    /// Sets WSNZ.
    #[must_use]
    pub const fn with_write_same_nonzero(mut self) -> Self {
        self.write_same |= 1;
        self
    }

    /// UNMAP GRANULARITY ALIGNMENT: the first block of such a unit, if it is told (UGAVALID).
    pub fn unmap_alignment(&self) -> Option<u32> {
        let alignment = self.unmap_alignment.get();
        (alignment & UGAVALID != 0).then_some(alignment & !UGAVALID)
    }

    /// Sets UNMAP GRANULARITY ALIGNMENT.
    #[must_use]
    pub fn with_unmap_alignment(self, alignment: u32) -> Self {
        Self { unmap_alignment: U32::new(alignment | UGAVALID), ..self }
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

impl Default for BlockLimits {
    fn default() -> Self {
        Self::new()
    }
}

const UGAVALID: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_standards() {
        let mut limits = BlockLimits::new().with_write_same_nonzero().with_unmap_alignment(3);
        limits.compare_and_write_max = 1;
        limits.optimal_granularity = 2.into();
        limits.transfer_max = 3.into();
        limits.unmap_max = 4.into();
        limits.write_same_max = 5.into();
        limits.atomic_max = 6.into();
        limits.atomic_boundary_max = 7.into();
        let mut out = [0xff; 64];
        limits.encode(&mut out).unwrap();
        assert_eq!(out[..12], [0, 0xb0, 0, 60, 1, 1, 0, 2, 0, 0, 0, 3]);
        assert_eq!(out[20..24], [0, 0, 0, 4]);
        assert_eq!(out[32..48], [0x80, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6]);
        assert_eq!(out[60..], [0, 0, 0, 7]);
        assert_eq!(BlockLimits::view(&out).unwrap().unmap_alignment(), Some(3));
    }
}
