//! Calls that send.

use super::hooks;
use super::splice;
use crate::connection::{Connection, Request, Source};
use crate::{descriptors, errno, next};
use core::ffi::c_void;
use launch::Reason;
use launch::page::Phase;
use libc::{
    MSG_FASTOPEN, MSG_OOB, MSG_ZEROCOPY, SCM_RIGHTS, SOL_SOCKET, c_int, c_uint, iovec, loff_t, mmsghdr,
    msghdr, off_t, size_t, sockaddr, socklen_t, ssize_t,
};
use std::mem::size_of;

hooks! {
    /// See the module.
    fn write(fd: c_int, buffer: *const c_void, len: size_t) -> ssize_t {
        match Connection::of(fd) {
            // SAFETY: as the caller has it.
            None => unsafe { next::write(fd, buffer, len) },
            // SAFETY: as the caller has it.
            Some(connection) => send_one(connection, fd, buffer, len, 0, &mut || unsafe { next::write(fd, buffer, len) }),
        }
    }

    /// See the module.
    fn writev(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t {
        let Some(connection) = Connection::of(fd).filter(|_| (0..=libc::UIO_MAXIOV).contains(&count)) else {
            // SAFETY: as the caller has it.
            return unsafe { next::writev(fd, pieces, count) };
        };
        // SAFETY: the caller has as many pieces.
        let request = unsafe { Request::new(pieces, count as usize, 0) };
        // SAFETY: as the caller has it.
        connection.send(fd, Source::Memory(request, 0), &mut || unsafe { next::writev(fd, pieces, count) })
    }

    /// See the module.
    fn send(fd: c_int, buffer: *const c_void, len: size_t, flags: c_int) -> ssize_t {
        match prepared(fd, flags) {
            // SAFETY: as the caller has it.
            None => unsafe { next::send(fd, buffer, len, flags) },
            // SAFETY: as the caller has it.
            Some(connection) => send_one(connection, fd, buffer, len, flags, &mut || unsafe { next::send(fd, buffer, len, flags) }),
        }
    }

    /// The C library's other name for [`write()`].
    fn __write(fd: c_int, buffer: *const c_void, len: size_t) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { write(fd, buffer, len) }
    }

    /// The C library's other name for [`send`].
    fn __send(fd: c_int, buffer: *const c_void, len: size_t, flags: c_int) -> ssize_t {
        // SAFETY: as the caller has it.
        unsafe { send(fd, buffer, len, flags) }
    }

    /// To whom is known.
    fn sendto(
        fd: c_int,
        buffer: *const c_void,
        len: size_t,
        flags: c_int,
        address: *const sockaddr,
        address_len: socklen_t,
    ) -> ssize_t {
        let Some(connection) = prepared(fd, flags) else {
            // SAFETY: as the caller has it.
            return unsafe { next::sendto(fd, buffer, len, flags, address, address_len) };
        };
        send_one(connection, fd, buffer, len, flags, &mut || {
            // SAFETY: as the caller has it.
            unsafe { next::sendto(fd, buffer, len, flags, address, address_len) }
        })
    }

    /// What goes along with bytes goes by TCP; descriptors that are given away stay on it.
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
        // SAFETY: the caller has a message there, or null.
        let Some(message) = (unsafe { message.as_ref() }) else {
            // SAFETY: as the caller has it.
            return unsafe { next::sendmsg(fd, message, flags) };
        };
        // SAFETY: as the caller has it.
        unsafe { send_message(fd, message, flags) }
    }

    /// One after the other, up to the first that does not go whole.
    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
        if Connection::of(fd).is_none() || messages.is_null() {
            let count = if messages.is_null() { 0 } else { count.min(libc::UIO_MAXIOV.cast_unsigned()) };
            for index in 0..count as usize {
                // SAFETY: the caller has as many messages.
                errno::kept(|| unsafe { leave_given_away(&(*messages.add(index)).msg_hdr) });
            }
            // SAFETY: as the caller has it.
            return unsafe { next::sendmmsg(fd, messages, count, flags) };
        }
        let mut sent = 0;
        while sent < count.min(libc::UIO_MAXIOV.cast_unsigned()) {
            // SAFETY: the caller has as many messages.
            let message = unsafe { &mut *messages.add(sent as usize) };
            // SAFETY: as above.
            let answer = unsafe { send_message(fd, &message.msg_hdr, flags) };
            if answer < 0 {
                break;
            }
            message.msg_len = answer as c_uint;
            sent += 1;
            // SAFETY: the message has as many pieces, as `send_message` found.
            let len = unsafe { Request::new(message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen, 0) }.len();
            if answer.cast_unsigned() < len {
                break;
            }
        }
        if sent > 0 || count == 0 { sent as c_int } else { -1 }
    }

    /// The kernel reads the file into either.
    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, len: size_t) -> ssize_t {
        match Connection::of(to) {
            // SAFETY: as the caller has it.
            None => unsafe { next::sendfile(to, from, offset, len) },
            // SAFETY: as the caller has it.
            Some(connection) => unsafe { splice::send_file(connection, to, from, offset, len) },
        }
    }

    /// As [`sendfile`].
    fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, len: size_t) -> ssize_t {
        // SAFETY: as the caller has it; offsets have 64 bits on all machines that we build for.
        unsafe { sendfile(to, from, offset, len) }
    }

    /// To a connection it is a call that sends; from one it is left to TCP as far as that can be.
    fn splice(
        from: c_int,
        from_offset: *mut loff_t,
        to: c_int,
        to_offset: *mut loff_t,
        len: size_t,
        flags: c_uint,
    ) -> ssize_t {
        // SAFETY: as the caller has it.
        let plainly = || unsafe { next::splice(from, from_offset, to, to_offset, len, flags) };
        match (Connection::of(to), Connection::of(from)) {
            (Some(connection), _) => splice::to_connection(connection, to, from, len, flags, plainly),
            (None, Some(connection)) => splice::from_connection(connection, from, to, len, flags, plainly),
            (None, None) => plainly(),
        }
    }
}

fn send_one(
    connection: Connection,
    fd: c_int,
    buffer: *const c_void,
    len: size_t,
    flags: c_int,
    call: &mut dyn FnMut() -> isize,
) -> isize {
    let piece = iovec { iov_base: buffer.cast_mut(), iov_len: len };
    // SAFETY: the piece lives until the call is done.
    let request = unsafe { Request::new(&piece, 1, flags) };
    connection.send(fd, Source::Memory(request, 0), call)
}

/// The connection, if these flags leave it a choice. Urgent bytes and those whose memory the kernel keeps go by TCP,
/// and so does all that follows.
fn prepared(fd: c_int, flags: c_int) -> Option<Connection> {
    let connection = Connection::of(fd)?;
    if flags & (MSG_OOB | MSG_FASTOPEN | MSG_ZEROCOPY) != 0 {
        errno::kept(|| connection.leave_alone(fd, Reason::Option));
    }
    Some(connection)
}

/// # Safety
/// What the message names is there.
unsafe fn send_message(fd: c_int, message: &msghdr, flags: c_int) -> isize {
    let Some(connection) = prepared(fd, flags) else {
        // SAFETY: as the caller has it.
        errno::kept(|| unsafe { leave_given_away(message) });
        // SAFETY: as the caller has it.
        return unsafe { next::sendmsg(fd, message, flags) };
    };
    if has_control(message) {
        errno::kept(|| connection.leave_alone(fd, Reason::Option));
    }
    // SAFETY: the caller has as many pieces.
    let request = unsafe { Request::new(message.msg_iov, message.msg_iovlen, flags) };
    // SAFETY: as the caller has it.
    connection.send(fd, Source::Memory(request, 0), &mut || unsafe { next::sendmsg(fd, message, flags) })
}

fn has_control(message: &msghdr) -> bool {
    !message.msg_control.is_null() && message.msg_controllen > 0
}

/// Another process is about to get descriptors: those of connections go back to TCP.
///
/// # Safety
/// The control data are there.
unsafe fn leave_given_away(message: &msghdr) {
    if !has_control(message) {
        return;
    }
    // SAFETY: it looks at control data within their length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: as above.
    while let Some(control) = unsafe { header.as_ref() } {
        if (control.cmsg_level, control.cmsg_type) == (SOL_SOCKET, SCM_RIGHTS) {
            // SAFETY: the data lie behind the header, as long as it says.
            let (data, len) = unsafe {
                (libc::CMSG_DATA(header).cast::<c_int>(), control.cmsg_len - libc::CMSG_LEN(0) as usize)
            };
            for index in 0..len / size_of::<c_int>() {
                // SAFETY: as above.
                let fd = unsafe { data.add(index).read_unaligned() };
                if let Some(connection) = descriptors::connection(fd).and_then(Connection::at)
                    && connection.phase() != Phase::Plain
                {
                    connection.leave_alone(fd, Reason::Shared);
                }
            }
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}
