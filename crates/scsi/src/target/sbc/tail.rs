//! A write that ends within a block, because the initiator offered no more: the rest of that block stays as it was.
//!
//! The block is read, changed and written; then the whole blocks before it are, if there are any. A transport that says how
//! many bytes were left over (SAM-5, section 5.4.3) has to mean it of bytes.

use super::super::call::{Call, Step};
use super::super::task::Fault;
use super::run::Run;
use super::status::of_volume;
use super::work::Work;
use block::{Done, Io, Op};
use wire::scsi::Status;

/// A write whose last block is not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Tail {
    /// The whole blocks, which follow.
    pub(super) whole: Run,
    /// Bytes of the last block that came.
    pub(super) len: u32,
    /// It was read, and is being written.
    writing: bool,
}

impl Tail {
    pub(super) const fn new(whole: Run, len: u32) -> Self {
        Self { whole, len, writing: false }
    }

    /// Begins with reading the last block, into memory that the task holds until it ends.
    pub(super) fn start(self, call: &mut Call<'_>) -> Result<Step, Fault> {
        let size = call.info()?.block_size as usize;
        let memory = call.env.mem().take(size).ok_or(Fault::Status(Status::Busy))?;
        call.keep_pattern(memory);
        self.give(call, Op::Read)
    }

    fn give(self, call: &mut Call<'_>, op: Op) -> Result<Step, Fault> {
        let Run { lba, blocks, fua, .. } = self.whole;
        let data = call.task.pattern;
        call.start(Io { tag: 0, op, lba: lba + blocks, blocks: 1, fua, lend: false, data }, Work::Tail(self))
    }
}

/// The volume has read or written the last block.
pub(super) fn next_of_tail(call: &mut Call<'_>, tail: Tail, done: &Done) -> Result<Step, Fault> {
    of_volume(done.status, tail.whole.lba + tail.whole.blocks)?;
    if tail.writing {
        return tail.whole.start(call);
    }
    let received = call.task.data.from(call.task.data.len() - tail.len as usize);
    call.env.mem().copy(call.task.pattern, received);
    Tail { writing: true, ..tail }.give(call, Op::Write)
}
