//! Requests as commands of SBC-3, cut where the disk's limits say.

use super::Data;
use super::units::Record;
use block::{Io, Op};
use stdx::mem::Span;
use wire::scsi::Cdb;

/// One command of a request.
#[derive(Debug)]
pub(super) struct Piece {
    pub cdb: Cdb,
    pub data: Data,
    /// Blocks of the request it is for.
    pub blocks: u32,
    /// Bytes to be put into the request's list memory first.
    pub list: Option<[u8; UNMAP_LIST_LEN]>,
}

impl Piece {
    /// The command for what follows the first `done` blocks of `io`. `list` is shared memory for this request's parameter
    /// list, `zeros` shared memory of zeros.
    pub fn of(io: &Io, done: u32, record: &Record, list: Span, zeros: Span) -> Self {
        let (lba, left) = (io.lba + u64::from(done), io.blocks.saturating_sub(done));
        let block_size = record.info.block_size;
        let transfer = left.min(record.transfer_blocks_max);
        let of_data =
            |blocks: u32| io.data.slice((done * block_size) as usize, (blocks * block_size) as usize);
        let same = |deallocate: bool| {
            let blocks = left.min(record.write_same_blocks_max);
            let flags = if deallocate { UNMAP_BIT } else { 0 };
            let cdb = ranged(WRITE_SAME, record.long, flags, lba, blocks);
            Self { cdb, data: Data::Out(zeros.first(block_size as usize)), blocks, list: None }
        };
        match io.op {
            Op::Read => {
                let cdb = ranged(READ, record.long, 0, lba, transfer);
                Self { cdb, data: Data::In(of_data(transfer)), blocks: transfer, list: None }
            }
            Op::Write => Self::write(io, record, lba, transfer, of_data(transfer)),
            Op::Zero { deallocate } if record.write_same_blocks_max > 0 => {
                same(deallocate && record.write_same_deallocates)
            }
            Op::Zero { .. } => {
                let blocks = transfer.min(zeros.len / block_size);
                Self::write(io, record, lba, blocks, zeros.first((blocks * block_size) as usize))
            }
            Op::Discard if record.unmap_blocks_max > 0 => {
                Self::unmap(lba, left.min(record.unmap_blocks_max), list)
            }
            // Space is given back by WRITE SAME alone; the blocks need not be zero then, but may.
            Op::Discard => same(true),
            Op::Flush => Self::flush(),
            Op::Compare
            | Op::CompareWrite { .. }
            | Op::OrWrite
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. }
            | Op::CryptoErase => {
                unreachable!("answered as unsupported before it became a request")
            }
        }
    }

    /// SYNCHRONIZE CACHE (10) of everything.
    pub fn flush() -> Self {
        let mut cdb = [0; 16];
        cdb[0] = SYNCHRONIZE_CACHE;
        Self { cdb: Cdb(cdb), data: Data::None, blocks: 1, list: None }
    }

    /// True if the commands of a request leave nothing in a cache that the request wants durable.
    pub fn is_durable(io: &Io, record: &Record) -> bool {
        let forced = match io.op {
            Op::Write => record.force_unit_access,
            Op::Zero { .. } => record.force_unit_access && record.write_same_blocks_max == 0,
            _other => false,
        };
        !io.fua || !io.op.is_write() || !record.info.volatile_cache || forced
    }

    fn write(io: &Io, record: &Record, lba: u64, blocks: u32, data: Span) -> Self {
        let flags = if io.fua && record.force_unit_access { FUA_BIT } else { 0 };
        let cdb = ranged(WRITE, record.long, flags, lba, blocks);
        Self { cdb, data: Data::Out(data), blocks, list: None }
    }

    /// UNMAP with one descriptor (SBC-3, section 5.28).
    fn unmap(lba: u64, blocks: u32, list: Span) -> Self {
        let mut cdb = [0; 16];
        cdb[0] = UNMAP;
        cdb[7..9].copy_from_slice(&(UNMAP_LIST_LEN as u16).to_be_bytes());
        let mut bytes = [0; UNMAP_LIST_LEN];
        bytes[0..2].copy_from_slice(&(UNMAP_LIST_LEN as u16 - 2).to_be_bytes());
        bytes[2..4].copy_from_slice(&(UNMAP_LIST_LEN as u16 - 8).to_be_bytes());
        bytes[8..16].copy_from_slice(&lba.to_be_bytes());
        bytes[16..20].copy_from_slice(&blocks.to_be_bytes());
        Self { cdb: Cdb(cdb), data: Data::Out(list.first(UNMAP_LIST_LEN)), blocks, list: Some(bytes) }
    }
}

/// A command for a range of blocks, of 16 bytes or of 10. A disk without the long ones has no blocks that the short ones do
/// not reach, and its limits keep `blocks` within 16 bits.
fn ranged(code: (u8, u8), long: bool, flags: u8, lba: u64, blocks: u32) -> Cdb {
    let mut cdb = [0; 16];
    cdb[1] = flags;
    if long {
        cdb[0] = code.0;
        cdb[2..10].copy_from_slice(&lba.to_be_bytes());
        cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    } else {
        cdb[0] = code.1;
        cdb[2..6].copy_from_slice(&(lba as u32).to_be_bytes());
        cdb[7..9].copy_from_slice(&(blocks as u16).to_be_bytes());
    }
    Cdb(cdb)
}

/// Operation codes of 16 and of 10 bytes.
const READ: (u8, u8) = (0x88, 0x28);
const WRITE: (u8, u8) = (0x8a, 0x2a);
const WRITE_SAME: (u8, u8) = (0x93, 0x41);
const UNMAP: u8 = 0x42;
const SYNCHRONIZE_CACHE: u8 = 0x35;
/// FUA in byte 1 of READ and WRITE.
const FUA_BIT: u8 = 0x08;
/// UNMAP in byte 1 of WRITE SAME.
const UNMAP_BIT: u8 = 0x08;
/// Header and one descriptor.
const UNMAP_LIST_LEN: usize = 24;
