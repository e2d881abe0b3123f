//! Descriptors: closed, duplicated, and their flags.

use super::hooks;
use super::socket::lost;
use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::watch::registry;
use crate::{errno, next, process};
use launch::Reason;
use launch::page::Phase;
use libc::{
    CLOSE_RANGE_CLOEXEC, EBADF, F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL, FIOASYNC, FIONBIO, FIONREAD, O_ASYNC,
    O_NONBLOCK, TIOCOUTQ, c_int, c_uint, c_ulong,
};

hooks! {
    /// Ours are not there for the program.
    fn close(fd: c_int) -> c_int {
        match descriptors::get(fd) {
            Entry::Foreign => {}
            Entry::Private if process::is_foreign() => {}
            Entry::Private => return errno::fail(EBADF) as c_int,
            _ => errno::kept(|| lost(fd)),
        }
        // SAFETY: it takes a number.
        unsafe { next::close(fd) }
    }

    /// The C library's other name for [`close`].
    fn __close(fd: c_int) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { close(fd) }
    }

    /// All but ours.
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
        if flags & CLOSE_RANGE_CLOEXEC.cast_signed() != 0 || first > last || process::is_foreign() {
            // SAFETY: it takes numbers.
            return unsafe { next::close_range(first, last, flags) };
        }
        let mut from = first;
        while let Some(private) = errno::kept(|| lose_up_to_private(from, last)) {
            if private > from {
                // SAFETY: it takes numbers.
                let answer = unsafe { next::close_range(from, private - 1, flags) };
                if answer != 0 {
                    return answer;
                }
            }
            from = private + 1;
        }
        // SAFETY: it takes numbers.
        if from > last { 0 } else { unsafe { next::close_range(from, last, flags) } }
    }

    /// All but ours.
    fn closefrom(first: c_int) -> () {
        // SAFETY: it takes numbers.
        unsafe { close_range(first.max(0).cast_unsigned(), c_uint::MAX, 0) };
    }

    /// A second descriptor of the same connection.
    fn dup(fd: c_int) -> c_int {
        // SAFETY: it takes a number.
        duplicated(fd, unsafe { next::dup(fd) })
    }

    /// A second descriptor, in the place of another.
    fn dup2(fd: c_int, to: c_int) -> c_int {
        // SAFETY: it takes numbers.
        replaced(fd, to, || unsafe { next::dup2(fd, to) })
    }

    /// The C library's other name for [`dup2`].
    fn __dup2(fd: c_int, to: c_int) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { dup2(fd, to) }
    }

    /// As [`dup2`].
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
        // SAFETY: it takes numbers.
        replaced(fd, to, || unsafe { next::dup3(fd, to, flags) })
    }

    /// Second descriptors, and flags that both of a connection's have.
    fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
        // SAFETY: as the caller has it.
        let answer = unsafe { next::fcntl(fd, command, argument) };
        controlled(fd, command, argument, answer)
    }

    /// The C library's other name for [`fcntl`].
    fn __fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { fcntl(fd, command, argument) }
    }

    /// As [`fcntl`].
    fn fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
        // SAFETY: as the caller has it.
        let answer = unsafe { next::fcntl64(fd, command, argument) };
        controlled(fd, command, argument, answer)
    }

    /// Flags that both of a connection's descriptors have, and what waits in them.
    fn ioctl(fd: c_int, request: c_ulong, argument: c_ulong) -> c_int {
        let Some(connection) = Connection::of(fd).filter(|connection| connection.phase() != Phase::Plain) else {
            // SAFETY: as the caller has it.
            return unsafe { next::ioctl(fd, request, argument) };
        };
        errno::kept(|| connection.advance(fd));
        let count = match request {
            FIONREAD if connection.is_read_by_carrier() => Some(connection.count_unread()),
            TIOCOUTQ if connection.sends_by_carrier() => Some(connection.count_unsent()),
            _ => None,
        };
        if request == FIOASYNC {
            errno::kept(|| connection.leave_alone(fd, Reason::Option));
        }
        if let Some(count) = count {
            // SAFETY: both requests write an integer where the caller says.
            unsafe { (argument as *mut c_int).write(c_int::try_from(count).unwrap_or(c_int::MAX)) };
            return 0;
        }
        if request == FIONBIO {
            // SAFETY: the request reads an integer there.
            connection.waits_not(unsafe { (argument as *const c_int).read() } != 0);
        }
        // SAFETY: as the caller has it.
        unsafe { next::ioctl(fd, request, argument) }
    }
}

/// The program loses what of ours lies in a range, up to the first descriptor that is not there for it.
fn lose_up_to_private(first: c_uint, last: c_uint) -> Option<c_uint> {
    let last = c_int::try_from(last).unwrap_or(c_int::MAX);
    let mut from = c_int::try_from(first).ok()?;
    while let Some(fd) = descriptors::next_of_ours(from, last) {
        if descriptors::get(fd) == Entry::Private {
            return Some(fd.cast_unsigned());
        }
        lost(fd);
        from = fd + 1;
    }
    None
}

fn duplicated(fd: c_int, to: c_int) -> c_int {
    if to < 0 {
        return to;
    }
    match Connection::of(fd) {
        // A child of vfork makes it ready for the program that it is about to run.
        Some(connection) if process::is_foreign() => {
            errno::kept(|| connection.leave_alone(fd, Reason::Shared))
        }
        Some(connection) => errno::kept(|| connection.duplicated(to)),
        None if process::is_foreign() => {}
        None => match descriptors::get(fd) {
            Entry::Set(first) => errno::kept(|| registry::duplicate_set(to, first)),
            listener @ Entry::Listener(mark) => {
                descriptors::hold_mark(mark);
                descriptors::set(to, listener);
            }
            _ => {}
        },
    }
    to
}

fn replaced(fd: c_int, to: c_int, call: impl FnOnce() -> c_int) -> c_int {
    if descriptors::get(to) == Entry::Private && !process::is_foreign() {
        return errno::fail(EBADF) as c_int;
    }
    let answer = call();
    if answer >= 0 && fd != to {
        errno::kept(|| lost(to));
        return duplicated(fd, answer);
    }
    answer
}

fn controlled(fd: c_int, command: c_int, argument: c_ulong, answer: c_int) -> c_int {
    if matches!(command, F_DUPFD | F_DUPFD_CLOEXEC) {
        return duplicated(fd, answer);
    }
    let Some(connection) = Connection::of(fd).filter(|_| answer >= 0) else { return answer };
    if command == F_SETFL {
        errno::kept(|| {
            if argument & O_ASYNC as c_ulong != 0 {
                connection.leave_alone(fd, Reason::Option);
            }
            connection.waits_not(argument & O_NONBLOCK as c_ulong != 0);
        });
    }
    answer
}
