//! READ and WRITE: blocks between the volume and the initiator, in the four sizes of CDB.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::{BlockRange, force_unit_access};
use super::run::{MemoryOf, Run, Then};
use super::tail::Tail;
use block::{Info, Op};
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense};

/// DPO, FUA, RARC and what was FUA_NV.
const READ_FLAGS: u8 = 0x1e;
/// DPO, FUA and what was FUA_NV.
const WRITE_FLAGS: u8 = 0x1a;
/// GROUP NUMBER: taken, and nothing is made of it.
const GROUP: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 8] = [
    read(&[0x08, 0x1f, FF, FF, FF, CONTROL]),
    read(&[0x28, READ_FLAGS, FF, FF, FF, FF, GROUP, FF, FF, CONTROL]),
    read(&[0xa8, READ_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    read(&[0x88, READ_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    write(&[0x0a, 0x1f, FF, FF, FF, CONTROL]),
    write(&[0x2a, WRITE_FLAGS, FF, FF, FF, FF, GROUP, FF, FF, CONTROL]),
    write(&[0xaa, WRITE_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    write(&[0x8a, WRITE_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
];

/// READ (SBC-3, sections 5.10 to 5.13). RDPROTECT must be zero: there is no protection information.
const fn read(usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Read,
        medium: MediumUse::Needed,
        always: false,
        data: Data::Blocks(read_data),
        execute: execute_read,
    }
}

/// WRITE (SBC-3, sections 5.30 to 5.33). WRPROTECT must be zero.
const fn write(usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data: Data::Blocks(write_data),
        execute: execute_write,
    }
}

fn read_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    let range = BlockRange::read(cdb).on(info)?;
    match range.bytes(info, cdb)? {
        0 => Ok(Transfer::None),
        len => Ok(Transfer::In { len, lent: info.lends && range.blocks <= info.blocks_max }),
    }
}

pub(super) fn write_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    match BlockRange::read(cdb).on(info)?.bytes(info, cdb)? {
        0 => Ok(Transfer::None),
        len => Ok(Transfer::Out { len }),
    }
}

/// What a READ or a WRITE does, and to which blocks. `None`: it is another command.
pub(in super::super) fn plain_range(cdb: &Cdb) -> Option<(Op, BlockRange)> {
    let op = match cdb.operation_code() {
        0x08 | 0x28 | 0xa8 | 0x88 => Op::Read,
        0x0a | 0x2a | 0xaa | 0x8a => Op::Write,
        _ => return None,
    };
    Some((op, BlockRange::read(cdb)))
}

fn execute_read(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let range = BlockRange::read(call.cdb()).on(&info)?;
    let bytes = range.bytes(&info, call.cdb())?;
    if bytes == 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    let lent = call.task.data.is_empty() && info.lends && range.blocks <= info.blocks_max;
    if !lent && call.task.data.len != bytes {
        // The volume is another one than when the transport was told what to bring.
        return Err(Fault::Sense(Sense::CAPACITY_DATA_CHANGED));
    }
    let memory = if lent { MemoryOf::Volume } else { MemoryOf::Task };
    let fua = force_unit_access(call.cdb());
    Run::new(Op::Read, range.lba, u64::from(range.blocks), fua, memory).start(call)
}

fn execute_write(call: &mut Call<'_>) -> Result<Step, Fault> {
    let fua = force_unit_access(call.cdb()) || write_through(call)?;
    write_received(call, fua, Then::End)
}

/// True if writes are answered only when they are on stable storage (WCE is zero).
pub(super) fn write_through(call: &Call<'_>) -> Result<bool, Fault> {
    Ok(!call.unit()?.settings.write_cache)
}

/// Writes what came, and then goes on. An initiator may offer less than the CDB asks for: then no more than that is
/// written, and the residual count tells of the rest.
pub(super) fn write_received(call: &mut Call<'_>, fua: bool, then: Then) -> Result<Step, Fault> {
    let info = call.info()?;
    let range = BlockRange::read(call.cdb()).on(&info)?;
    let received = call.task.data.len.min(range.bytes(&info, call.cdb())?);
    let blocks = u64::from(received / info.block_size);
    let whole = Run::new(Op::Write, range.lba, blocks, fua, MemoryOf::Task).then(then);
    match received % info.block_size {
        0 => whole.start(call),
        len => Tail::new(whole, len).start(call),
    }
}

/// The range of a command that makes no sense with less than all its data.
pub(super) fn all_received_blocks(call: &mut Call<'_>) -> Result<BlockRange, Fault> {
    let info = call.info()?;
    let range = BlockRange::read(call.cdb()).on(&info)?;
    call.received(range.bytes(&info, call.cdb())?)?;
    Ok(range)
}
