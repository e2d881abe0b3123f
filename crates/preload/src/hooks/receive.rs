//! Calls that receive.

use super::hooks;
use crate::connection::{Connection, Request};
use crate::{errno, next};
use core::ffi::c_void;
use launch::page::Phase;
use libc::{
    MSG_ERRQUEUE, MSG_OOB, c_int, c_uint, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t,
    timespec,
};

hooks! {
    /// Who reads nothing waits for nothing, unlike who receives nothing.
    fn read(fd: c_int, buffer: *mut c_void, len: size_t) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| len > 0) else {
            // SAFETY: as the caller has it.
            return unsafe { next::read(fd, buffer, len) };
        };
        // SAFETY: as the caller has it.
        take(connection, fd, buffer, len, 0, &mut || unsafe { next::read(fd, buffer, len) })
    }

    /// See the module.
    fn readv(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| (0..=libc::UIO_MAXIOV).contains(&count)) else {
            // SAFETY: as the caller has it.
            return unsafe { next::readv(fd, pieces, count) };
        };
        // SAFETY: the caller has as many pieces.
        let request = unsafe { Request::new(pieces, count as usize, 0) };
        // SAFETY: as the caller has it.
        let mut plainly = || unsafe { next::readv(fd, pieces, count) };
        if request.wants_nothing() { plainly() } else { connection.take(fd, request, &mut plainly) }
    }

    /// See the module.
    fn recv(fd: c_int, buffer: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| flags & TCP_ALONE == 0) else {
            // SAFETY: as the caller has it.
            return unsafe { next::recv(fd, buffer, len, flags) };
        };
        // SAFETY: as the caller has it.
        take(connection, fd, buffer, len, flags, &mut || unsafe { next::recv(fd, buffer, len, flags) })
    }

    /// TCP does not say from whom; so the carrier must not.
    fn recvfrom(
        fd: c_int,
        buffer: *mut c_void,
        len: size_t,
        flags: c_int,
        address: *mut sockaddr,
        address_len: *mut socklen_t,
    ) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| flags & TCP_ALONE == 0) else {
            // SAFETY: as the caller has it.
            return unsafe { next::recvfrom(fd, buffer, len, flags, address, address_len) };
        };
        if !address.is_null() && !address_len.is_null() && connection.phase() == Phase::Met {
            // SAFETY: the length is there where an address is asked for.
            unsafe { address_len.write(0) };
        }
        take(connection, fd, buffer, len, flags, &mut || {
            // SAFETY: as the caller has it.
            unsafe { next::recvfrom(fd, buffer, len, flags, address, address_len) }
        })
    }

    /// What a carrier brings besides bytes is not for the program.
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| flags & TCP_ALONE == 0 && !message.is_null()) else {
            // SAFETY: as the caller has it.
            return unsafe { next::recvmsg(fd, message, flags) };
        };
        // SAFETY: the caller has a message there.
        unsafe { take_message(connection, fd, &mut *message, flags) }
    }

    /// One message is fewer than the program asked for, which it has to expect.
    fn recvmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int {
        let is_some = count > 0 && !messages.is_null();
        let Some(connection) = Connection::of(fd).filter(|_| flags & TCP_ALONE == 0 && is_some) else {
            // SAFETY: as the caller has it.
            return unsafe { next::recvmmsg(fd, messages, count, flags, timeout) };
        };
        // SAFETY: the caller has a message there.
        let first = unsafe { &mut *messages };
        // SAFETY: as above.
        let answer = unsafe { take_message(connection, fd, &mut first.msg_hdr, flags) };
        if answer < 0 {
            return -1;
        }
        first.msg_len = answer as c_uint;
        1
    }

    /// The C library's other name for [`read`].
    fn __read(fd: c_int, buffer: *mut c_void, len: size_t) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { read(fd, buffer, len) }
    }

    /// What the C library's headers call instead of [`read`].
    fn __read_chk(fd: c_int, buffer: *mut c_void, len: size_t, room: size_t) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { if len > room { next::__read_chk(fd, buffer, len, room) } else { read(fd, buffer, len) } }
    }

    /// What the C library's headers call instead of [`recv`].
    fn __recv_chk(fd: c_int, buffer: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe {
            if len > room { next::__recv_chk(fd, buffer, len, room, flags) } else { recv(fd, buffer, len, flags) }
        }
    }

    /// What the C library's headers call instead of [`recvfrom`].
    fn __recvfrom_chk(
        fd: c_int,
        buffer: *mut c_void,
        len: size_t,
        room: size_t,
        flags: c_int,
        address: *mut sockaddr,
        address_len: *mut socklen_t,
    ) -> ssize_t {
        if len > room {
            // SAFETY: as the caller has it.
            return unsafe { next::__recvfrom_chk(fd, buffer, len, room, flags, address, address_len) };
        }
        // SAFETY: as the caller has it.
        unsafe { recvfrom(fd, buffer, len, flags, address, address_len) }
    }
}

fn take(
    connection: Connection,
    fd: c_int,
    buffer: *mut c_void,
    len: size_t,
    flags: c_int,
    call: &mut dyn FnMut() -> isize,
) -> isize {
    let piece = iovec { iov_base: buffer, iov_len: len };
    // SAFETY: the piece lives until the call is done.
    let request = unsafe { Request::new(&piece, 1, flags) };
    connection.take(fd, request, call)
}

/// # Safety
/// The message's pieces are there.
unsafe fn take_message(connection: Connection, fd: c_int, message: &mut msghdr, flags: c_int) -> isize {
    let asks_for_more = !message.msg_control.is_null() && message.msg_controllen > 0;
    if asks_for_more && connection.phase() != Phase::Met {
        // Time stamps and the like come by TCP alone, and most who have room for them get none.
        errno::kept(|| connection.advance(fd));
    }
    // SAFETY: the caller has as many pieces.
    let request = unsafe { Request::new(message.msg_iov, message.msg_iovlen, flags) };
    let mut is_plain = false;
    let answer = connection.take(fd, request, &mut || {
        is_plain = true;
        // SAFETY: as the caller has it.
        unsafe { next::recvmsg(fd, message, flags) }
    });
    if answer >= 0 && !is_plain {
        (message.msg_namelen, message.msg_controllen, message.msg_flags) = (0, 0, 0);
    }
    answer
}

/// Flags of calls that only TCP can answer.
const TCP_ALONE: c_int = MSG_OOB | MSG_ERRQUEUE;
