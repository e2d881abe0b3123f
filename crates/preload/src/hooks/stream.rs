//! Ways past the calls that can be seen: the C library's streams, calls of the kernel by number, and io_uring.
//!
//! A call by number is the function of that name, if it is about a connection. What cannot be followed is TCP's.

use super::passing::passes_on;
use super::{descriptor, hooks, program, receive, send, socket, wait};
use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::{errno, next, process, uring};
use core::ffi::c_void;
use launch::Reason;
use libc::{c_char, c_int, c_long, c_uint, c_ulong, iovec, off_t, ssize_t};

hooks! {
    /// A stream of the C library's reads and writes where nobody sees it.
    fn fdopen(fd: c_int, mode: *const c_char) -> *mut c_void {
        leave(fd);
        // SAFETY: as the caller has it.
        unsafe { next::fdopen(fd, mode) }
    }

    /// As [`fdopen`], for as long as the call takes.
    fn vdprintf(fd: c_int, format: *const c_char, arguments: *mut c_void) -> c_int {
        leave(fd);
        // SAFETY: as the caller has it; lists of arguments are passed by where they lie.
        unsafe { next::vdprintf(fd, format, arguments) }
    }

    /// What the C library's headers call instead of [`vdprintf`].
    fn __vdprintf_chk(fd: c_int, flag: c_int, format: *const c_char, arguments: *mut c_void) -> c_int {
        leave(fd);
        // SAFETY: as the caller has it.
        unsafe { next::__vdprintf_chk(fd, flag, format, arguments) }
    }

    /// At no place of a file it reads a socket, with flags that only the kernel knows.
    fn preadv2(fd: c_int, pieces: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        leave(fd);
        // SAFETY: as the caller has it.
        unsafe { next::preadv2(fd, pieces, count, offset, flags) }
    }

    /// As [`preadv2`].
    fn pwritev2(fd: c_int, pieces: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        leave(fd);
        // SAFETY: as the caller has it.
        unsafe { next::pwritev2(fd, pieces, count, offset, flags) }
    }

    /// As [`preadv2`], which has offsets of 64 bits on all machines that we build for.
    fn preadv64v2(fd: c_int, pieces: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { preadv2(fd, pieces, count, offset, flags) }
    }

    /// As [`pwritev2`].
    fn pwritev64v2(fd: c_int, pieces: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { pwritev2(fd, pieces, count, offset, flags) }
    }

    /// Any call of the kernel's.
    fn syscall(number: c_long, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong, e: c_ulong, f: c_ulong) -> c_long {
        match number {
            libc::SYS_io_uring_setup => errno::kept(uring::begins),
            libc::SYS_clone | libc::SYS_clone3 => process::may_be_another(),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork | libc::SYS_vfork => process::may_be_another(),
            _ => {}
        }
        // SAFETY: as the caller has it.
        unsafe {
            match by_name(number, [a, b, c, d, e, f]) {
                Some(answer) => answer,
                None => next::syscall(number, a, b, c, d, e, f),
            }
        }
    }

    /// liburing makes its system calls itself.
    fn io_uring_queue_init(entries: c_uint, ring: *mut c_void, flags: c_uint) -> c_int {
        errno::kept(uring::begins);
        // SAFETY: as the caller has it.
        unsafe { next::io_uring_queue_init(entries, ring, flags) }
    }

    /// As [`io_uring_queue_init`].
    fn io_uring_queue_init_params(entries: c_uint, ring: *mut c_void, parameters: *mut c_void) -> c_int {
        errno::kept(uring::begins);
        // SAFETY: as the caller has it.
        unsafe { next::io_uring_queue_init_params(entries, ring, parameters) }
    }

    /// As [`io_uring_queue_init`].
    fn io_uring_queue_init_mem(
        entries: c_uint,
        ring: *mut c_void,
        parameters: *mut c_void,
        memory: *mut c_void,
        len: libc::size_t,
    ) -> c_int {
        errno::kept(uring::begins);
        // SAFETY: as the caller has it.
        unsafe { next::io_uring_queue_init_mem(entries, ring, parameters, memory, len) }
    }
}

passes_on! {
    /// As [`vdprintf`].
    dprintf => printed;
    /// What the C library's headers call instead of [`dprintf`].
    __dprintf_chk => printed;
}

extern "C" fn printed(fd: usize) {
    leave(fd as c_int);
}

fn leave(fd: c_int) {
    if let Some(connection) = Connection::of(fd) {
        errno::kept(|| connection.leave_alone(fd, Reason::Stream));
    }
}

/// The call as the C library has it, which says the same of its success and of `errno`, where there is anything of ours in it.
///
/// # Safety
/// As of the call.
unsafe fn by_name(number: c_long, [a, b, c, d, e, f]: [c_ulong; 6]) -> Option<c_long> {
    let fd = a as c_int;
    // SAFETY: both have the same arguments, as the caller has them.
    let answer = unsafe {
        match number {
            libc::SYS_socket => socket::socket(fd, b as c_int, c as c_int).into(),
            libc::SYS_sendmsg => send::sendmsg(fd, b as *const _, c as c_int) as c_long,
            libc::SYS_sendmmsg => send::sendmmsg(fd, b as *mut _, c as c_uint, d as c_int).into(),
            libc::SYS_splice => {
                send::splice(fd, b as *mut _, c as c_int, d as *mut _, e as usize, f as c_uint) as c_long
            }
            libc::SYS_accept => socket::accept(fd, b as *mut _, c as *mut _).into(),
            libc::SYS_accept4 => socket::accept4(fd, b as *mut _, c as *mut _, d as c_int).into(),
            libc::SYS_execve => program::execve(a as *const _, b as *const _, c as *const _).into(),
            libc::SYS_execveat => {
                program::execveat(fd, b as *const _, c as *const _, d as *const _, e as c_int).into()
            }
            libc::SYS_close_range => descriptor::close_range(a as c_uint, b as c_uint, c as c_int).into(),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_create => wait::epoll_create(fd).into(),
            libc::SYS_epoll_create1 => wait::epoll_create1(fd).into(),
            libc::SYS_epoll_pwait2 => {
                wait::epoll_pwait2(fd, b as *mut _, c as c_int, d as *const _, e as *const _).into()
            }
            libc::SYS_epoll_pwait => {
                wait::epoll_pwait(fd, b as *mut _, c as c_int, d as c_int, e as *const _).into()
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => wait::epoll_wait(fd, b as *mut _, c as c_int, d as c_int).into(),
            libc::SYS_ppoll => wait::ppoll(a as *mut _, b, c as *const _, d as *const _).into(),
            libc::SYS_pselect6 => {
                // The mask stands behind a pointer of its own, with its length.
                let mask =
                    (f as *const *const libc::sigset_t).as_ref().map_or(std::ptr::null(), |mask| *mask);
                wait::pselect(fd, b as *mut _, c as *mut _, d as *mut _, e as *const _, mask).into()
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select => wait::select(fd, b as *mut _, c as *mut _, d as *mut _, e as *mut _).into(),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => wait::poll(a as *mut _, b, c as c_int).into(),
            libc::SYS_sendfile if is_ours(fd) => {
                send::sendfile(fd, b as c_int, c as *mut _, d as usize) as c_long
            }
            libc::SYS_close if is_ours(fd) => descriptor::close(fd).into(),
            libc::SYS_dup if is_ours(fd) => descriptor::dup(fd).into(),
            libc::SYS_fcntl if is_ours(fd) => descriptor::fcntl(fd, b as c_int, c).into(),
            libc::SYS_dup3 if is_ours(fd) || is_ours(b as c_int) => {
                descriptor::dup3(fd, b as c_int, c as c_int).into()
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_dup2 if is_ours(fd) || is_ours(b as c_int) => descriptor::dup2(fd, b as c_int).into(),
            libc::SYS_epoll_ctl if is_ours(c as c_int) => {
                wait::epoll_ctl(fd, b as c_int, c as c_int, d as *mut _).into()
            }
            _ if Connection::of(fd).is_some() => return on_connection(number, fd, [b, c, d, e, f]),
            _ => return None,
        }
    };
    Some(answer)
}

/// The same, of calls whose first argument is a connection.
///
/// # Safety
/// As of the call.
unsafe fn on_connection(number: c_long, fd: c_int, [b, c, d, e, f]: [c_ulong; 5]) -> Option<c_long> {
    let (length, count) = (c as usize, c as c_int);
    // SAFETY: as above.
    let answer = unsafe {
        match number {
            libc::SYS_read => receive::read(fd, b as *mut _, length),
            libc::SYS_readv => receive::readv(fd, b as *const _, count),
            libc::SYS_recvfrom => {
                receive::recvfrom(fd, b as *mut _, length, d as c_int, e as *mut _, f as *mut _)
            }
            libc::SYS_recvmsg => receive::recvmsg(fd, b as *mut _, count),
            libc::SYS_write => send::write(fd, b as *const _, length),
            libc::SYS_writev => send::writev(fd, b as *const _, count),
            libc::SYS_sendto => {
                send::sendto(fd, b as *const _, length, d as c_int, e as *const _, f as libc::socklen_t)
            }
            libc::SYS_recvmmsg => {
                receive::recvmmsg(fd, b as *mut _, c as c_uint, d as c_int, e as *mut _) as isize
            }
            libc::SYS_connect => socket::connect(fd, b as *const _, c as libc::socklen_t) as isize,
            libc::SYS_listen => socket::listen(fd, b as c_int) as isize,
            libc::SYS_shutdown => socket::shutdown(fd, b as c_int) as isize,
            libc::SYS_setsockopt => {
                socket::setsockopt(fd, b as c_int, count, d as *const _, e as libc::socklen_t) as isize
            }
            libc::SYS_ioctl => descriptor::ioctl(fd, b, c) as isize,
            // Some of these only ask, and lose nothing by it but speed.
            _ => {
                leave(fd);
                return None;
            }
        }
    };
    Some(answer as c_long)
}

fn is_ours(fd: c_int) -> bool {
    descriptors::get(fd) != Entry::Foreign
}
