//! The structures that depend on the I/O command set (Identify 05h, 06h, 08h, 1Ch).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

/// Identify 06h for the NVM command set: limits of its commands (NVM 4.1.5.4, figure 102).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NvmControllerData {
    /// Verify size limit (VSL): a power of two of the smallest page, 0 for no limit.
    pub verify_size_limit: u8,
    /// Write Zeroes size limit (WZSL): a power of two of the smallest page, 0 for no limit.
    pub write_zeroes_size_limit: u8,
    /// Write Uncorrectable size limit (WUSL): a power of two of the smallest page, 0 for no limit.
    pub write_uncorrectable_size_limit: u8,
    /// Most ranges of Dataset Management (DMRL), 0 for no limit.
    pub dataset_ranges_limit: u8,
    /// Most blocks of one range of Dataset Management (DMRSL), 0 for no limit.
    pub dataset_range_size_limit: U32,
    /// Most blocks of one Dataset Management (DMSL), 0 for no limit.
    pub dataset_size_limit: U64,
    reserved16: [u8; 4080],
}

/// Identify 05h for the NVM command set: protection beyond the base format (NVM 4.1.5.3, figure 100).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NvmNamespaceData {
    /// Logical block storage tag mask (LBSTM).
    pub storage_tag_mask: U64,
    /// Protection information capabilities (PIC).
    pub protection_capabilities: u8,
    reserved9: [u8; 3],
    /// Extended LBA formats (ELBAF): storage tag size in bits 6:0, protection format in bits 8:7.
    pub extended_formats: [U32; 64],
    reserved268: [u8; 3828],
}

/// Identify 08h: what every command set says of a namespace (Base 5.17.2.8, figure 280).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct IndependentNamespaceData {
    /// Common features (NSFEAT): bit 3 identifiers never used again, bit 4 rotational, bit 5 no volatile write cache.
    pub features: u8,
    /// Sharing (NMIC): [`super::NamespaceSharing`].
    pub sharing: u8,
    /// Reservation capabilities (RESCAP): [`super::ReservationCapabilities`].
    pub reservations: u8,
    /// Format progress indicator (FPI).
    pub format_progress: u8,
    /// ANA group identifier (ANAGRPID).
    pub ana_group_id: U32,
    /// Attributes (NSATTR): bit 0 for write protected.
    pub attributes: u8,
    reserved9: u8,
    /// NVM set identifier (NVMSETID).
    pub nvm_set_id: U16,
    /// Endurance group identifier (ENDGID).
    pub endurance_group_id: U16,
    /// Status (NSTAT): [`NamespaceStatus`].
    pub status: u8,
    reserved15: [u8; 4081],
}

bits! {
    /// Namespace status (NSTAT).
    pub struct NamespaceStatus: u8 {
        /// Ready for commands.
        READY = 0x01;
    }
}

/// Identify 1Ch: the combinations of command sets a controller supports, 512 vectors (Base 5.17.2.21, figure 290).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CommandSetCombinations {
    /// The vectors; the index is what the feature I/O Command Set Profile selects. An empty vector ends the list.
    pub vectors: [U64; 512],
}

bits! {
    /// A combination of command sets.
    pub struct CommandSetVector: u64 {
        /// NVM command set.
        NVM = 0x1;
        /// Key value command set.
        KEY_VALUE = 0x2;
        /// Zoned namespace command set.
        ZONED_NAMESPACE = 0x4;
    }
}

/// The three methods every structure of this file has.
macro_rules! structure {
    ($($name:ident),+) => { $(
        impl $name {
            /// All fields zero.
            pub fn zeroed() -> Self {
                Self::new_zeroed()
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

        const _: () = assert!(size_of::<$name>() == super::IDENTIFY_LEN);
    )+ };
}

structure!(NvmControllerData, NvmNamespaceData, IndependentNamespaceData, CommandSetCombinations);

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_the_offsets_of_the_figures() {
        assert_eq!(offset_of!(NvmControllerData, dataset_size_limit), 8);
        assert_eq!(offset_of!(NvmNamespaceData, extended_formats), 12);
        assert_eq!(offset_of!(IndependentNamespaceData, ana_group_id), 4);
        assert_eq!(offset_of!(IndependentNamespaceData, status), 14);
        let mut sets = CommandSetCombinations::zeroed();
        sets.vectors[0] = U64::new(CommandSetVector::NVM.bits());
        let mut bytes = [0xee; 4096];
        assert_eq!(sets.encode(&mut bytes), Ok(4096));
        assert_eq!(bytes[..9], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
