//! SYNCHRONIZE CACHE and PRE-FETCH.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::BlockRange;
use super::work::Work;
use block::{Info, Io, Op};
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense};

/// IMMED.
const IMMEDIATE: u8 = 0x02;
/// What was SYNC_NV: taken, and nothing is made of it.
const SYNC_NV: u8 = 0x04;
const GROUP: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 4] = [
    // PRE-FETCH (SBC-3, sections 5.8 and 5.9).
    row(&[0x34, IMMEDIATE, FF, FF, FF, FF, GROUP, FF, FF, CONTROL], Access::Read, prefetch),
    row(
        &[0x90, IMMEDIATE, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL],
        Access::Read,
        prefetch,
    ),
    // SYNCHRONIZE CACHE (SBC-3, sections 5.22 and 5.23).
    row(&[0x35, IMMEDIATE | SYNC_NV, FF, FF, FF, FF, GROUP, FF, FF, CONTROL], Access::Write, synchronize),
    row(
        &[0x91, IMMEDIATE | SYNC_NV, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL],
        Access::Write,
        synchronize,
    ),
];

const fn row(
    usage: &'static [u8],
    access: Access,
    execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access,
        medium: MediumUse::Needed,
        always: false,
        data: Data::Blocks(on_volume),
        execute,
    }
}

/// No data; the blocks lie on the volume. No blocks stand for all to its end.
fn on_volume(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    BlockRange::read(cdb).on(info).map(|_| Transfer::None)
}

/// There is no cache to fetch into that would make a later read quicker, which GOOD instead of CONDITION MET tells.
fn prefetch(_: &mut Call<'_>) -> Result<Step, Fault> {
    Ok(Step::Good(Span::EMPTY))
}

/// The whole cache is written, whichever blocks were asked for: a flush has no range.
fn synchronize(call: &mut Call<'_>) -> Result<Step, Fault> {
    let step = flush(call)?;
    if call.cdb().byte(1) & IMMEDIATE != 0 {
        call.answer_early();
    }
    Ok(step)
}

/// Everything written before is on stable storage, and then the task ends.
pub(super) fn flush(call: &mut Call<'_>) -> Result<Step, Fault> {
    let io = Io { tag: 0, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };
    call.start(io, Work::Whole)
}
