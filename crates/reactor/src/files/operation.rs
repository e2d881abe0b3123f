//! A file operation under way: the calls it takes, one after the other, until all its bytes are moved.

use super::call::{Call, CallKind};
use crate::errno;
use std::os::fd::RawFd;
use stdx::env::{FileOp, FileOpKind, IoError, Owner};
use stdx::mem::{Memory, Pinned};
use stdx::slab::Key;

/// An operation. Its memory is pinned as long as it lives.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) owner: Owner,
    pub(super) tag: u64,
    pub(super) file: Key,
    fd: RawFd,
    kind: Kind,
    offset: u64,
    done: u32,
    /// Short calls on an aligned file end at such a multiple, or at the end of the file.
    alignment: u32,
}

#[derive(Debug)]
enum Kind {
    Read(Pinned),
    Write(Pinned, bool),
    Sync,
    /// Zeroing by this mode; the other is tried if the file system does not know it.
    Zero {
        len: u64,
        mode: Mode,
        other: Option<Mode>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Punch,
    Zero,
}

/// What follows a call.
#[derive(Debug)]
pub(super) enum Next {
    /// Another call.
    Call(Call),
    /// The operation's result.
    Done(Result<u32, IoError>),
}

impl Operation {
    /// The operation, with its memory pinned.
    pub(super) fn new(op: &FileOp, file: Key, fd: RawFd, alignment: u32, memory: &mut Memory) -> Self {
        let kind = match op.kind {
            FileOpKind::Read(span) => Kind::Read(memory.pin(span)),
            FileOpKind::Write { data, durable } => Kind::Write(memory.pin(data), durable),
            FileOpKind::Sync => Kind::Sync,
            FileOpKind::Punch { len } => Kind::Zero { len, mode: Mode::Punch, other: Some(Mode::Zero) },
            FileOpKind::Zero { len } => Kind::Zero { len, mode: Mode::Zero, other: Some(Mode::Punch) },
        };
        Self { owner: op.owner, tag: op.tag, file, fd, kind, offset: op.offset, done: 0, alignment }
    }

    /// The call to make now.
    pub(super) fn call(&self) -> Call {
        let done = self.done as usize;
        let (offset, kind) = match &self.kind {
            // SAFETY (of the addresses): `done` is at most the span's length, so they point into or just behind it.
            Kind::Read(pinned) => {
                let kind = CallKind::Read { at: pinned.address().wrapping_add(done), len: self.left(pinned) };
                (self.offset + u64::from(self.done), kind)
            }
            Kind::Write(pinned, durable) => {
                let at = pinned.address().wrapping_add(done);
                let kind = CallKind::Write { at, len: self.left(pinned), durable: *durable };
                (self.offset + u64::from(self.done), kind)
            }
            Kind::Sync => (0, CallKind::Sync),
            Kind::Zero { len, mode, .. } => {
                (self.offset, CallKind::Allocate { mode: mode.flags(), len: *len })
            }
        };
        Call { fd: self.fd, offset, kind }
    }

    /// Takes a call's result.
    pub(super) fn handle(&mut self, result: i32) -> Next {
        if matches!(-result, libc::EINTR | libc::EAGAIN) {
            return Next::Call(self.call());
        }
        if result < 0 {
            return self.handle_error(-result);
        }
        let moved = result as u32;
        let left = match &self.kind {
            Kind::Read(pinned) | Kind::Write(pinned, _) => self.left(pinned),
            Kind::Sync | Kind::Zero { .. } => return Next::Done(Ok(0)),
        };
        self.done += moved.min(left);
        let at_end = moved == 0 || !self.done.is_multiple_of(self.alignment);
        match &self.kind {
            _ if moved >= left => Next::Done(Ok(self.done)),
            Kind::Write(..) if moved == 0 => Next::Done(Err(IoError::NoSpace)),
            Kind::Read(_) if at_end => Next::Done(Ok(self.done)),
            _ => Next::Call(self.call()),
        }
    }

    fn handle_error(&mut self, errno: i32) -> Next {
        if let (libc::EOPNOTSUPP, Kind::Zero { mode, other, .. }) = (errno, &mut self.kind)
            && let Some(instead) = other.take()
        {
            *mode = instead;
            return Next::Call(self.call());
        }
        Next::Done(Err(errno::of(errno)))
    }

    /// The operation is over: its memory may move again.
    pub(super) fn release(self, memory: &mut Memory) {
        match self.kind {
            Kind::Read(pinned) | Kind::Write(pinned, _) => memory.unpin(pinned),
            Kind::Sync | Kind::Zero { .. } => {}
        }
    }

    fn left(&self, pinned: &Pinned) -> u32 {
        pinned.len() as u32 - self.done
    }
}

impl Mode {
    /// Neither makes the file longer.
    const fn flags(self) -> i32 {
        match self {
            Self::Punch => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            Self::Zero => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::mem::{MemoryLimits, Span};
    use stdx::slab::Slab;

    fn operation(kind: impl FnOnce(Span) -> FileOpKind, alignment: u32) -> Operation {
        let mut memory = Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap();
        let span = memory.take(4096).unwrap();
        let file = Slab::new(1).insert(()).unwrap();
        let op =
            FileOp { owner: Owner(1), tag: 2, file: stdx::env::FileId(0), kind: kind(span), offset: 8192 };
        Operation::new(&op, file, 0, alignment, &mut memory)
    }

    #[test]
    fn short_reads_go_on_until_the_end() {
        let mut read = operation(FileOpKind::Read, 1);
        let Next::Call(call) = read.handle(1000) else { panic!("there is more") };
        assert_eq!(call.offset, 9192);
        assert!(matches!(call.kind, CallKind::Read { len: 3096, .. }));
        assert!(matches!(read.handle(-libc::EAGAIN), Next::Call(_)));
        assert!(matches!(read.handle(0), Next::Done(Ok(1000))));
    }

    #[test]
    fn a_short_direct_read_is_the_end_of_the_file() {
        let mut read = operation(FileOpKind::Read, 512);
        assert!(matches!(read.handle(1024), Next::Call(_)));
        assert!(matches!(read.handle(100), Next::Done(Ok(1124))));
    }

    #[test]
    fn a_short_write_goes_on_and_must_get_on() {
        let mut write = operation(|data| FileOpKind::Write { data, durable: true }, 1);
        assert!(matches!(write.handle(4000), Next::Call(_)));
        assert!(matches!(write.handle(0), Next::Done(Err(IoError::NoSpace))));
        assert!(matches!(write.handle(96), Next::Done(Ok(4096))));
    }

    #[test]
    fn zeroing_tries_the_other_way_once() {
        let mut punch = operation(|_| FileOpKind::Punch { len: 512 }, 1);
        assert!(matches!(punch.handle(-libc::EOPNOTSUPP), Next::Call(_)));
        assert!(matches!(punch.handle(-libc::EOPNOTSUPP), Next::Done(Err(IoError::Unsupported))));
    }
}
