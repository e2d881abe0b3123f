//! GET LBA STATUS: which blocks have space.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;
use block::Extent;
use wire::scsi::Sense;

/// GET LBA STATUS (SBC-3, section 5.4). Its row stands beside the other one of its operation code.
pub(super) const ROW: CommandRow = CommandRow {
    operation_code: 0x9e,
    service_action: Some(0x12),
    usage: &[0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, CONTROL],
    access: Access::Read,
    medium: MediumUse::Needed,
    always: false,
    data: Data::In(Field::new(10, 4)),
    execute,
};

/// Bytes of the parameter data before its descriptors, and of a descriptor.
const HEADER: usize = 8;
const DESCRIPTOR: usize = 16;

/// As many extents as there is room for, the first beginning with the block that was asked for.
fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let mut lba = call.cdb().u64(2);
    if lba >= info.blocks {
        return Err(Fault::Sense(Sense::LBA_OUT_OF_RANGE));
    }
    let room = call.task.data.len().saturating_sub(HEADER) / DESCRIPTOR;
    let mut out = vec![0; HEADER];
    let volume = call.unit()?.volume.clone();
    for _ in 0..room.clamp(1, DESCRIPTORS_MAX) {
        if lba >= info.blocks {
            break;
        }
        let Extent { blocks, mapped } = volume.extent(call.env, lba);
        let blocks = blocks.clamp(1, (info.blocks - lba).min(u64::from(u32::MAX)));
        out.extend_from_slice(&lba.to_be_bytes());
        out.extend_from_slice(&(blocks as u32).to_be_bytes());
        out.extend_from_slice(&[u8::from(!mapped), 0, 0, 0]);
        lba += blocks;
    }
    let len = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&len.to_be_bytes());
    call.answer(&out)
}

/// Extents told at once, at most.
const DESCRIPTORS_MAX: usize = 1024;
