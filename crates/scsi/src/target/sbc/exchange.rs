//! XDWRITEREAD: blocks are written, and what tells them from those that were there goes back to the initiator (SBC-3): the one
//! command whose data goes both ways.
//!
//! The blocks that are there are read into memory of the target's own; then the initiator's are written, from the buffer in
//! which the exclusive or of both takes their place in the end. Nobody promises that no other write comes between.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::{BlockRange, force_unit_access};
use super::run::{MemoryOf, Run, Then};
use super::transfer::{all_received_blocks, write_through};
use block::{Info, Op};
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense, Status};

/// DPO, FUA, DISABLE WRITE and what was FUA_NV. XORPINFO is about protection information, which there is none of.
const FLAGS: u8 = 0x1e;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 1] = [CommandRow {
    operation_code: 0x53,
    service_action: None,
    usage: &[0x53, FLAGS, FF, FF, FF, FF, 0x1f, FF, FF, CONTROL],
    access: Access::Write,
    medium: MediumUse::Changed,
    always: false,
    data: Data::Exchange(data),
    execute,
}];

fn data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    match BlockRange::read(cdb).on(info)?.bytes(info, cdb)? {
        0 => Ok(Transfer::None),
        len => Ok(Transfer::Both { len }),
    }
}

fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let range = all_received_blocks(call)?;
    let len = call.task.data.len();
    if len == 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    let aside = call.env.mem().take(len).ok_or(Fault::Status(Status::Busy))?;
    call.keep_pattern(aside);
    let there = Run::new(Op::Read, range.lba, range.blocks.into(), false, MemoryOf::Aside);
    there.then(Then::Replace).start(call)
}

/// The blocks that were there are known: others take their place, unless the initiator only wants to know.
pub(super) fn replace(call: &mut Call<'_>, lba: u64, blocks: u64) -> Result<Step, Fault> {
    if call.cdb().bit(1, 2) {
        return Ok(tell_difference(call));
    }
    let fua = force_unit_access(call.cdb()) || write_through(call)?;
    Run::new(Op::Write, lba, blocks, fua, MemoryOf::Task).then(Then::TellDifference).start(call)
}

/// What came gives way to its exclusive or with what was there.
pub(super) fn tell_difference(call: &mut Call<'_>) -> Step {
    let (data, there) = (call.task.data, call.task.pattern);
    let memory = call.env.mem();
    let (mut left, mut right) = ([0; CHUNK], [0; CHUNK]);
    for start in (0..data.len()).step_by(CHUNK) {
        let len = CHUNK.min(data.len() - start);
        memory.read(data.slice(start, len), &mut left[..len]);
        memory.read(there.slice(start, len), &mut right[..len]);
        left[..len].iter_mut().zip(&right).for_each(|(byte, other)| *byte ^= other);
        memory.write(data.slice(start, len), &left[..len]);
    }
    Step::Good(data)
}

/// Bytes that are combined at a time.
const CHUNK: usize = 512;
