//! A request as operations on a file: which comes first, and which after the one that is done.
//!
//! ```text
//! read, write, flush            Whole -> done
//! zero, discard                 Whole -> done, with fua: Whole -> Sync -> done
//! zero, where nothing punches   Pieces -> Pieces ... -> done, with fua: each piece durable
//! ```

use crate::{Io, Op, Status};
use stdx::env::{FileOpKind, IoError};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};

/// Where a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// All of it in one operation.
    Whole,
    /// Zeros are written, piece by piece; so many bytes are done.
    Pieces { done: u64 },
    /// The operation is done and is being made durable.
    Sync,
}

/// What comes after an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Another operation.
    Step(Step),
    /// Nothing: the request is complete.
    Finish(Status),
}

impl Step {
    /// How a request begins.
    pub(super) const fn first(op: Op, can_punch: bool) -> Self {
        match op {
            Op::Zero { .. } if !can_punch => Self::Pieces { done: 0 },
            _ => Self::Whole,
        }
    }

    /// The operation of this step, and its offset in bytes. `data` is where the request's bytes are, `zeros` a buffer of
    /// zeros; `len` is the request's length in bytes. `None` for what files cannot do.
    pub(super) fn operation(
        self,
        io: &Io,
        at: u64,
        len: u64,
        data: Span,
        zeros: Span,
    ) -> Option<(FileOpKind, u64)> {
        match self {
            Self::Sync => Some((FileOpKind::Sync, 0)),
            Self::Pieces { done } => {
                let piece = zeros.first(piece_len(len - done, zeros));
                Some((FileOpKind::Write { data: piece, durable: io.fua }, at + done))
            }
            Self::Whole => Some((whole(io, len, data)?, at)),
        }
    }

    /// What follows once the operation moved so many bytes, or failed.
    pub(super) fn next(self, io: &Io, len: u64, zeros: Span, result: Result<u32, IoError>) -> Next {
        let moved = match (self, result) {
            (Self::Whole, Err(IoError::Unsupported)) => return instead(io.op),
            (_, Err(error)) => return Next::Finish(status(error, io.op)),
            (_, Ok(moved)) => u64::from(moved),
        };
        match self {
            Self::Sync => Next::Finish(Status::Ok),
            Self::Pieces { done } => {
                let piece = piece_len(len - done, zeros) as u64;
                let done = done + piece;
                match (moved == piece, done == len) {
                    (false, _) => Next::Finish(Status::WriteError),
                    (true, true) => Next::Finish(Status::Ok),
                    (true, false) => Next::Step(Self::Pieces { done }),
                }
            }
            Self::Whole if io.op.moves_data() && moved != len => Next::Finish(medium(io.op)),
            Self::Whole if io.fua && !io.op.moves_data() && io.op.is_write() => Next::Step(Self::Sync),
            Self::Whole => Next::Finish(Status::Ok),
        }
    }
}

fn whole(io: &Io, len: u64, data: Span) -> Option<FileOpKind> {
    let len = if planted(Bug::ZeroTooShort) { len - len / u64::from(io.blocks.max(1)) } else { len };
    Some(match io.op {
        Op::Read => FileOpKind::Read(data),
        Op::Write => FileOpKind::Write { data, durable: io.fua && !planted(Bug::FuaForgotten) },
        Op::Flush => FileOpKind::Sync,
        Op::Zero { deallocate: false } => FileOpKind::Zero { len },
        Op::Zero { deallocate: true } | Op::Discard => FileOpKind::Punch { len },
        Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify | Op::MarkBad | Op::Copy { .. } => {
            return None;
        }
        Op::CryptoErase => return None,
    })
}

/// What to do about an operation that this file turns out not to support.
fn instead(op: Op) -> Next {
    match op {
        Op::Zero { .. } => Next::Step(Step::Pieces { done: 0 }),
        // The blocks may read as before: nothing needs to be done.
        Op::Discard => Next::Finish(Status::Ok),
        Op::Read | Op::Write | Op::Flush | Op::CryptoErase => Next::Finish(Status::Unsupported),
        Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify | Op::MarkBad | Op::Copy { .. } => {
            Next::Finish(Status::Unsupported)
        }
    }
}

fn piece_len(left: u64, zeros: Span) -> usize {
    left.min(u64::from(zeros.len)) as usize
}

/// What an error of the environment means for a request.
pub(super) const fn status(error: IoError, op: Op) -> Status {
    match error {
        IoError::NoSpace => Status::NoSpace,
        IoError::Unsupported => Status::Unsupported,
        IoError::Permission if op.is_write() => Status::ReadOnly,
        IoError::Permission | IoError::Media | IoError::Limit | IoError::Os(_) => medium(op),
        // Of sockets and of opening; a file operation that gives them is broken all the same.
        IoError::WouldBlock | IoError::Refused | IoError::Reset | IoError::Unreachable => medium(op),
        IoError::AddressInUse | IoError::AddressNotAvailable => medium(op),
        IoError::NotFound | IoError::Exists => medium(op),
    }
}

/// The medium's failure, by the direction of the request. A flush that fails lost writes.
const fn medium(op: Op) -> Status {
    match op {
        Op::Read | Op::Compare | Op::Verify => Status::ReadError,
        Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard => Status::WriteError,
        Op::CompareWrite { .. } | Op::OrWrite | Op::MarkBad | Op::Copy { .. } | Op::CryptoErase => {
            Status::WriteError
        }
    }
}
