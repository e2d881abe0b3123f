//! The range of blocks that a CDB names, and what it says about how to move them.

use super::super::options::TRANSFER_MAX;
use block::Info;
use wire::scsi::{Cdb, Sense};

/// A range of blocks of a CDB in one of the four usual layouts (SBC-3, sections 5.8 and following).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct BlockRange {
    /// LOGICAL BLOCK ADDRESS.
    pub(in super::super) lba: u64,
    /// TRANSFER LENGTH, VERIFICATION LENGTH or NUMBER OF LOGICAL BLOCKS.
    pub(in super::super) blocks: u32,
}

impl BlockRange {
    /// The range that the CDB names, wherever it lies.
    pub(super) const fn read(cdb: &Cdb) -> Self {
        match cdb.group_len() {
            // Zero stands for 256 in the shortest form.
            Some(6) => {
                let blocks = if cdb.byte(4) == 0 { 256 } else { cdb.byte(4) as u32 };
                Self { lba: (cdb.u24(1) & 0x1f_ffff) as u64, blocks }
            }
            Some(10) => Self { lba: cdb.u32(2) as u64, blocks: cdb.u16(7) as u32 },
            Some(12) => Self { lba: cdb.u32(2) as u64, blocks: cdb.u32(6) },
            _ => Self { lba: cdb.u64(2), blocks: cdb.u32(10) },
        }
    }

    /// The same range if it lies on the volume. One without blocks begins on it, too.
    pub(in super::super) const fn on(self, info: &Info) -> Result<Self, Sense> {
        if self.lba < info.blocks && info.contains(self.lba, self.blocks as u64) {
            Ok(self)
        } else {
            Err(Sense::LBA_OUT_OF_RANGE)
        }
    }

    /// How many bytes the blocks are, if one command may move so many (MAXIMUM TRANSFER LENGTH).
    pub(in super::super) fn bytes(self, info: &Info, cdb: &Cdb) -> Result<u32, Sense> {
        match self.blocks.checked_mul(info.block_size) {
            Some(bytes) if bytes <= TRANSFER_MAX => Ok(bytes),
            _ => Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(length_at(cdb))),
        }
    }
}

/// Where the number of blocks stands in a CDB.
const fn length_at(cdb: &Cdb) -> u16 {
    match cdb.group_len() {
        Some(6) => 4,
        Some(10) => 7,
        Some(12) => 6,
        _ => 10,
    }
}

/// FUA of READ and WRITE, from the 10-byte CDB on.
pub(in super::super) const fn force_unit_access(cdb: &Cdb) -> bool {
    !matches!(cdb.group_len(), Some(6)) && cdb.bit(1, 3)
}
