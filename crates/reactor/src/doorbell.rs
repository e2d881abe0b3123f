//! A descriptor that ends a wait outside the reactor: for those who share one among threads, and sleep without holding it.

use crate::errno::check;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use stdx::env::IoError;

/// An eventfd that one thread at a time waits for.
#[derive(Debug)]
pub struct Doorbell {
    eventfd: OwnedFd,
}

impl Doorbell {
    /// A silent one.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn new() -> Result<Self, IoError> {
        // SAFETY: the call takes integers only; the new descriptor is nobody else's.
        let eventfd =
            unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?) };
        Ok(Self { eventfd })
    }

    /// Rings: the wait that goes on, or the next one, ends.
    pub fn ring(&self) {
        // SAFETY: the kernel reads eight bytes of a live value. It cannot fail before the counter nears 2^64.
        unsafe { libc::eventfd_write(self.eventfd.as_raw_fd(), 1) };
    }

    /// Waits until it was rung, one of two descriptors can be read, a signal has come, or the time is over (`None`: for ever).
    pub fn wait(&self, other: BorrowedFd<'_>, timeout: Option<Duration>) {
        let entry = |fd: i32| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut list = [entry(self.eventfd.as_raw_fd()), entry(other.as_raw_fd())];
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: both entries and the time live on this stack, and no signal mask is given.
        unsafe { libc::ppoll(list.as_mut_ptr(), list.len() as libc::nfds_t, time, core::ptr::null()) };
        if list[0].revents != 0 {
            let mut count = 0;
            // SAFETY: the kernel writes eight bytes to a live value.
            unsafe { libc::eventfd_read(self.eventfd.as_raw_fd(), &raw mut count) };
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}
