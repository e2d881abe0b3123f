//! One system call on a file, as a value that a ring or a thread can take.

use crate::errno::last_errno;
use std::os::fd::RawFd;

/// A call. Whoever makes one promises that the descriptor stays open, and the bytes at `at` mapped, until its result is
/// back: [`Operation`](super::operation::Operation) does so, with a file that is not closed while calls are under way and
/// a pinned span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) fd: RawFd,
    pub(super) offset: u64,
    pub(super) kind: CallKind,
}

/// Which call.
#[derive(Clone, Copy, Debug)]
pub(super) enum CallKind {
    /// pread(2)
    Read { at: *mut u8, len: u32 },
    /// pwritev2(2), with RWF_DSYNC if durable.
    Write { at: *const u8, len: u32, durable: bool },
    /// fdatasync(2)
    Sync,
    /// fallocate(2)
    Allocate { mode: i32, len: u64 },
}

// SAFETY: the address is of pinned shared memory, which belongs to no thread, and is used in unsafe code alone.
unsafe impl Send for Call {}

impl Call {
    /// Makes the call on this thread: what it returned, or minus the error's number, as a ring would say it.
    pub(super) fn perform(self) -> i32 {
        let offset = self.offset as i64;
        // SAFETY: by the promise above the descriptor is open and the memory mapped; the kernel touches no more than `len`
        // bytes of it. That memory is shared: nobody holds a slice of it.
        let result = unsafe {
            match self.kind {
                CallKind::Read { at, len } => libc::pread(self.fd, at.cast(), len as usize, offset),
                CallKind::Write { at, len, durable } => {
                    let iovec = libc::iovec { iov_base: at.cast_mut().cast(), iov_len: len as usize };
                    let flags = if durable { libc::RWF_DSYNC } else { 0 };
                    libc::pwritev2(self.fd, &raw const iovec, 1, offset, flags)
                }
                CallKind::Sync => libc::fdatasync(self.fd) as isize,
                CallKind::Allocate { mode, len } => {
                    libc::fallocate(self.fd, mode, offset, len as i64) as isize
                }
            }
        };
        if result < 0 { -last_errno() } else { result as i32 }
    }
}
