//! Calls that move bytes between a connection and another descriptor.
//!
//! Into a carried connection they read straight to where the peer finds the bytes. Out of one they look at what is there, write
//! it, and take as much as was written.

use crate::connection::{Connection, Request, Source};
use crate::{errno, next};
use core::ffi::c_void;
use launch::Reason;
use launch::page::Phase;
use libc::{
    EAGAIN, MSG_PEEK, MSG_TRUNC, POLLIN, POLLOUT, SPLICE_F_NONBLOCK, c_int, c_short, c_uint, iovec, off_t,
    pollfd,
};
use std::ptr::null_mut;

/// A file goes to a connection.
///
/// # Safety
/// As of sendfile.
pub unsafe fn send_file(
    connection: Connection,
    to: c_int,
    from: c_int,
    offset: *mut off_t,
    len: usize,
) -> isize {
    let mut read = |place: *mut u8, room: usize| {
        // SAFETY: the caller has an offset there, or null; there is as much room as is said.
        unsafe {
            if offset.is_null() {
                return next::read(from, place.cast::<c_void>(), room);
            }
            let answer = libc::pread(from, place.cast::<c_void>(), room, *offset);
            *offset += answer.max(0) as off_t;
            answer
        }
    };
    // SAFETY: as the caller has it.
    let mut plainly = || unsafe { next::sendfile(to, from, offset, len) };
    connection.send(to, Source::Descriptor(len.min(LONGEST), &mut read), &mut plainly)
}

/// What is in a pipe goes to a connection.
pub fn to_connection(
    connection: Connection,
    to: c_int,
    from: c_int,
    len: usize,
    flags: c_uint,
    mut plainly: impl FnMut() -> isize,
) -> isize {
    // Nobody may wait for a pipe while others wait for the connection.
    if connection.phase() == Phase::Met && !is_ready(from, POLLIN, flags & SPLICE_F_NONBLOCK != 0) {
        return errno::fail(EAGAIN);
    }
    let mut has_read = false;
    let mut read = |place: *mut u8, room: usize| {
        if has_read && !is_ready(from, POLLIN, true) {
            return 0;
        }
        has_read = true;
        // SAFETY: there is as much room as is said.
        unsafe { next::read(from, place.cast::<c_void>(), room) }
    };
    connection.send(to, Source::Descriptor(len.min(LONGEST), &mut read), &mut plainly)
}

/// What a connection brings goes to a pipe. The connection stays on TCP if it is there.
pub fn from_connection(
    connection: Connection,
    from: c_int,
    to: c_int,
    len: usize,
    flags: c_uint,
    mut plainly: impl FnMut() -> isize,
) -> isize {
    errno::kept(|| {
        connection.leave_alone(from, Reason::Option);
        connection.advance(from);
    });
    if !connection.is_read_by_carrier() {
        return plainly();
    }
    let mut bytes = [0u8; 4096];
    let mut piece = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len.min(bytes.len()) };
    // SAFETY: the piece lives until the call is done.
    let look = unsafe { Request::new(&piece, 1, MSG_PEEK) };
    let count = connection.take(from, look, &mut || -1);
    if count <= 0 {
        return if connection.is_read_by_carrier() { count } else { plainly() };
    }
    if !is_ready(to, POLLOUT, flags & SPLICE_F_NONBLOCK != 0) {
        return errno::fail(EAGAIN);
    }
    // SAFETY: as many bytes are there.
    let written = unsafe { next::write(to, bytes.as_ptr().cast(), count as usize) };
    if written > 0 {
        (piece.iov_base, piece.iov_len) = (null_mut(), written as usize);
        // SAFETY: bytes that are thrown away need no place.
        let rest = unsafe { Request::new(&piece, 1, MSG_TRUNC) };
        connection.take(from, rest, &mut || -1);
    }
    written
}

fn is_ready(fd: c_int, events: c_short, is_impatient: bool) -> bool {
    let mut entry = pollfd { fd, events, revents: 0 };
    // SAFETY: an entry is there.
    unsafe { next::poll(&mut entry, 1, if is_impatient { 0 } else { -1 }) > 0 }
}

/// More is not sent by one call of the kernel's either.
const LONGEST: usize = 0x7fff_f000;
