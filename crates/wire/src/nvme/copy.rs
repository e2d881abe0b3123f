//! Copy: blocks from source ranges to one destination, within the controller (NVM 3.2.2).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::command::SubmissionQueueEntry;
use super::nvm::Control;
use super::opcode::NvmOpcode;

/// The dwords of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyCommand {
    /// First block of the destination (SDLBA).
    pub destination: u64,
    /// Source ranges in the data: 1 to 256; the wire holds one less (NR).
    pub ranges: u16,
    /// Format of the source ranges, 4 bits; [`CopyRange`] is format 0.
    pub format: u8,
    /// Protection information field for reads (PRINFOR), 4 bits.
    pub read_protection: u8,
    /// Bits 31:16 of dword 12, of which force unit access, limited retry and protection for writes apply.
    pub control: Control,
}

/// A source range in format 0: 32 bytes (NVM figure 33).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CopyRange {
    reserved0: [u8; 8],
    /// First block (SLBA).
    pub first_block: U64,
    /// Number of blocks less one (NLB).
    pub blocks_zero_based: U16,
    reserved18: [u8; 6],
    /// Expected reference tag (EILBRT).
    pub reference_tag: U32,
    /// Expected application tag (ELBAT).
    pub application_tag: U16,
    /// Expected application tag mask (ELBATM).
    pub application_tag_mask: U16,
}

impl CopyCommand {
    /// The meaning of a Copy command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let dword12 = command.cdw12.get();
        Self {
            destination: u64::from(command.cdw10.get()) | u64::from(command.cdw11.get()) << 32,
            ranges: (dword12 & 0xff) as u16 + 1,
            format: (dword12 >> 8 & 0xf) as u8,
            read_protection: (dword12 >> 12 & 0xf) as u8,
            control: Control((dword12 >> 16) as u16),
        }
    }

    /// A Copy command; its data has `ranges` ranges, held to 1 to 256.
    pub fn command(&self, command_id: u16, namespace_id: u32) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(NvmOpcode::Copy.code(), command_id);
        command.cdw10 = U32::new(self.destination as u32);
        command.cdw11 = U32::new((self.destination >> 32) as u32);
        command.cdw12 = U32::new(
            (u32::from(self.ranges.clamp(1, COPY_RANGES_MAX)) - 1)
                | (u32::from(self.format & 0xf) << 8)
                | (u32::from(self.read_protection & 0xf) << 12)
                | (u32::from(self.control.bits()) << 16),
        );
        command.with_namespace(namespace_id)
    }

    /// Bytes of data the command has in format 0.
    pub const fn data_len(&self) -> usize {
        self.ranges as usize * CopyRange::LEN
    }
}

impl CopyRange {
    /// Bytes of a range.
    pub const LEN: usize = 32;

    /// A range without protection. `blocks` is 1 to 65,536 and held to it.
    pub fn new(first_block: u64, blocks: u32) -> Self {
        Self {
            first_block: U64::new(first_block),
            blocks_zero_based: U16::new((blocks.clamp(1, 1 << 16) - 1) as u16),
            ..Self::default()
        }
    }

    /// Number of blocks, 1 to 65,536.
    pub fn blocks(&self) -> u32 {
        u32::from(self.blocks_zero_based.get()) + 1
    }

    /// The ranges in `bytes`; a last piece too short for a range is left out.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(Self::LEN).filter_map(|chunk| Self::read_from_bytes(chunk).ok())
    }
}

/// The most source ranges of one command.
pub const COPY_RANGES_MAX: u16 = 256;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn command_and_ranges_survive_their_bytes() {
        let request = CopyCommand {
            destination: 0x1_0000_0002,
            ranges: 3,
            format: 0,
            read_protection: 5,
            control: Control::FORCE_UNIT_ACCESS,
        };
        let command = request.command(1, 1);
        assert_eq!(command.cdw12.get(), 0x4000_5002);
        assert_eq!(CopyCommand::read(&command), request);
        let ranges = [CopyRange::new(9, 1), CopyRange::new(10, 65_536)];
        let bytes = ranges.as_bytes();
        assert_eq!((bytes[8], bytes[48], bytes[49]), (9, 0xff, 0xff));
        assert_eq!(CopyRange::all(bytes).collect::<Vec<_>>(), ranges);
        assert_eq!(ranges[1].blocks(), 65_536);
    }
}
