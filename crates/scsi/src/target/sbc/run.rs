//! A run: one operation over a range of blocks, as many at a time as the volume and the memory for it take.

use super::super::call::{Call, Step};
use super::super::task::Fault;
use super::exchange;
use super::status::of_volume;
use super::work::Work;
use block::{Done, Info, Io, Op, Status};
use stdx::mem::Span;
use wire::scsi::Status as ScsiStatus;

/// One operation over a range of blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Run {
    pub(super) op: Op,
    pub(super) lba: u64,
    pub(super) blocks: u64,
    pub(super) fua: bool,
    pub(super) memory: MemoryOf,
    pub(super) then: Then,
    /// Blocks given to the volume, the last piece among them.
    done: u64,
    /// Blocks of the last piece.
    piece: u32,
}

/// Whose memory the blocks are moved to or from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MemoryOf {
    /// No blocks are moved.
    Nobody,
    /// The task's buffer: all blocks, one behind the other.
    Task,
    /// The volume's own, which it lends.
    Volume,
    /// The task's pattern: the same for every piece.
    Pattern,
    /// The task's pattern: all blocks, one behind the other.
    Aside,
}

/// What follows the last piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// The end.
    End,
    /// The blocks are read again: can they be?
    Verify,
    /// The blocks are compared with the task's buffer.
    Compare,
    /// The blocks that were read aside give way to those in the task's buffer.
    Replace,
    /// The task's buffer tells what differs from those that were read aside.
    TellDifference,
}

impl Run {
    pub(super) const fn new(op: Op, lba: u64, blocks: u64, fua: bool, memory: MemoryOf) -> Self {
        Self { op, lba, blocks, fua, memory, then: Then::End, done: 0, piece: 0 }
    }

    pub(super) const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// Begins with it.
    pub(super) fn start(self, call: &mut Call<'_>) -> Result<Step, Fault> {
        if self.blocks == 0 {
            return Ok(Step::Good(Span::EMPTY));
        }
        let info = call.info()?;
        let (io, run) = self.next(call, &info);
        call.start(io, Work::Run(run))
    }

    /// The next piece, and what the run is with it.
    pub(super) fn next(self, call: &Call<'_>, info: &Info) -> (Io, Self) {
        let size = info.block_size;
        let most = match self.memory {
            MemoryOf::Nobody if self.op == (Op::Zero { deallocate: false }) => KEPT_MAX / size,
            MemoryOf::Nobody => u32::MAX,
            MemoryOf::Task | MemoryOf::Volume | MemoryOf::Aside => info.blocks_max.max(1),
            MemoryOf::Pattern => call.task.pattern.len / size,
        };
        let blocks = (self.blocks - self.done).min(u64::from(most)) as u32;
        let bytes = blocks as usize * size as usize;
        let data = match self.memory {
            MemoryOf::Nobody | MemoryOf::Volume => Span::EMPTY,
            MemoryOf::Task => call.task.data.slice(self.done as usize * size as usize, bytes),
            MemoryOf::Pattern => call.task.pattern.first(bytes),
            MemoryOf::Aside => call.task.pattern.slice(self.done as usize * size as usize, bytes),
        };
        let lend = self.memory == MemoryOf::Volume;
        let Self { op, lba, fua, done, .. } = self;
        let io = Io { tag: 0, op, lba: lba + done, blocks, fua, lend, data };
        (io, Self { done: done + u64::from(blocks), piece: blocks, ..self })
    }

    /// True if all its blocks were given to the volume.
    pub(super) const fn is_done(&self) -> bool {
        self.done >= self.blocks
    }

    /// Blocks given to the volume.
    pub(super) const fn blocks_done(&self) -> u64 {
        self.done
    }
}

/// The volume is done with a piece.
pub(super) fn next_of_run(call: &mut Call<'_>, run: Run, done: &Done) -> Result<Step, Fault> {
    let info = call.info()?;
    let before = run.done - u64::from(run.piece);
    of_volume(from_start(done.status, before * u64::from(info.block_size)), run.lba + before)?;
    if !run.is_done() {
        let (io, run) = run.next(call, &info);
        return call.start(io, Work::Run(run));
    }
    let (op, memory) = match run.then {
        Then::End if run.op != Op::Read => return Ok(Step::Good(Span::EMPTY)),
        Then::End if run.memory == MemoryOf::Volume => return Ok(Step::Good(done.data)),
        Then::End => return Ok(Step::Good(call.task.data)),
        Then::Verify => (Op::Verify, MemoryOf::Nobody),
        Then::Compare => (Op::Compare, MemoryOf::Task),
        Then::Replace => return exchange::replace(call, run.lba, run.blocks),
        Then::TellDifference => return Ok(exchange::tell_difference(call)),
    };
    Run::new(op, run.lba, run.blocks, false, memory).start(call)
}

/// A status whose offset counts from the start of the run, not of the piece.
fn from_start(status: Status, before: u64) -> Status {
    match status {
        Status::Miscompare { at } => Status::Miscompare { at: at + before as u32 },
        status => status,
    }
}

/// Gives the task a pattern: `block` again and again, as often as `blocks` need and a piece has room for.
pub(super) fn fill_pattern(call: &mut Call<'_>, block: Span, blocks: u64) -> Result<(), Fault> {
    let len = blocks.saturating_mul(u64::from(block.len)).min(PATTERN_MAX) as usize;
    let memory = call.env.mem();
    let pattern = memory.take(len).ok_or(Fault::Status(ScsiStatus::Busy))?;
    for start in (0..len).step_by(block.len()) {
        memory.copy(pattern.slice(start, block.len()), block);
    }
    call.keep_pattern(pattern);
    Ok(())
}

/// Bytes that are zeroed at a time where they are to keep their space: volumes keep it in short ranges.
const KEPT_MAX: u32 = 64 << 10;

/// Bytes of a pattern at most: a multiple of every block size.
const PATTERN_MAX: u64 = 256 << 10;
