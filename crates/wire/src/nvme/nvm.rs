//! The dwords of the NVM command set's commands (NVM 3.2).
//!
//! Read, Write, Compare, Verify, Write Zeroes and Write Uncorrectable share one layout: a range of blocks and a word of
//! control bits. Dataset Management, Copy and the reservations have modules of their own.

use zerocopy::little_endian::U32;

use super::command::SubmissionQueueEntry;

/// The blocks a command is about, and how it is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCommand {
    /// First logical block (SLBA).
    pub first_block: u64,
    /// Number of blocks, 1 to 65,536; the wire holds one less (NLB).
    pub blocks: u32,
    /// Bits 31:16 of dword 12.
    pub control: Control,
}

bits! {
    /// The control bits of a block command: bits 31:16 of dword 12.
    pub struct Control: u16 {
        /// Limited retry (LR).
        LIMITED_RETRY = 0x8000;
        /// Force unit access (FUA).
        FORCE_UNIT_ACCESS = 0x4000;
        /// Protection information action (PRACT).
        PROTECTION_ACTION = 0x2000;
        /// Check the guard.
        CHECK_GUARD = 0x1000;
        /// Check the application tag.
        CHECK_APPLICATION_TAG = 0x0800;
        /// Check the reference tag.
        CHECK_REFERENCE_TAG = 0x0400;
        /// Write Zeroes only: the blocks may be deallocated (DEAC).
        DEALLOCATE = 0x0200;
        /// Check the storage tag (STC).
        CHECK_STORAGE_TAG = 0x0100;
    }
}

impl BlockCommand {
    /// The meaning of a block command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let dword12 = command.cdw12.get();
        Self {
            first_block: u64::from(command.cdw10.get()) | u64::from(command.cdw11.get()) << 32,
            blocks: (dword12 & 0xffff) + 1,
            control: Control((dword12 >> 16) as u16),
        }
    }

    /// Puts the range into dwords 10 to 12 of a command. `blocks` is held to 1 to 65,536.
    pub fn write(&self, command: &mut SubmissionQueueEntry) {
        command.cdw10 = U32::new(self.first_block as u32);
        command.cdw11 = U32::new((self.first_block >> 32) as u32);
        command.cdw12 =
            U32::new((self.blocks.clamp(1, BLOCKS_MAX) - 1) | (u32::from(self.control.bits()) << 16));
    }

    /// Whether the command must reach stable storage before it completes.
    pub const fn force_unit_access(&self) -> bool {
        self.control.contains(Control::FORCE_UNIT_ACCESS)
    }

    /// The block after the last, `None` if the range passes the end of the 64-bit block space.
    pub const fn end(&self) -> Option<u64> {
        self.first_block.checked_add(self.blocks as u64)
    }
}

/// The most blocks one command can name.
pub const BLOCKS_MAX: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_survives_its_command() {
        let range = BlockCommand {
            first_block: 0x0123_4567_89ab_cdef,
            blocks: 65_536,
            control: Control::FORCE_UNIT_ACCESS | Control::DEALLOCATE,
        };
        let mut command = SubmissionQueueEntry::new(0x01, 0);
        range.write(&mut command);
        assert_eq!(command.cdw12.get(), 0x4200_ffff);
        assert_eq!(BlockCommand::read(&command), range);
        assert!(range.force_unit_access());
        assert_eq!(BlockCommand { first_block: u64::MAX, ..range }.end(), None);
    }
}
