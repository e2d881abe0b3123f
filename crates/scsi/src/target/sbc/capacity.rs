//! READ CAPACITY: how long the volume is, and what kind of blocks it has.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::allocation;

pub(in super::super) const ROWS: [CommandRow; 3] = [
    // READ CAPACITY (10) (SBC-3, section 5.15). PMI and an address with it are obsolete; they must be zero.
    CommandRow {
        operation_code: 0x25,
        service_action: None,
        usage: &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL],
        access: Access::Free,
        medium: MediumUse::Needed,
        always: false,
        data: Data::Blocks(|_, _| Ok(Transfer::In { len: 8, lent: false })),
        execute: read_capacity_10,
    },
    // READ CAPACITY (16) (SBC-3, section 5.16).
    CommandRow {
        operation_code: 0x9e,
        service_action: Some(0x10),
        usage: &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, CONTROL],
        access: Access::Free,
        medium: MediumUse::Needed,
        always: false,
        data: Data::In(Field::new(10, 4)),
        execute: read_capacity_16,
    },
    allocation::ROW,
];

/// A volume too long for 32 bits says so by the highest address: then the longer command is to be asked.
fn read_capacity_10(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let last = u32::try_from(info.blocks - 1).unwrap_or(u32::MAX);
    let mut out = [0; 8];
    out[..4].copy_from_slice(&last.to_be_bytes());
    out[4..].copy_from_slice(&info.block_size.to_be_bytes());
    call.answer(&out)
}

fn read_capacity_16(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let mut out = [0; 32];
    out[..8].copy_from_slice(&(info.blocks - 1).to_be_bytes());
    out[8..12].copy_from_slice(&info.block_size.to_be_bytes());
    // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT; the first physical block begins with block 0.
    out[13] = (info.physical_block_size / info.block_size).ilog2() as u8;
    if info.thin {
        // LBPME, and LBPRZ: unmapped blocks read as zero.
        out[14] = 0xc0;
    }
    call.answer(&out)
}
