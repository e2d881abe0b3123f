//! Dataset Management: hints about ranges of blocks, above all that they may be deallocated (NVM 3.2.3).

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::command::SubmissionQueueEntry;
use super::opcode::NvmOpcode;

/// The dwords of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetManagement {
    /// Ranges in the data: 1 to 256; the wire holds one less (NR).
    pub ranges: u16,
    /// What the ranges are.
    pub attributes: DatasetAttributes,
}

bits! {
    /// What is said of the ranges (dword 11).
    pub struct DatasetAttributes: u32 {
        /// Will be read as a whole (IDR).
        INTEGRAL_READ = 0x1;
        /// Will be written as a whole (IDW).
        INTEGRAL_WRITE = 0x2;
        /// May be deallocated (AD).
        DEALLOCATE = 0x4;
    }
}

/// A range: 16 bytes (NVM figure 38).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct DatasetRange {
    /// Context attributes: hints on the way of access.
    pub attributes: U32,
    /// Number of blocks; not one less, and 0 is an empty range.
    pub blocks: U32,
    /// First block.
    pub first_block: U64,
}

impl DatasetManagement {
    /// The meaning of a Dataset Management command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        Self {
            ranges: u16::from(command.cdw10.to_bytes()[0]) + 1,
            attributes: DatasetAttributes(command.cdw11.get()),
        }
    }

    /// A Dataset Management command; its data has `ranges` ranges, held to 1 to 256.
    pub fn command(&self, command_id: u16, namespace_id: u32) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(NvmOpcode::DatasetManagement.code(), command_id);
        command.cdw10 = U32::new(u32::from(self.ranges.clamp(1, DATASET_RANGES_MAX)) - 1);
        command.cdw11 = U32::new(self.attributes.bits());
        command.with_namespace(namespace_id)
    }

    /// Bytes of data the command has.
    pub const fn data_len(&self) -> usize {
        self.ranges as usize * DatasetRange::LEN
    }
}

impl DatasetRange {
    /// Bytes of a range.
    pub const LEN: usize = 16;

    /// A range without hints.
    pub const fn new(first_block: u64, blocks: u32) -> Self {
        Self { attributes: U32::new(0), blocks: U32::new(blocks), first_block: U64::new(first_block) }
    }

    /// The 16 bytes.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        zerocopy::transmute!(self)
    }

    /// The ranges in `bytes`; a last piece too short for a range is left out.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(Self::LEN).filter_map(|chunk| Self::read_from_bytes(chunk).ok())
    }
}

/// The most ranges of one command.
pub const DATASET_RANGES_MAX: u16 = 256;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn command_and_ranges_survive_their_bytes() {
        let request = DatasetManagement { ranges: 256, attributes: DatasetAttributes::DEALLOCATE };
        let command = request.command(1, 1);
        assert_eq!(command.cdw10.get(), 255);
        assert_eq!(DatasetManagement::read(&command), request);
        assert_eq!(request.data_len(), 4096);
        let ranges = [DatasetRange::new(8, 16), DatasetRange::new(1 << 40, u32::MAX)];
        let mut bytes = ranges.as_bytes().to_vec();
        bytes.push(0xee);
        assert_eq!(DatasetRange::all(&bytes).collect::<Vec<_>>(), ranges);
    }
}
