//! How another thread ends the reactor's wait.

use crate::errno::check;
use crate::poller::{Interest, Poller};
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use stdx::env::IoError;

/// A flag that any thread may raise, and an eventfd that makes a sleeping reactor look at it.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: AtomicBool,
    eventfd: OwnedFd,
}

impl Bell {
    /// A silent bell in the set.
    pub(crate) fn new(poller: &Poller, token: u64) -> Result<Arc<Self>, IoError> {
        let flags = libc::EFD_NONBLOCK | libc::EFD_CLOEXEC;
        // SAFETY: the call takes integers only; the new descriptor is nobody else's.
        let eventfd = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, flags))?) };
        // By edges: each ring is told once, so that the counter never has to be read.
        poller.add(eventfd.as_raw_fd(), token, Interest::Arrivals)?;
        Ok(Arc::new(Self { rung: AtomicBool::new(false), eventfd }))
    }

    /// Rings. Cheap while an earlier ring has not been answered.
    pub(crate) fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        // SAFETY: the kernel reads eight bytes of a live value. It cannot fail before the counter nears 2^64.
        unsafe { libc::eventfd_write(self.eventfd.as_raw_fd(), 1) };
    }

    /// True once after one or more rings.
    pub(crate) fn answer(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }
}
