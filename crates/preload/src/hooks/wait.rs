//! Calls that wait.

use super::hooks;
use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::watch::select::Sets;
use crate::watch::{epoll, poll, registry};
use crate::{errno, next};
use libc::{c_int, epoll_event, fd_set, nfds_t, pollfd, sigset_t, size_t, timespec, timeval};
use std::ptr::null;
use std::time::{Duration, Instant};

hooks! {
    /// See [`mod@crate::watch::poll`].
    fn poll(set: *mut pollfd, count: nfds_t, timeout_ms: c_int) -> c_int {
        // SAFETY: as the caller has it.
        match unsafe { ours(set, count) } {
            // SAFETY: as the caller has it.
            None => unsafe { next::poll(set, count, timeout_ms) },
            Some(set) => poll::wait(set, milliseconds(timeout_ms), null()),
        }
    }

    /// As [`poll()`].
    fn ppoll(set: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int {
        // SAFETY: as the caller has it.
        let (ours, limit) = unsafe { (ours(set, count), timeout.as_ref()) };
        match ours {
            Some(set) if limit.is_none_or(is_time) => poll::wait(set, limit.map(span), mask),
            // SAFETY: as the caller has it.
            _ => unsafe { next::ppoll(set, count, timeout, mask) },
        }
    }

    /// The C library's other name for [`poll()`].
    fn __poll(set: *mut pollfd, count: nfds_t, timeout_ms: c_int) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { poll(set, count, timeout_ms) }
    }

    /// What the C library's headers call instead of [`poll()`].
    fn __poll_chk(set: *mut pollfd, count: nfds_t, timeout_ms: c_int, room: size_t) -> c_int {
        // SAFETY: as the caller has it.
        unsafe {
            if is_too_many(count, room) {
                next::__poll_chk(set, count, timeout_ms, room)
            } else {
                poll(set, count, timeout_ms)
            }
        }
    }

    /// What the C library's headers call instead of [`ppoll`].
    fn __ppoll_chk(
        set: *mut pollfd,
        count: nfds_t,
        timeout: *const timespec,
        mask: *const sigset_t,
        room: size_t,
    ) -> c_int {
        // SAFETY: as the caller has it.
        unsafe {
            if is_too_many(count, room) {
                next::__ppoll_chk(set, count, timeout, mask, room)
            } else {
                ppoll(set, count, timeout, mask)
            }
        }
    }

    /// See [`select`](crate::watch::select); what is left of the time is told, as Linux does.
    fn select(
        count: c_int,
        readable: *mut fd_set,
        writable: *mut fd_set,
        exceptional: *mut fd_set,
        timeout: *mut timeval,
    ) -> c_int {
        // SAFETY: as the caller has it.
        let (sets, limit) = unsafe { (Sets::new(count, [readable, writable, exceptional]), timeout.as_mut()) };
        if !sets.concern_us() || limit.as_ref().is_some_and(|limit| limit.tv_sec < 0 || limit.tv_usec < 0) {
            // SAFETY: as the caller has it.
            return unsafe { next::select(count, readable, writable, exceptional, timeout) };
        }
        let begun = Instant::now();
        let wanted = limit.as_ref().map(|limit| {
            Duration::from_secs(limit.tv_sec.cast_unsigned()) + Duration::from_micros(limit.tv_usec.cast_unsigned())
        });
        let answer = sets.wait(&mut sets.entries(), wanted, null());
        if let (Some(limit), Some(wanted)) = (limit, wanted) {
            let left = wanted.saturating_sub(begun.elapsed());
            limit.tv_sec = left.as_secs().cast_signed();
            limit.tv_usec = libc::suseconds_t::from(left.subsec_micros().cast_signed());
        }
        answer
    }

    /// The C library's other name for [`select`].
    fn __select(
        count: c_int,
        readable: *mut fd_set,
        writable: *mut fd_set,
        exceptional: *mut fd_set,
        timeout: *mut timeval,
    ) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { select(count, readable, writable, exceptional, timeout) }
    }

    /// As [`select`], which tells nothing of the time.
    fn pselect(
        count: c_int,
        readable: *mut fd_set,
        writable: *mut fd_set,
        exceptional: *mut fd_set,
        timeout: *const timespec,
        mask: *const sigset_t,
    ) -> c_int {
        // SAFETY: as the caller has it.
        let (sets, limit) = unsafe { (Sets::new(count, [readable, writable, exceptional]), timeout.as_ref()) };
        if !sets.concern_us() || !limit.is_none_or(is_time) {
            // SAFETY: as the caller has it.
            return unsafe { next::pselect(count, readable, writable, exceptional, timeout, mask) };
        }
        sets.wait(&mut sets.entries(), limit.map(span), mask)
    }

    /// See [`mod@crate::watch::epoll`].
    fn epoll_ctl(set: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) -> c_int {
        match Connection::of(fd) {
            None => {
                if operation == libc::EPOLL_CTL_ADD
                    && let Entry::Set(first) = descriptors::get(fd)
                {
                    errno::kept(|| registry::nests(first));
                }
                // SAFETY: as the caller has it.
                unsafe { next::epoll_ctl(set, operation, fd, event) }
            }
            // SAFETY: as the caller has it.
            Some(connection) => unsafe {
                epoll::control(descriptors::first_of_set(set), operation, fd, event, connection)
            },
        }
    }

    /// A set that may watch connections is ours.
    fn epoll_create(size: c_int) -> c_int {
        // SAFETY: it takes a number.
        created(unsafe { next::epoll_create(size) })
    }

    /// As [`epoll_create`].
    fn epoll_create1(flags: c_int) -> c_int {
        // SAFETY: it takes a number.
        created(unsafe { next::epoll_create1(flags) })
    }

    /// See [`mod@crate::watch::epoll`].
    fn epoll_wait(set: c_int, events: *mut epoll_event, room: c_int, timeout_ms: c_int) -> c_int {
        // SAFETY: as the caller has it.
        unsafe {
            epoll::wait(set, events, room, milliseconds(timeout_ms), &|events, room, left| {
                next::epoll_wait(set, events, room, left.map_or(timeout_ms, whole))
            })
        }
    }

    /// As [`epoll_wait`].
    fn epoll_pwait(
        set: c_int,
        events: *mut epoll_event,
        room: c_int,
        timeout_ms: c_int,
        mask: *const sigset_t,
    ) -> c_int {
        // SAFETY: as the caller has it.
        unsafe {
            epoll::wait(set, events, room, milliseconds(timeout_ms), &|events, room, left| {
                next::epoll_pwait(set, events, room, left.map_or(timeout_ms, whole), mask)
            })
        }
    }

    /// As [`epoll_wait`].
    fn epoll_pwait2(
        set: c_int,
        events: *mut epoll_event,
        room: c_int,
        timeout: *const timespec,
        mask: *const sigset_t,
    ) -> c_int {
        // SAFETY: as the caller has it.
        let limit = unsafe { timeout.as_ref() }.filter(|limit| is_time(limit)).map(span);
        // SAFETY: as the caller has it.
        unsafe {
            epoll::wait(set, events, room, limit, &|events, room, left| {
                let again = left.map(|left| timespec {
                    tv_sec: left.as_secs().cast_signed(),
                    tv_nsec: libc::c_long::from(left.subsec_nanos().cast_signed()),
                });
                let again = again.as_ref().map_or(timeout, std::ptr::from_ref);
                next::epoll_pwait2(set, events, room, again, mask)
            })
        }
    }
}

fn created(set: c_int) -> c_int {
    if set >= 0 && !crate::process::is_foreign() {
        registry::record_set(set);
    }
    set
}

/// The program's set, if any of it is ours.
///
/// # Safety
/// So many entries are there.
unsafe fn ours<'a>(set: *mut pollfd, count: nfds_t) -> Option<&'a mut [pollfd]> {
    if set.is_null() || count == 0 || count > SET_MAX {
        return None;
    }
    // SAFETY: as the caller has it.
    let set = unsafe { std::slice::from_raw_parts_mut(set, count as usize) };
    poll::concerns(set).then_some(set)
}

fn is_too_many(count: nfds_t, room: size_t) -> bool {
    (room / size_of::<pollfd>()) < count as usize
}

fn milliseconds(timeout_ms: c_int) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

/// Rounded up: who waits too short looks too often.
fn whole(left: Duration) -> c_int {
    c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
}

fn is_time(time: &timespec) -> bool {
    time.tv_sec >= 0 && (0..1_000_000_000).contains(&time.tv_nsec)
}

fn span(time: &timespec) -> Duration {
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// The kernel refuses sets that are larger than the limit of descriptors.
const SET_MAX: nfds_t = descriptors::DESCRIPTORS as nfds_t;
