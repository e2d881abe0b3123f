//! The epoll set: which descriptors became ready.

use crate::errno::{check, last_errno};
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use stdx::env::IoError;

/// An epoll instance and room for what it tells.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    ready: Vec<libc::epoll_event>,
    /// The kernel has epoll_pwait2, whose time-outs are in nanoseconds (Linux 5.11).
    precise: bool,
}

/// What is to be told of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interest {
    /// Each change: it can be read, written, or has ended.
    Edges,
    /// Each arrival.
    Arrivals,
    /// That it can be read, for as long as it can.
    Level,
    /// Nothing for now.
    Nothing,
}

/// One descriptor's readiness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ready {
    /// The number it was added with.
    pub(crate) token: u64,
    /// It can be read, or ended, or failed.
    pub(crate) readable: bool,
    /// It can be written, or failed.
    pub(crate) writable: bool,
    /// The peer will send no more, or the connection failed.
    pub(crate) ended: bool,
}

impl Poller {
    /// An empty set.
    pub(crate) fn new() -> Result<Self, IoError> {
        // SAFETY: the call takes integers only; the new descriptor is nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Self { epoll, ready: Vec::with_capacity(BATCH), precise: true })
    }

    /// The set's own descriptor, which can be read while something of the set is ready.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Adds a descriptor. It leaves the set when it is closed.
    pub(crate) fn add(&self, fd: RawFd, token: u64, interest: Interest) -> Result<(), IoError> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes what is told of a descriptor.
    pub(crate) fn change(&self, fd: RawFd, token: u64, interest: Interest) -> Result<(), IoError> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Takes a descriptor out of the set.
    pub(crate) fn remove(&self, fd: RawFd) -> Result<(), IoError> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::Nothing)
    }

    fn control(&self, op: i32, fd: RawFd, token: u64, interest: Interest) -> Result<(), IoError> {
        let mut event = libc::epoll_event { events: interest.mask(), u64: token };
        // SAFETY: the kernel reads one event, which lives on this stack.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), op, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits until something is ready, at most `timeout` (`None`: for ever); [`Poller::ready`] then gives it. A signal
    /// ends the wait with nothing ready.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) {
        self.ready.clear();
        let got = match timeout {
            Some(timeout) if !timeout.is_zero() && self.precise => self.wait_precisely(timeout),
            _ => self.wait_ms(timeout),
        };
        // SAFETY: the kernel wrote `got` events, at most BATCH, into the reserved room; on an error, none.
        unsafe { self.ready.set_len(usize::try_from(got).unwrap_or(0)) };
    }

    /// What the last [`Poller::wait`] found, by its place.
    pub(crate) fn ready(&self, place: usize) -> Option<Ready> {
        let event = self.ready.get(place)?;
        let has = |mask: i32| event.events & mask as u32 != 0;
        let failed = has(libc::EPOLLERR | libc::EPOLLHUP);
        Some(Ready {
            token: event.u64,
            readable: failed || has(libc::EPOLLIN | libc::EPOLLRDHUP),
            writable: failed || has(libc::EPOLLOUT),
            ended: failed || has(libc::EPOLLRDHUP),
        })
    }

    fn wait_ms(&mut self, timeout: Option<Duration>) -> i32 {
        // Rounded up, so that a deadline has passed when the wait ends.
        let ms = timeout.map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: the room is reserved for BATCH events.
        unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), BATCH as i32, ms) }
    }

    fn wait_precisely(&mut self, timeout: Duration) -> i32 {
        let time = libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        // SAFETY: the room is reserved for BATCH events, the time lives on this stack, and no signal mask is given.
        let got = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.ready.as_mut_ptr(),
                BATCH as i32,
                &raw const time,
                core::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        if got < 0 && matches!(last_errno(), libc::ENOSYS | libc::EPERM) {
            self.precise = false;
            return self.wait_ms(Some(timeout));
        }
        got as i32
    }
}

impl Interest {
    const fn mask(self) -> u32 {
        let mask = match self {
            Self::Edges => libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET,
            Self::Arrivals => libc::EPOLLIN | libc::EPOLLET,
            Self::Level => libc::EPOLLIN,
            Self::Nothing => 0,
        };
        mask as u32
    }
}

/// Events taken from the kernel at once.
const BATCH: usize = 256;
