//! VERIFY, and WRITE AND VERIFY.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::range::BlockRange;
use super::run::{MemoryOf, Run, Then, fill_pattern};
use super::transfer::{all_received_blocks, write_data, write_received, write_through};
use block::{Info, Op};
use wire::scsi::{Cdb, Sense};

/// DPO and BYTCHK; VRPROTECT must be zero.
const VERIFY_FLAGS: u8 = 0x16;
const GROUP: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 6] = [
    // WRITE AND VERIFY (SBC-3, sections 5.36 to 5.38).
    write_row(&[0x2e, VERIFY_FLAGS, FF, FF, FF, FF, GROUP, FF, FF, CONTROL]),
    write_row(&[0xae, VERIFY_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    write_row(&[0x8e, VERIFY_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    // VERIFY (SBC-3, sections 5.26 to 5.28).
    verify_row(&[0x2f, VERIFY_FLAGS, FF, FF, FF, FF, GROUP, FF, FF, CONTROL]),
    verify_row(&[0xaf, VERIFY_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
    verify_row(&[0x8f, VERIFY_FLAGS, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, FF, GROUP, CONTROL]),
];

const fn write_row(usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data: Data::Blocks(write_and_verify_data),
        execute: write_and_verify,
    }
}

const fn verify_row(usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Read,
        medium: MediumUse::Needed,
        always: false,
        data: Data::Blocks(verify_data),
        execute: verify,
    }
}

/// BYTCHK: what the blocks are compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteCheck {
    /// Nothing: they can be read.
    Medium,
    /// As many blocks of data.
    Data,
    /// One block of data, each of them.
    OneBlock,
}

impl ByteCheck {
    const fn read(cdb: &Cdb) -> Result<Self, Sense> {
        match cdb.byte(1) >> 1 & 3 {
            0b00 => Ok(Self::Medium),
            0b01 => Ok(Self::Data),
            0b11 => Ok(Self::OneBlock),
            _ => Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 2)),
        }
    }
}

fn write_and_verify_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    match ByteCheck::read(cdb)? {
        ByteCheck::Medium | ByteCheck::Data => write_data(info, cdb),
        ByteCheck::OneBlock => Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 2)),
    }
}

fn write_and_verify(call: &mut Call<'_>) -> Result<Step, Fault> {
    let then = match ByteCheck::read(call.cdb())? {
        ByteCheck::Medium => Then::Verify,
        ByteCheck::Data | ByteCheck::OneBlock => Then::Compare,
    };
    // What is verified is the medium, so that it must be there first.
    let fua = write_through(call)? || call.info()?.volatile_cache;
    write_received(call, fua, then)
}

fn verify_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    let range = BlockRange::read(cdb).on(info)?;
    if range.blocks == 0 {
        return Ok(Transfer::None);
    }
    match ByteCheck::read(cdb)? {
        ByteCheck::Medium => Ok(Transfer::None),
        ByteCheck::Data => Ok(Transfer::Out { len: range.bytes(info, cdb)? }),
        ByteCheck::OneBlock => Ok(Transfer::Out { len: info.block_size }),
    }
}

fn verify(call: &mut Call<'_>) -> Result<Step, Fault> {
    let info = call.info()?;
    let range = BlockRange::read(call.cdb()).on(&info)?;
    let (lba, blocks) = (range.lba, u64::from(range.blocks));
    let run = match ByteCheck::read(call.cdb())? {
        ByteCheck::Medium => Run::new(Op::Verify, lba, blocks, false, MemoryOf::Nobody),
        ByteCheck::Data => {
            all_received_blocks(call)?;
            Run::new(Op::Compare, lba, blocks, false, MemoryOf::Task)
        }
        ByteCheck::OneBlock if blocks > 0 => {
            call.received(info.block_size)?;
            fill_pattern(call, call.task.data, blocks)?;
            Run::new(Op::Compare, lba, blocks, false, MemoryOf::Pattern)
        }
        ByteCheck::OneBlock => Run::new(Op::Compare, lba, 0, false, MemoryOf::Nobody),
    };
    run.start(call)
}
