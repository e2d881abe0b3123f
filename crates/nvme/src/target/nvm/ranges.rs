//! Commands about many ranges: Dataset Management (NVM 3.2.3), Copy (NVM 3.2.2), and Flush of all namespaces (Base 7.1).
//!
//! The ranges stay in the request's buffer and are read from there one by one, each when the one before is done: nothing
//! is copied or allocated. All of them are checked before the first is touched.

use super::super::outstanding::Work;
use super::super::{Request, Target};
use super::execute::{Start, flush};
use block::{Info, Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::copy::{CopyCommand, CopyRange};
use wire::nvme::dsm::{DatasetAttributes, DatasetManagement, DatasetRange};
use wire::nvme::nvm::Control;
use wire::nvme::{NvmOpcode, Status};
use zerocopy::FromBytes;

/// Source ranges of one Copy (MSRC + 1).
pub(in super::super) const COPY_RANGES_MAX: u16 = 128;
/// Blocks of one source range (MSSRL).
pub(in super::super) const COPY_RANGE_BLOCKS_MAX: u16 = 4096;
/// Blocks of one Copy (MCL).
pub(in super::super) const COPY_BLOCKS_MAX: u32 = 65_536;

impl Target {
    /// Dataset Management: ranges are deallocated if the host asks that, else its hints are taken note of by no one.
    pub(super) fn dataset_management(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
    ) -> Result<(), Status> {
        let (namespace, info) = self.open(key, request, NvmOpcode::DatasetManagement)?;
        let command = DatasetManagement::read(&request.command);
        let count = command.ranges;
        for index in 0..count {
            let range = discard_range(env, request.data, index).ok_or(Status::DATA_SGL_LENGTH_INVALID)?;
            if !info.contains(range.first_block.get(), u64::from(range.blocks.get())) {
                return Err(Status::LBA_OUT_OF_RANGE);
            }
        }
        if info.read_only {
            return Err(Status::NAMESPACE_WRITE_PROTECTED);
        }
        let first = (0..count).find(|&index| discard_blocks(env, request.data, index) > 0);
        let deallocate = command.attributes.contains(DatasetAttributes::DEALLOCATE);
        let (Some(first), true) = (first, deallocate) else {
            self.answer(key, request, Status::SUCCESS, 0, Span::EMPTY);
            return Ok(());
        };
        let range = discard_range(env, request.data, first).ok_or(Status::DATA_SGL_LENGTH_INVALID)?;
        let work = Work::Discard { next: first + 1, count };
        let (lba, blocks) = (range.first_block.get(), range.blocks.get());
        let start = Start { op: Op::Discard, lba, blocks, work, ..flush() };
        self.start(env, key, request, namespace, start)
    }

    /// The next range that is not empty; false if there is none.
    pub(super) fn next_discard(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let Some(outstanding) = self.outstanding.get_mut(key) else { return false };
        let Work::Discard { next, count } = outstanding.work else { return false };
        let buffer = outstanding.buffer;
        let Some(index) = (next..count).find(|&index| discard_blocks(env, buffer, index) > 0) else {
            return false;
        };
        let Some(range) = discard_range(env, buffer, index) else { return false };
        outstanding.work = Work::Discard { next: index + 1, count };
        let namespace = outstanding.namespace;
        let (lba, blocks) = (range.first_block.get(), range.blocks.get());
        self.give(env, namespace, follow(key, Op::Discard, lba, blocks, false));
        true
    }

    /// Copy, descriptor format 0: within one namespace.
    pub(super) fn copy(&mut self, env: &mut dyn Env, key: Key, request: &Request) -> Result<(), Status> {
        let (namespace, info) = self.open(key, request, NvmOpcode::Copy)?;
        let command = CopyCommand::read(&request.command);
        if command.format != 0 {
            return Err(Status::INVALID_FIELD);
        }
        let count = command.ranges.min(COPY_RANGES_MAX);
        let total = check_copy(env, request.data, count, &info)?;
        if !info.contains(command.destination, u64::from(total)) {
            return Err(Status::LBA_OUT_OF_RANGE);
        }
        let range = copy_range(env, request.data, 0).ok_or(Status::DATA_SGL_LENGTH_INVALID)?;
        let fua = command.control.contains(Control::FORCE_UNIT_ACCESS);
        let to = command.destination + u64::from(range.blocks());
        let start = Start {
            op: Op::Copy { from: range.first_block.get() },
            lba: command.destination,
            blocks: range.blocks(),
            fua,
            work: Work::Copy { next: 1, count, to, fua },
            ..flush()
        };
        self.start(env, key, request, namespace, start)
    }

    /// The next range to copy; false if there is none.
    pub(super) fn next_copy(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let Some(outstanding) = self.outstanding.get_mut(key) else { return false };
        let Work::Copy { next, count, to, fua } = outstanding.work else { return false };
        if next == count {
            return false;
        }
        let Some(range) = copy_range(env, outstanding.buffer, next) else { return false };
        outstanding.work = Work::Copy { next: next + 1, count, to: to + u64::from(range.blocks()), fua };
        let namespace = outstanding.namespace;
        let op = Op::Copy { from: range.first_block.get() };
        self.give(env, namespace, follow(key, op, to, range.blocks(), fua));
        true
    }

    /// Flush of every namespace of the subsystem, one after the other.
    pub(super) fn flush_all(&mut self, env: &mut dyn Env, key: Key, request: &Request) -> Result<(), Status> {
        self.hear(key)?;
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let controller = self.controllers.get(queue.controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let subsystem = self.subsystems.get(queue.subsystem).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        for (_, namespace) in subsystem.active_ids() {
            let namespace = self.namespaces.get(namespace).ok_or(Status::INTERNAL_ERROR)?;
            self.check_access(controller, namespace, NvmOpcode::Flush)?;
        }
        let Some((id, namespace)) = subsystem.active_ids().next() else {
            self.answer(key, request, Status::SUCCESS, 0, Span::EMPTY);
            return Ok(());
        };
        let start = Start { work: Work::FlushAll { flushed: id }, ..flush() };
        self.start(env, key, request, namespace, start)
    }

    /// The next namespace to flush; false if there is none.
    pub(super) fn next_flush(&mut self, env: &mut dyn Env, key: Key, flushed: u32) -> bool {
        let Some(outstanding) = self.outstanding.get_mut(key) else { return false };
        let Some(namespace) = self.namespaces.get(outstanding.namespace) else { return false };
        let Some(subsystem) = self.subsystems.get(namespace.subsystem) else { return false };
        let Some((id, namespace)) = subsystem.active_ids().find(|&(id, _)| id > flushed) else {
            return false;
        };
        outstanding.work = match outstanding.work {
            Work::Shutdown { .. } => Work::Shutdown { flushed: id },
            _ => Work::FlushAll { flushed: id },
        };
        outstanding.namespace = namespace;
        self.give(env, namespace, follow(key, Op::Flush, 0, 0, false));
        true
    }
}

/// How many blocks the ranges of a Copy are, if all of them lie on the volume and within the limits.
fn check_copy(env: &mut dyn Env, data: Span, count: u16, info: &Info) -> Result<u32, Status> {
    let mut total = 0;
    for index in 0..count {
        let range = copy_range(env, data, index).ok_or(Status::DATA_SGL_LENGTH_INVALID)?;
        if range.blocks() > u32::from(COPY_RANGE_BLOCKS_MAX) {
            return Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED);
        }
        if !info.contains(range.first_block.get(), u64::from(range.blocks())) {
            return Err(Status::LBA_OUT_OF_RANGE);
        }
        total += range.blocks();
    }
    if total > COPY_BLOCKS_MAX { Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED) } else { Ok(total) }
}

fn discard_range(env: &mut dyn Env, data: Span, index: u16) -> Option<DatasetRange> {
    let mut bytes = [0; DatasetRange::LEN];
    read_entry(env, data, index, &mut bytes)?;
    DatasetRange::read_from_bytes(&bytes).ok()
}

/// Blocks of a range; 0 also if there is no such range.
fn discard_blocks(env: &mut dyn Env, data: Span, index: u16) -> u32 {
    discard_range(env, data, index).map_or(0, |range| range.blocks.get())
}

fn copy_range(env: &mut dyn Env, data: Span, index: u16) -> Option<CopyRange> {
    let mut bytes = [0; CopyRange::LEN];
    read_entry(env, data, index, &mut bytes)?;
    CopyRange::read_from_bytes(&bytes).ok()
}

/// Copies entry `index` of an array in memory out; `None` if the memory ends before it does.
fn read_entry(env: &mut dyn Env, data: Span, index: u16, out: &mut [u8]) -> Option<()> {
    let start = usize::from(index) * out.len();
    if start + out.len() > data.len() {
        return None;
    }
    env.mem().read(data.slice(start, out.len()), out);
    Some(())
}

fn follow(key: Key, op: Op, lba: u64, blocks: u32, fua: bool) -> Io {
    Io { tag: key.as_u64(), op, lba, blocks, fua, lend: false, data: Span::EMPTY }
}
