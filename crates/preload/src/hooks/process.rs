//! Other programs, and ways past the C library.

use super::hooks;
use crate::connection::Connection;
use crate::{errno, next, process, uring};
use core::ffi::c_void;
use launch::Reason;
use libc::{SYS_io_uring_setup, c_char, c_int, c_long, c_ulong};

hooks! {
    /// The next program knows nothing of carriers.
    fn execve(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execve(path, arguments, environment) })
    }

    /// As [`execve`].
    fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execv(path, arguments) })
    }

    /// As [`execve`].
    fn execvp(path: *const c_char, arguments: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execvp(path, arguments) })
    }

    /// As [`execve`].
    fn execvpe(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execvpe(path, arguments, environment) })
    }

    /// A stream of the C library's reads and writes where nobody sees it.
    fn fdopen(fd: c_int, mode: *const c_char) -> *mut c_void {
        if let Some(connection) = Connection::of(fd) {
            errno::kept(|| connection.leave_alone(Reason::Stream));
        }
        // SAFETY: as the caller has it.
        unsafe { next::fdopen(fd, mode) }
    }

    /// Any call of the kernel's: io_uring begins with one.
    fn syscall(number: c_long, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong, e: c_ulong, f: c_ulong) -> c_long {
        if number == SYS_io_uring_setup {
            errno::kept(uring::begins);
        }
        // SAFETY: as the caller has it.
        unsafe { next::syscall(number, a, b, c, d, e, f) }
    }
}

fn run(call: impl FnOnce() -> c_int) -> c_int {
    errno::kept(process::before_exec);
    let answer = call();
    errno::kept(process::exec_failed);
    answer
}
