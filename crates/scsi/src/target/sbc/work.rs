//! What follows when a volume has answered a task's request.

use super::super::call::{Call, Step};
use super::super::copy;
use super::super::task::Fault;
use super::status::of_volume;
use block::{Done, Io, Op};
use stdx::mem::Span;

/// What follows when the present request of a task is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Work {
    /// Nothing: its data, if it has some, is where the volume says.
    Whole,
    /// More blocks of a request longer than the volume takes.
    Pieces(Pieces),
    /// More of a copy: its state is the copy manager's.
    Copy,
}

/// A request longer than the volume takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Pieces {
    pub(super) op: Op,
    pub(super) lba: u64,
    pub(super) blocks: u32,
    pub(super) fua: bool,
    /// Blocks done, those under way among them.
    pub(super) done: u32,
}

/// Carries a task on from its volume's answer.
pub(in super::super) fn resume(call: &mut Call<'_>, done: &Done) -> Result<Step, Fault> {
    match call.task.work {
        Work::Whole => {
            of_volume(done.status, 0)?;
            Ok(Step::Good(done.data))
        }
        Work::Copy => copy::resume(call, done),
        Work::Pieces(pieces) => {
            of_volume(done.status, pieces.lba)?;
            if pieces.done < pieces.blocks {
                return next_piece(call, pieces);
            }
            Ok(Step::Good(if pieces.op == Op::Read { call.task.data } else { Span::EMPTY }))
        }
    }
}

/// Moves a range of blocks between the volume and the task's buffer: at once if the volume takes it, else in pieces.
pub(super) fn move_blocks(
    call: &mut Call<'_>,
    op: Op,
    lba: u64,
    blocks: u32,
    fua: bool,
) -> Result<Step, Fault> {
    let info = call.info()?;
    if blocks <= info.blocks_max {
        let data = call.task.data;
        let lend = op == Op::Read && data.is_empty();
        return call.start(Io { tag: 0, op, lba, blocks, fua, lend, data }, Work::Whole);
    }
    next_piece(call, Pieces { op, lba, blocks, fua, done: 0 })
}

fn next_piece(call: &mut Call<'_>, pieces: Pieces) -> Result<Step, Fault> {
    let info = call.info()?;
    let Pieces { op, lba, blocks, fua, done } = pieces;
    let next = (blocks - done).min(info.blocks_max.max(1));
    let size = info.block_size as usize;
    let data = call.task.data.slice(done as usize * size, next as usize * size);
    let io = Io { tag: 0, op, lba: lba + u64::from(done), blocks: next, fua, lend: false, data };
    call.start(io, Work::Pieces(Pieces { done: done + next, ..pieces }))
}
