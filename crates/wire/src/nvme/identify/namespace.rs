//! Identify Namespace of the NVM command set (NVM 4.1.5.1, figure 97).

use zerocopy::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

/// A namespace's description: 4,096 bytes. All zero for a namespace that is not active.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NamespaceData {
    /// Size in blocks (NSZE).
    pub size: U64,
    /// Capacity in blocks (NCAP).
    pub capacity: U64,
    /// Blocks in use (NUSE).
    pub utilization: U64,
    /// Features (NSFEAT): [`NamespaceFeatures`].
    pub features: u8,
    /// Number of LBA formats less one (NLBAF).
    pub formats_zero_based: u8,
    /// The LBA format in use (FLBAS): index in bits 3:0 and 6:5, bit 4 for metadata at the end of the block.
    pub format_in_use: u8,
    /// Metadata capabilities (MC).
    pub metadata_capabilities: u8,
    /// End-to-end protection capabilities (DPC).
    pub protection_capabilities: u8,
    /// End-to-end protection in use (DPS).
    pub protection_settings: u8,
    /// Sharing (NMIC): [`NamespaceSharing`].
    pub sharing: u8,
    /// Reservation capabilities (RESCAP): [`ReservationCapabilities`].
    pub reservations: u8,
    /// Format progress indicator (FPI).
    pub format_progress: u8,
    /// Deallocate features (DLFEAT): [`DeallocateFeatures`].
    pub deallocate_features: u8,
    /// Atomic write unit normal less one, in blocks (NAWUN).
    pub atomic_write_unit_normal: U16,
    /// Atomic write unit power fail less one, in blocks (NAWUPF).
    pub atomic_write_unit_power_fail: U16,
    /// Atomic compare and write unit less one, in blocks (NACWU).
    pub atomic_compare_write_unit: U16,
    /// Atomic boundary size normal in blocks (NABSN).
    pub atomic_boundary_normal: U16,
    /// Atomic boundary offset in blocks (NABO).
    pub atomic_boundary_offset: U16,
    /// Atomic boundary size power fail in blocks (NABSPF).
    pub atomic_boundary_power_fail: U16,
    /// Optimal I/O boundary in blocks (NOIOB), 0 for none.
    pub optimal_boundary: U16,
    /// Capacity in bytes (NVMCAP).
    pub nvm_capacity: U128,
    /// Preferred write granularity less one, in blocks (NPWG).
    pub write_granularity: U16,
    /// Preferred write alignment less one, in blocks (NPWA).
    pub write_alignment: U16,
    /// Preferred deallocate granularity less one, in blocks (NPDG).
    pub deallocate_granularity: U16,
    /// Preferred deallocate alignment less one, in blocks (NPDA).
    pub deallocate_alignment: U16,
    /// Optimal write size less one, in blocks (NOWS).
    pub optimal_write_size: U16,
    /// Most blocks in one source range of Copy (MSSRL).
    pub copy_range_max: U16,
    /// Most blocks in one Copy (MCL).
    pub copy_length_max: U32,
    /// Most source ranges of one Copy, less one (MSRC).
    pub copy_ranges_max_zero_based: u8,
    reserved81: [u8; 11],
    /// ANA group identifier (ANAGRPID).
    pub ana_group_id: U32,
    reserved96: [u8; 3],
    /// Attributes (NSATTR): bit 0 for write protected.
    pub attributes: u8,
    /// NVM set identifier (NVMSETID).
    pub nvm_set_id: U16,
    /// Endurance group identifier (ENDGID).
    pub endurance_group_id: U16,
    /// Namespace globally unique identifier (NGUID), most significant byte first; zero for none.
    pub nguid: [u8; 16],
    /// IEEE extended unique identifier (EUI64), most significant byte first; zero for none.
    pub eui64: [u8; 8],
    /// LBA formats (LBAF).
    pub formats: [LbaFormat; 64],
    /// Vendor specific.
    pub vendor_specific: [u8; 3712],
}

/// An LBA format (NVM figure 98).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct LbaFormat {
    /// Metadata bytes in each block (MS).
    pub metadata_size: U16,
    /// Block size as a power of two (LBADS); below 9 the format is not available.
    pub data_size: u8,
    /// Relative performance in bits 1:0 (RP), 0 is best.
    pub relative_performance: u8,
}

impl NamespaceData {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// The LBA format in use. The upper bits of the index count only if there are more than 16 formats.
    pub fn format(&self) -> LbaFormat {
        let low = usize::from(self.format_in_use & 0xf);
        let high = usize::from(self.format_in_use >> 5 & 3);
        let index = if self.formats_zero_based >= 16 { high << 4 | low } else { low };
        self.formats[index]
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4,096 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl LbaFormat {
    /// A format without metadata. `block_size` is a power of two in bytes.
    pub const fn of_block_size(block_size: u32) -> Self {
        Self {
            metadata_size: U16::new(0),
            data_size: block_size.trailing_zeros() as u8,
            relative_performance: 0,
        }
    }

    /// The block size in bytes; `None` if the format is not available or the size passes 32 bits.
    pub const fn block_size(self) -> Option<u32> {
        match self.data_size {
            9..=31 => Some(1 << self.data_size),
            _ => None,
        }
    }
}

bits! {
    /// Namespace features (NSFEAT).
    pub struct NamespaceFeatures: u8 {
        /// Thin provisioning: capacity and utilization are meaningful.
        THIN = 0x01;
        /// The namespace has atomic write units of its own.
        ATOMIC_UNITS = 0x02;
        /// Reading deallocated blocks can be made an error.
        DEALLOCATED_ERROR = 0x04;
        /// Identifiers are never used again.
        IDENTIFIERS_UNIQUE = 0x08;
        /// The preferred granularities and alignments are defined.
        OPTIMAL_PERFORMANCE = 0x10;
    }
}

bits! {
    /// Multi-path and sharing capabilities (NMIC).
    pub struct NamespaceSharing: u8 {
        /// Several controllers may have the namespace attached at once.
        SHARED = 0x01;
    }
}

bits! {
    /// Reservation capabilities (RESCAP).
    pub struct ReservationCapabilities: u8 {
        /// Reservations can persist through power loss.
        PERSIST = 0x01;
        /// Write Exclusive.
        WRITE_EXCLUSIVE = 0x02;
        /// Exclusive Access.
        EXCLUSIVE_ACCESS = 0x04;
        /// Write Exclusive, Registrants Only.
        WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 0x08;
        /// Exclusive Access, Registrants Only.
        EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 0x10;
        /// Write Exclusive, All Registrants.
        WRITE_EXCLUSIVE_ALL_REGISTRANTS = 0x20;
        /// Exclusive Access, All Registrants.
        EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 0x40;
        /// Ignore Existing Key has the meaning of revision 1.3 and later.
        IGNORE_EXISTING_KEY = 0x80;
    }
}

bits! {
    /// Deallocate features (DLFEAT).
    pub struct DeallocateFeatures: u8 {
        /// Deallocated blocks read as zeros.
        READ_ZEROS = 0x01;
        /// Deallocated blocks read as ones.
        READ_ONES = 0x02;
        /// Write Zeroes may deallocate.
        WRITE_ZEROES_DEALLOCATE = 0x08;
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_the_offsets_of_the_figure() {
        assert_eq!(size_of::<NamespaceData>(), 4096);
        assert_eq!(offset_of!(NamespaceData, reservations), 31);
        assert_eq!(offset_of!(NamespaceData, nvm_capacity), 48);
        assert_eq!(offset_of!(NamespaceData, copy_range_max), 74);
        assert_eq!(offset_of!(NamespaceData, ana_group_id), 92);
        assert_eq!(offset_of!(NamespaceData, nguid), 104);
        assert_eq!(offset_of!(NamespaceData, formats), 128);
        assert_eq!(offset_of!(NamespaceData, vendor_specific), 384);
    }

    #[test]
    fn block_sizes_and_formats() {
        assert_eq!(LbaFormat::of_block_size(4096).block_size(), Some(4096));
        assert_eq!(LbaFormat { data_size: 8, ..LbaFormat::default() }.block_size(), None);
        assert_eq!(LbaFormat { data_size: 32, ..LbaFormat::default() }.block_size(), None);
        let mut data = NamespaceData::zeroed();
        data.format_in_use = 0x61;
        data.formats[1] = LbaFormat::of_block_size(512);
        data.formats[0x31] = LbaFormat::of_block_size(4096);
        assert_eq!(data.format().block_size(), Some(512));
        data.formats_zero_based = 63;
        assert_eq!(data.format().block_size(), Some(4096));
    }
}
