//! Commands that nothing else comes between: COMPARE AND WRITE, ORWRITE, WRITE ATOMIC.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::options::atomic_blocks_max;
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::{BlockRange, force_unit_access};
use super::run::{MemoryOf, Run};
use super::transfer::{all_received_blocks, write_data, write_through};
use super::work::Work;
use block::{Info, Io, Op};
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense};

/// DPO, FUA and, where there was one, FUA_NV.
const FLAGS: u8 = 0x1a;
const GROUP: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 3] = [
    // COMPARE AND WRITE (SBC-3, section 5.3).
    row(
        &[0x89, FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, 0, 0, 0, FF, GROUP, CONTROL],
        compare_and_write_data,
        compare_and_write,
    ),
    // ORWRITE (16) (SBC-3, section 5.6).
    row(&[0x8b, FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL], write_data, or_write),
    // WRITE ATOMIC (16) (SBC-4, section 5.49). ATOMIC BOUNDARY must be zero: none is offered.
    row(
        &[0x9c, 0x18, FF, FF, FF, FF, FF, FF, FF, FF, 0, 0, FF, FF, GROUP, CONTROL],
        write_atomic_data,
        write_atomic,
    ),
];

const fn row(
    usage: &'static [u8],
    data: fn(&Info, &Cdb) -> Result<Transfer, Sense>,
    execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
) -> CommandRow {
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

/// NUMBER OF LOGICAL BLOCKS has one byte; what to compare comes first, then as much to write.
fn compared(info: &Info, cdb: &Cdb) -> Result<(BlockRange, u32), Sense> {
    let range = BlockRange { lba: cdb.u64(2), blocks: u32::from(cdb.byte(13)) }.on(info)?;
    Ok((range, 2 * range.blocks * info.block_size))
}

fn compare_and_write_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    match compared(info, cdb)? {
        (_, 0) => Ok(Transfer::None),
        (_, len) => Ok(Transfer::Out { len }),
    }
}

/// Data of another length than the CDB says would be cut in other halves than the initiator's.
fn compare_and_write(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (BlockRange { lba, blocks }, len) = compared(&call.info()?, call.cdb())?;
    if call.task.data_out_len != len || call.task.data.len != len {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(13)));
    }
    if blocks == 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    let half = len as usize / 2;
    let expected = call.task.data.first(half);
    let data = call.task.data.from(half);
    let fua = force_unit_access(call.cdb()) || write_through(call)?;
    let op = Op::CompareWrite { expected };
    call.start(Io { tag: 0, op, lba, blocks, fua, lend: false, data }, Work::Whole)
}

fn or_write(call: &mut Call<'_>) -> Result<Step, Fault> {
    let range = all_received_blocks(call)?;
    let fua = force_unit_access(call.cdb()) || write_through(call)?;
    Run::new(Op::OrWrite, range.lba, u64::from(range.blocks), fua, MemoryOf::Task).start(call)
}

fn write_atomic_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    let range = BlockRange { lba: cdb.u64(2), blocks: u32::from(cdb.u16(12)) }.on(info)?;
    if range.blocks > atomic_blocks_max(info) {
        return Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(12));
    }
    match range.blocks * info.block_size {
        0 => Ok(Transfer::None),
        len => Ok(Transfer::Out { len }),
    }
}

/// One request to the volume, whose atomic writes are at least as long.
fn write_atomic(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let (lba, blocks) = (call.cdb().u64(2), u32::from(call.cdb().u16(12)));
    write_atomic_data(&info, call.cdb())?;
    if blocks == 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    call.received(blocks * info.block_size)?;
    let fua = force_unit_access(call.cdb()) || write_through(call)?;
    let data = call.task.data;
    call.start(Io { tag: 0, op: Op::Write, lba, blocks, fua, lend: false, data }, Work::Whole)
}
