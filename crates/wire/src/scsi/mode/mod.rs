//! Mode parameters: what MODE SENSE tells and MODE SELECT takes (SPC-4, section 7.5; SBC-3, section 6.5): a header, block
//! descriptors, pages.

mod pages;

pub use pages::{
    CachingFlags, CachingPage, ControlFlags, ControlPage, ErrorRecoveryPage, InformationalExceptionsPage,
    MODE_PAGE_LEN_MAX, PageHeader,
};

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

codes! {
    /// Which values MODE SENSE tells (PC; SPC-4, table 175).
    pub enum PageControl: u8 {
        Current = 0, "current values";
        Changeable = 1, "changeable values";
        Default = 2, "default values";
        Saved = 3, "saved values";
    }
}

codes! {
    /// Mode pages a disk has here (SBC-3, table 146).
    pub enum ModePage: u8 {
        ErrorRecovery = 0x01, "Read-Write Error Recovery";
        Caching = 0x08, "Caching";
        Control = 0x0a, "Control";
        InformationalExceptions = 0x1c, "Informational Exceptions Control";
    }
}

/// PAGE CODE that asks for all pages.
pub const ALL_PAGES: u8 = 0x3f;
/// SUBPAGE CODE that asks for all subpages, too.
pub const ALL_SUBPAGES: u8 = 0xff;

bits! {
    /// DEVICE-SPECIFIC PARAMETER of a disk (SBC-3, table 147).
    pub struct DeviceParameter: u8 {
        /// WP: writes are refused.
        WRITE_PROTECTED = 1 << 7;
        /// DPOFUA: commands may say DPO and FUA.
        DPO_FUA = 1 << 4;
    }
}

/// The header of the commands with 6 bytes: 4 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ModeHeader6 {
    /// MODE DATA LENGTH: bytes that follow this one. Reserved in MODE SELECT.
    pub data_len: u8,
    /// MEDIUM TYPE: 0 is a disk.
    pub medium_type: u8,
    device_parameter: u8,
    /// BLOCK DESCRIPTOR LENGTH, in bytes.
    pub descriptors_len: u8,
}

/// The header of the commands with 10 bytes: 8 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ModeHeader10 {
    /// MODE DATA LENGTH: bytes that follow this field. Reserved in MODE SELECT.
    pub data_len: U16,
    /// MEDIUM TYPE: 0 is a disk.
    pub medium_type: u8,
    device_parameter: u8,
    long: u8,
    reserved5: u8,
    /// BLOCK DESCRIPTOR LENGTH, in bytes.
    pub descriptors_len: U16,
}

/// The short block descriptor: 8 bytes (SBC-3, table 148).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ShortBlockDescriptor {
    blocks: U32,
    block_len: U32,
}

/// The long block descriptor: 16 bytes (SBC-3, table 149).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct LongBlockDescriptor {
    /// NUMBER OF LOGICAL BLOCKS.
    pub blocks: U64,
    reserved8: [u8; 4],
    /// LOGICAL BLOCK LENGTH, in bytes.
    pub block_len: U32,
}

impl ModeHeader6 {
    /// Bytes of the structure.
    pub const LEN: usize = 4;

    /// A header; `data_len` counts what follows its first byte.
    pub const fn new(data_len: u8, device_parameter: DeviceParameter, descriptors_len: u8) -> Self {
        Self { data_len, medium_type: 0, device_parameter: device_parameter.bits(), descriptors_len }
    }

    /// DEVICE-SPECIFIC PARAMETER.
    pub const fn device_parameter(&self) -> DeviceParameter {
        DeviceParameter(self.device_parameter)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl ModeHeader10 {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// A header; `data_len` counts what follows its first two bytes; `long`: the descriptors are long ones.
    pub fn new(data_len: u16, device_parameter: DeviceParameter, long: bool, descriptors_len: u16) -> Self {
        Self {
            data_len: U16::new(data_len),
            medium_type: 0,
            device_parameter: device_parameter.bits(),
            long: u8::from(long),
            reserved5: 0,
            descriptors_len: U16::new(descriptors_len),
        }
    }

    /// DEVICE-SPECIFIC PARAMETER.
    pub const fn device_parameter(&self) -> DeviceParameter {
        DeviceParameter(self.device_parameter)
    }

    /// LONGLBA: the block descriptors are long ones.
    pub const fn long(&self) -> bool {
        self.long & 1 != 0
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

impl ShortBlockDescriptor {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// A descriptor; more blocks than 32 bits can tell are told as [`Self::MORE`].
    pub fn new(blocks: u64, block_len: u32) -> Self {
        let blocks = u32::try_from(blocks).unwrap_or(Self::MORE);
        Self { blocks: U32::new(blocks), block_len: U32::new(block_len & 0x00ff_ffff) }
    }

    /// More blocks than there is room to tell.
    pub const MORE: u32 = u32::MAX;

    /// NUMBER OF LOGICAL BLOCKS.
    pub const fn blocks(&self) -> u32 {
        self.blocks.get()
    }

    /// LOGICAL BLOCK LENGTH, in bytes.
    pub const fn block_len(&self) -> u32 {
        self.block_len.get() & 0x00ff_ffff
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

impl LongBlockDescriptor {
    /// Bytes of the structure.
    pub const LEN: usize = 16;

    /// A descriptor.
    pub fn new(blocks: u64, block_len: u32) -> Self {
        Self { blocks: U64::new(blocks), reserved8: [0; 4], block_len: U32::new(block_len) }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 16 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0xff; 16];
        let parameter = DeviceParameter::WRITE_PROTECTED | DeviceParameter::DPO_FUA;
        ModeHeader6::new(9, parameter, 8).encode(&mut out).unwrap();
        assert_eq!(out[..4], [9, 0, 0x90, 8]);
        ModeHeader10::new(0x0102, parameter, true, 16).encode(&mut out).unwrap();
        assert_eq!(out[..8], [1, 2, 0, 0x90, 1, 0, 0, 16]);
        ShortBlockDescriptor::new(1 << 33, 4096).encode(&mut out).unwrap();
        assert_eq!(out[..8], [0xff, 0xff, 0xff, 0xff, 0, 0, 16, 0]);
        LongBlockDescriptor::new(1 << 33, 4096).encode(&mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0]);
    }
}
