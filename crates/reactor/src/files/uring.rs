//! Calls made through an io_uring: the kernel makes them, and tells in shared memory when they are done.

use super::call::{Call, CallKind};
use crate::errno;
use io_uring::{IoUring, Probe, opcode, squeue, types};
use std::os::fd::{AsRawFd, RawFd};
use stdx::env::IoError;
use stdx::slab::Key;

/// A ring.
pub(super) struct Uring {
    ring: IoUring,
    unsubmitted: usize,
}

impl Uring {
    /// A ring for at most `depth` calls at once, if this kernel and its policy allow one that knows our calls.
    pub(super) fn new(depth: u32) -> Result<Self, IoError> {
        let depth = depth.next_power_of_two();
        // This spares interrupts between processors; older kernels do not know it.
        let ring = IoUring::builder()
            .setup_coop_taskrun()
            .build(depth)
            .or_else(|_| IoUring::new(depth))
            .map_err(|error| error.raw_os_error().map_or(IoError::Unsupported, errno::of))?;
        let mut probe = Probe::new();
        let probed = ring.submitter().register_probe(&mut probe).is_ok();
        let known = [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE, opcode::Fallocate::CODE];
        if !probed || !known.iter().all(|&code| probe.is_supported(code)) {
            return Err(IoError::Unsupported);
        }
        Ok(Self { ring, unsubmitted: 0 })
    }

    /// Becomes readable when a call is done.
    pub(super) fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Queues a call; [`Uring::flush`] hands it to the kernel.
    pub(super) fn start(&mut self, key: Key, call: Call) {
        let entry = entry(call).user_data(key.as_u64());
        // SAFETY: whoever made the call promised that its descriptor and memory last until the result is taken, and that
        // is what `Uring::pop` hands on.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("no more calls are under way than the ring is deep");
        self.unsubmitted += 1;
    }

    /// Hands queued calls to the kernel. What it cannot take now waits for the next time.
    pub(super) fn flush(&mut self) {
        if self.unsubmitted == 0 {
            return;
        }
        let _ = self.ring.submit();
        self.unsubmitted = self.ring.submission().len();
    }

    /// True if the kernel has not taken all calls yet.
    pub(super) const fn is_behind(&self) -> bool {
        self.unsubmitted > 0
    }

    /// A call that is done, and its result.
    pub(super) fn pop(&mut self) -> Option<(Key, i32)> {
        let done = self.ring.completion().next()?;
        Some((Key::from_u64(done.user_data()), done.result()))
    }

    /// Blocks until a call is done.
    pub(super) fn wait(&mut self) {
        let _ = self.ring.submit_and_wait(1);
        self.unsubmitted = self.ring.submission().len();
    }
}

fn entry(call: Call) -> squeue::Entry {
    let fd = types::Fd(call.fd);
    match call.kind {
        CallKind::Read { at, len } => opcode::Read::new(fd, at, len).offset(call.offset).build(),
        CallKind::Write { at, len, durable } => {
            let flags = if durable { libc::RWF_DSYNC } else { 0 };
            opcode::Write::new(fd, at, len).offset(call.offset).rw_flags(flags).build()
        }
        CallKind::Sync => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
        CallKind::Allocate { mode, len } => {
            opcode::Fallocate::new(fd, len).offset(call.offset).mode(mode).build()
        }
    }
}
