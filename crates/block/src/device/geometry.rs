//! The size of a device, and what sizes there can be.

use crate::Info;
use stdx::mem::Memory;
use thiserror::Error;

/// A block size and a number of blocks that a device can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    block_size: u32,
    physical_block_size: u32,
    blocks: u64,
}

/// Why there can be no device of this size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GeometryError {
    /// Not 512 or 4096 bytes a block.
    #[error("blocks of {0} bytes: there are blocks of 512 and of 4096 bytes")]
    BlockSize(u32),
    /// Not a power of two between a block and [`PHYSICAL_BLOCK_MAX`].
    #[error("physical blocks of {0} bytes: they are a power of two, from a block to 64 KiB long")]
    PhysicalBlockSize(u32),
    /// No blocks.
    #[error("a device has at least one block")]
    Empty,
    /// More than 2^63 - 1 bytes.
    #[error("{0} blocks are more than a device can have")]
    TooLarge(u64),
}

impl Geometry {
    /// `blocks` blocks of `block_size` bytes, which the medium writes one by one.
    pub const fn new(block_size: u32, blocks: u64) -> Result<Self, GeometryError> {
        if block_size != 512 && block_size != 4096 {
            return Err(GeometryError::BlockSize(block_size));
        }
        if blocks == 0 {
            return Err(GeometryError::Empty);
        }
        if blocks > i64::MAX as u64 / block_size as u64 {
            return Err(GeometryError::TooLarge(blocks));
        }
        Ok(Self { block_size, physical_block_size: block_size, blocks })
    }

    /// The same with another number of blocks.
    pub const fn resized(self, blocks: u64) -> Result<Self, GeometryError> {
        match Self::new(self.block_size, blocks) {
            Ok(resized) => Ok(Self { blocks: resized.blocks, ..self }),
            Err(error) => Err(error),
        }
    }

    /// The same on a medium that writes so many bytes at once; without a number, a block.
    pub const fn with_physical(self, physical_block_size: Option<u32>) -> Result<Self, GeometryError> {
        let physical_block_size = match physical_block_size {
            Some(bytes) => bytes,
            None => self.block_size,
        };
        let fits = self.block_size <= physical_block_size && physical_block_size <= PHYSICAL_BLOCK_MAX;
        if !fits || !physical_block_size.is_power_of_two() {
            return Err(GeometryError::PhysicalBlockSize(physical_block_size));
        }
        Ok(Self { physical_block_size, ..self })
    }

    /// Bytes a block.
    pub const fn block_size(self) -> u32 {
        self.block_size
    }

    /// How many blocks.
    pub const fn blocks(self) -> u64 {
        self.blocks
    }

    /// All bytes.
    pub const fn bytes(self) -> u64 {
        self.blocks * self.block_size as u64
    }

    /// Where `lba` begins, in bytes, and how long `blocks` blocks are. They lie on the device: their request was checked.
    pub(super) const fn range(self, lba: u64, blocks: u32) -> (u64, u64) {
        (lba * self.block_size as u64, blocks as u64 * self.block_size as u64)
    }

    /// What is the same for most devices of this size: writable, there, no cache, and requests as long as the longest
    /// I/O buffer.
    pub(super) const fn info(self) -> Info {
        Info {
            block_size: self.block_size,
            physical_block_size: self.physical_block_size,
            blocks: self.blocks,
            blocks_max: Memory::BUFFER_MAX as u32 / self.block_size,
            atomic_blocks_max: 1,
            volatile_cache: false,
            thin: false,
            read_only: false,
            lends: false,
            offline: false,
            crypto_erases: false,
        }
    }
}

/// Bytes of a physical block, at most.
pub const PHYSICAL_BLOCK_MAX: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn physical_blocks_hold_whole_blocks() {
        let geometry = Geometry::new(512, 64).unwrap();
        assert_eq!(geometry.with_physical(None).unwrap().info().physical_block_size, 512);
        let larger = geometry.with_physical(Some(4096)).unwrap();
        assert_eq!(larger.resized(8).unwrap().info().physical_block_size, 4096);
        for wrong in [0, 256, 1536, PHYSICAL_BLOCK_MAX * 2] {
            let error = Err(GeometryError::PhysicalBlockSize(wrong));
            assert_eq!(geometry.with_physical(Some(wrong)), error);
        }
    }

    #[test]
    fn sizes_that_no_device_has() {
        assert_eq!(Geometry::new(520, 1), Err(GeometryError::BlockSize(520)));
        assert_eq!(Geometry::new(512, 0), Err(GeometryError::Empty));
        let most = i64::MAX as u64 / 4096;
        assert!(Geometry::new(4096, most).is_ok());
        assert_eq!(Geometry::new(4096, most + 1), Err(GeometryError::TooLarge(most + 1)));
    }
}
