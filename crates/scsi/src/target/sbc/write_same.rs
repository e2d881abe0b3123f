//! WRITE SAME: one block of data, written to many; or the blocks given back.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::options::WRITE_SAME_BLOCKS_MAX;
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::BlockRange;
use super::run::{MemoryOf, Run, fill_pattern};
use super::transfer::write_through;
use block::{Info, Op};
use wire::scsi::{Cdb, Sense};

/// UNMAP, and ANCHOR with it: the blocks keep their space. WRPROTECT and the obsolete PBDATA and LBDATA must be zero.
const UNMAP: u8 = 0x08;
const ANCHOR: u8 = 0x10;
/// NDOB: no data comes, zeros are meant.
const NO_DATA: u8 = 0x01;
const GROUP: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 2] = [
    // WRITE SAME (SBC-3, sections 5.43 and 5.44).
    row(&[0x41, ANCHOR | UNMAP, FF, FF, FF, FF, GROUP, FF, FF, CONTROL]),
    row(&[0x93, ANCHOR | UNMAP | NO_DATA, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
];

const fn row(usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data: Data::Blocks(data),
        execute,
    }
}

fn data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    blocks(info, cdb)?;
    if cdb.byte(1) & UNMAP != 0 && !info.thin {
        return Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 3));
    }
    if cdb.byte(1) & (ANCHOR | UNMAP) == ANCHOR {
        return Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4));
    }
    Ok(if has_data(cdb) { Transfer::Out { len: info.block_size } } else { Transfer::None })
}

/// The first block and how many. No blocks stand for all to the end of the volume (WSNZ is zero).
fn blocks(info: &Info, cdb: &Cdb) -> Result<(u64, u64), Sense> {
    let range = BlockRange::read(cdb).on(info)?;
    let blocks = if range.blocks == 0 { info.blocks - range.lba } else { u64::from(range.blocks) };
    if blocks > u64::from(WRITE_SAME_BLOCKS_MAX) {
        let length_at = if cdb.operation_code() == 0x41 { 7 } else { 10 };
        return Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(length_at));
    }
    Ok((range.lba, blocks))
}

/// The 10-byte CDB's bit is an obsolete one, which was seen to be zero.
const fn has_data(cdb: &Cdb) -> bool {
    cdb.byte(1) & NO_DATA == 0
}

/// Blocks to be unmapped are, whatever the data: they read as zero afterwards, as LBPRZ says. Zeros need no memory.
fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let (lba, blocks) = blocks(&info, call.cdb())?;
    let fua = write_through(call)?;
    let unmap = call.cdb().byte(1) & UNMAP != 0;
    let deallocate = unmap && call.cdb().byte(1) & ANCHOR == 0;
    let block = call.task.data;
    if has_data(call.cdb()) {
        call.offered(info.block_size)?;
        if !unmap && !call.env.mem().is_zero(block) {
            fill_pattern(call, block, blocks)?;
            return Run::new(Op::Write, lba, blocks, fua, MemoryOf::Pattern).start(call);
        }
    }
    Run::new(Op::Zero { deallocate }, lba, blocks, fua, MemoryOf::Nobody).start(call)
}
