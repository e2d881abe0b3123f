//! The operations made of others, as steps: what the device is asked next, and what its answer means.

use crate::{Done, Info, Io, Op, Status};
use stdx::env::Env;
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use stdx::slab::Key;

/// Where a request stands. A buffer is empty if the device lends its memory for reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The device does it in one.
    Plain,
    /// Read, then compare.
    Compare { buffer: Span },
    /// Read and compare; if equal, write.
    CompareWrite { buffer: Span, writing: bool },
    /// Read, set bits, write.
    OrWrite { buffer: Span, writing: bool },
    /// Read piece by piece.
    Verify { buffer: Span, piece: u32, done: u32 },
    /// Read a piece, write it, and so on; from the end if the target lies behind the source and overlaps it.
    Copy { buffer: Span, piece: u32, done: u32, writing: bool },
}

/// What follows a part.
pub(super) enum Next {
    /// The request ends.
    Finished(Status),
    /// The device is asked for this.
    More(Step),
}

impl Step {
    /// The first step of an operation, without its buffer.
    pub(super) const fn of(op: Op) -> Self {
        let buffer = Span::EMPTY;
        match op {
            Op::Read | Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard => Self::Plain,
            Op::CryptoErase => Self::Plain,
            Op::Compare => Self::Compare { buffer },
            Op::CompareWrite { .. } => Self::CompareWrite { buffer, writing: false },
            Op::OrWrite => Self::OrWrite { buffer, writing: false },
            Op::Verify | Op::MarkBad => Self::Verify { buffer, piece: 0, done: 0 },
            Op::Copy { .. } => Self::Copy { buffer, piece: 0, done: 0, writing: false },
        }
    }

    /// The same with its buffer; `None` while there is none to be had.
    pub(super) fn first(env: &mut dyn Env, info: &Info, io: &Io) -> Option<Self> {
        let mut take = |blocks: u32| env.mem().take(blocks as usize * info.block_size as usize);
        let piece = io.blocks.min(info.blocks_max).min(PIECE_BYTES / info.block_size);
        Some(match Self::of(io.op) {
            Self::Plain => Self::Plain,
            Self::Compare { .. } if info.lends => Self::Compare { buffer: Span::EMPTY },
            Self::Compare { .. } => Self::Compare { buffer: take(io.blocks)? },
            Self::CompareWrite { .. } if info.lends => {
                Self::CompareWrite { buffer: Span::EMPTY, writing: false }
            }
            Self::CompareWrite { .. } => Self::CompareWrite { buffer: take(io.blocks)?, writing: false },
            Self::OrWrite { .. } => Self::OrWrite { buffer: take(io.blocks)?, writing: false },
            Self::Verify { .. } if info.lends => Self::Verify { buffer: Span::EMPTY, piece, done: 0 },
            Self::Verify { .. } => Self::Verify { buffer: take(piece)?, piece, done: 0 },
            Self::Copy { .. } => Self::Copy { buffer: take(piece)?, piece, done: 0, writing: false },
        })
    }

    /// Gives the buffer back.
    pub(super) fn release(&self, env: &mut dyn Env) {
        let buffer = match *self {
            Self::Plain => return,
            Self::Compare { buffer } | Self::CompareWrite { buffer, .. } => buffer,
            Self::OrWrite { buffer, .. } => buffer,
            Self::Verify { buffer, .. } | Self::Copy { buffer, .. } => buffer,
        };
        if !buffer.is_empty() {
            env.mem().give(buffer);
        }
    }

    /// True if no other request may touch the blocks meanwhile.
    pub(super) fn holds_range(&self) -> bool {
        match self {
            Self::CompareWrite { .. } if planted(Bug::RangeNotHeld) => false,
            Self::CompareWrite { .. } | Self::OrWrite { .. } | Self::Copy { .. } => true,
            Self::Plain | Self::Compare { .. } | Self::Verify { .. } => false,
        }
    }

    /// What the device is to do in this step.
    pub(super) fn io(&self, io: &Io, key: Key) -> Io {
        let tag = key.as_u64();
        let read = |lba, blocks, data: Span| Io {
            tag,
            op: Op::Read,
            lba,
            blocks,
            fua: false,
            lend: data.is_empty(),
            data,
        };
        match *self {
            Self::Plain => Io { tag, ..*io },
            Self::Compare { buffer }
            | Self::CompareWrite { buffer, writing: false }
            | Self::OrWrite { buffer, writing: false } => read(io.lba, io.blocks, buffer),
            Self::OrWrite { buffer, writing: true } => Io { tag, op: Op::Write, data: buffer, ..*io },
            Self::CompareWrite { writing: true, .. } => Io { tag, op: Op::Write, ..*io },
            Self::Verify { buffer, piece, done } => {
                let blocks = piece.min(io.blocks - done);
                read(io.lba + u64::from(done), blocks, part(buffer, piece, blocks))
            }
            Self::Copy { buffer, piece, done, writing } => {
                let (start, blocks) = copied(io, piece, done);
                let data = part(buffer, piece, blocks);
                match io.op {
                    Op::Copy { from } if !writing => read(from + start, blocks, data),
                    _ => {
                        Io { tag, op: Op::Write, lba: io.lba + start, blocks, fua: io.fua, lend: false, data }
                    }
                }
            }
        }
    }

    /// What follows from the device's answer.
    pub(super) fn next(&self, env: &mut dyn Env, io: &Io, done: &Done) -> Next {
        if done.status != Status::Ok {
            return Next::Finished(done.status);
        }
        match *self {
            Self::Plain | Self::CompareWrite { writing: true, .. } => Next::Finished(Status::Ok),
            Self::OrWrite { writing: true, .. } => Next::Finished(Status::Ok),
            Self::OrWrite { buffer, writing: false } => {
                env.mem().or(buffer, io.data);
                Next::More(Self::OrWrite { buffer, writing: true })
            }
            Self::Compare { .. } => Next::Finished(compared(env.mem(), io.data, done.data)),
            Self::CompareWrite { buffer, writing: false } => {
                let Op::CompareWrite { expected } = io.op else { return Next::Finished(Status::Unsupported) };
                match compared(env.mem(), expected, done.data) {
                    Status::Ok => Next::More(Self::CompareWrite { buffer, writing: true }),
                    miscompare => Next::Finished(miscompare),
                }
            }
            Self::Verify { buffer, piece, done } => {
                let done = done + piece.min(io.blocks - done);
                more(done < io.blocks, Self::Verify { buffer, piece, done })
            }
            Self::Copy { buffer, piece, done, writing: false } => {
                Next::More(Self::Copy { buffer, piece, done, writing: true })
            }
            Self::Copy { buffer, piece, done, writing: true } => {
                let done = done + copied(io, piece, done).1;
                more(done < io.blocks, Self::Copy { buffer, piece, done, writing: false })
            }
        }
    }
}

fn more(yes: bool, step: Step) -> Next {
    if yes { Next::More(step) } else { Next::Finished(Status::Ok) }
}

/// The piece of a copy that comes next: its first block, counted from the request's, and its length.
fn copied(io: &Io, piece: u32, done: u32) -> (u64, u32) {
    let blocks = piece.min(io.blocks - done);
    let backwards = matches!(io.op, Op::Copy { from } if from < io.lba);
    let start = if backwards { io.blocks - done - blocks } else { done };
    (u64::from(start), blocks)
}

/// The front of a buffer of `piece` blocks, `blocks` long.
fn part(buffer: Span, piece: u32, blocks: u32) -> Span {
    if buffer.is_empty() { buffer } else { buffer.first(buffer.len() / piece as usize * blocks as usize) }
}

fn compared(memory: &mut Memory, expected: Span, found: Span) -> Status {
    match memory.first_difference(expected, found) {
        None => Status::Ok,
        Some(at) => Status::Miscompare { at: at as u32 },
    }
}

/// How much is moved at a time, in bytes.
const PIECE_BYTES: u32 = 256 << 10;
