//! Requests as commands of the NVM command set (NVM 3.2), cut where the controller's limits say.

use crate::host::controller::Record;
use crate::host::queue::Data;
use block::{Io, Op};
use stdx::mem::Span;
use wire::nvme::dsm::{DatasetAttributes, DatasetManagement, DatasetRange};
use wire::nvme::nvm::{BLOCKS_MAX, BlockCommand, Control};
use wire::nvme::{NvmOpcode, SubmissionQueueEntry};

/// One command of a request.
#[derive(Debug)]
pub(in crate::host) struct Piece {
    pub command: SubmissionQueueEntry,
    pub data: Data,
    /// Blocks of the request it is for.
    pub blocks: u32,
    /// Bytes to be put into the request's range memory first.
    pub range: Option<[u8; DatasetRange::LEN]>,
}

impl Piece {
    /// The command for what follows the first `done` blocks of `io`; after all blocks of a discard, the flush that makes it
    /// durable, since Dataset Management knows no FUA. `range` is 16 bytes of private memory for this
    /// request, `zeros` shared memory of zeros.
    pub fn of(namespace_id: u32, io: &Io, done: u32, record: &Record, range: Span, zeros: Span) -> Self {
        let (lba, left) = (io.lba + u64::from(done), io.blocks.saturating_sub(done));
        let block_size = record.info.block_size;
        let transfer = left.min(record.transfer_blocks_max);
        let of_data = || io.data.slice((done * block_size) as usize, (transfer * block_size) as usize);
        let durable = if io.fua { Control::FORCE_UNIT_ACCESS } else { Control::NONE };
        let block = |opcode: NvmOpcode, blocks: u32, control: Control, data: Data| {
            let mut command = SubmissionQueueEntry::new(opcode.code(), 0).with_namespace(namespace_id);
            BlockCommand { first_block: lba, blocks, control }.write(&mut command);
            Self { command, data, blocks, range: None }
        };
        match io.op {
            Op::Read => block(NvmOpcode::Read, transfer, Control::NONE, Data::FromController(of_data())),
            Op::Write => block(NvmOpcode::Write, transfer, durable, Data::ToController(of_data())),
            Op::Zero { deallocate } if let Some(zeros_max) = record.zero_blocks_max => {
                let may = if deallocate { Control::DEALLOCATE } else { Control::NONE };
                block(NvmOpcode::WriteZeroes, left.min(zeros_max), durable | may, Data::None)
            }
            Op::Zero { .. } => {
                let blocks = transfer.min(zeros.len / block_size);
                let data = zeros.first((blocks * block_size) as usize);
                block(NvmOpcode::Write, blocks, durable, Data::ToController(data))
            }
            Op::Discard if left == 0 => Self::flush(namespace_id),
            Op::Discard => Self::deallocate(namespace_id, lba, left.min(record.discard_blocks_max), range),
            Op::Flush => Self::flush(namespace_id),
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

    fn flush(namespace_id: u32) -> Self {
        let command = SubmissionQueueEntry::new(NvmOpcode::Flush.code(), 0).with_namespace(namespace_id);
        Self { command, data: Data::None, blocks: 1, range: None }
    }

    fn deallocate(namespace_id: u32, lba: u64, blocks: u32, range: Span) -> Self {
        let attributes = DatasetAttributes::DEALLOCATE;
        let command = DatasetManagement { ranges: 1, attributes }.command(0, namespace_id);
        let bytes = DatasetRange::new(lba, blocks).to_bytes();
        Self { command, data: Data::ToController(range), blocks, range: Some(bytes) }
    }
}

const _: () = assert!(BLOCKS_MAX == 1 << 16, "transfers are cut at what NLB can say");
