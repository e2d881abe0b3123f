//! UNMAP: blocks are given back.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::options::UNMAP_DESCRIPTORS_MAX;
use super::super::task::Fault;
use super::transfer::write_through;
use super::work::Work;
use block::{Io, Op};
use stdx::mem::Span;
use wire::scsi::Sense;

pub(in super::super) const ROWS: [CommandRow; 1] = [
    // UNMAP (SBC-3, section 5.25). With ANCHOR the blocks keep their space.
    CommandRow {
        operation_code: 0x42,
        service_action: None,
        usage: &[0x42, ANCHOR, 0, 0, 0, 0, 0x1f, 0xff, 0xff, CONTROL],
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data: Data::Out(Field::new(7, 2)),
        execute,
    },
];

/// ANCHOR.
const ANCHOR: u8 = 0x01;

/// Bytes of the parameter list before its descriptors, and of a descriptor.
const HEADER: usize = 8;
const DESCRIPTOR: usize = 16;

/// Every descriptor is looked at before the first is carried out.
fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    if !info.thin {
        return Err(Fault::Sense(Sense::INVALID_OPERATION_CODE));
    }
    if Field::new(7, 2).of(call.cdb()) == 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    let list = call.task.data;
    let mut header = [0; HEADER];
    if list.len() < HEADER {
        return Err(Fault::Sense(Sense::PARAMETER_LIST_LENGTH));
    }
    call.env.mem().read(list.first(HEADER), &mut header);
    let told = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let count = (told.min(list.len() - HEADER) / DESCRIPTOR) as u32;
    if count > UNMAP_DESCRIPTORS_MAX {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(2)));
    }
    for index in 0..count {
        let (lba, blocks) = descriptor(call, index);
        if !info.contains(lba, u64::from(blocks)) {
            return Err(Fault::Sense(Sense::LBA_OUT_OF_RANGE));
        }
    }
    next_of_unmap(call, 0, count)
}

/// Carries out the next descriptor that has blocks. They read as zero afterwards, as LBPRZ says.
pub(super) fn next_of_unmap(call: &mut Call<'_>, next: u32, count: u32) -> Result<Step, Fault> {
    for index in next..count {
        let (lba, blocks) = descriptor(call, index);
        if blocks > 0 {
            let deallocate = call.cdb().byte(1) & ANCHOR == 0;
            let (op, fua) = (Op::Zero { deallocate }, write_through(call)?);
            let io = Io { tag: 0, op, lba, blocks, fua, lend: false, data: Span::EMPTY };
            return call.start(io, Work::Unmap { next: index + 1, count });
        }
    }
    Ok(Step::Good(Span::EMPTY))
}

/// The first block and the number of blocks of a descriptor that lies in the list.
fn descriptor(call: &mut Call<'_>, index: u32) -> (u64, u32) {
    let mut bytes = [0; DESCRIPTOR];
    let at = HEADER + index as usize * DESCRIPTOR;
    call.env.mem().read(call.task.data.slice(at, DESCRIPTOR), &mut bytes);
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = bytes;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}
