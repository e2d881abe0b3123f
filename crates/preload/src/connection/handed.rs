//! A connection that is given to somebody who does not know of carriers, while bytes for it lie in the shared memory.
//!
//! Who gives it away (by exec, by a Unix socket, or to a stream of the C library's) says in the memory that it reads no more there,
//! and ends its own direction. From then on it has TCP, as whoever got the connection. The peer finds that out in whatever it does next
//! with the connection, and is woken if it waits: it sends what was not read once more, by TCP, before anything else that it
//! sends. So the stream is whole and in order for who reads it next, whichever process that is.
//!
//! What a peer wrote is with it until it makes another call on the connection, waits for it, closes it, or ends by itself; only a peer
//! that is killed before takes those bytes with it.
//!
//! Invariants: the reader's place does not move once it has said so; the writer looks for that after it has said that bytes are
//! there. So each byte is read by one side or sent again, and never both.

use super::change::{CARRIED, CHANGING, OVER, Receive};
use super::ring::{GIVEN, RETURNED};
use super::{Connection, retreat};
use crate::watch::registry;
use crate::{errno, next};
use core::ffi::c_void;
use launch::page::Phase;
use libc::{EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, POLLOUT, SO_SNDBUF, SOL_SOCKET, c_int, pollfd};
use std::mem::size_of;
use std::ptr::null;
use std::sync::atomic::Ordering;

impl Connection {
    /// Nothing more is read from the shared memory by this end: the rest of the stream is TCP's.
    pub(super) fn hand_over(self) {
        {
            let Some(_guard) = self.guard() else { return };
            if self.with_reader_guarded(|reader, _| reader.hand_over()).is_none() {
                return;
            }
            self.set_flag(GIVEN, true);
        }
        self.set_receive(Receive::After);
    }

    /// Has the peer given its end away?
    pub(super) fn is_returned(self) -> bool {
        self.sends_by_carrier()
            && (self.has_flag(RETURNED)
                || self.with_writer(|writer, _| writer.is_handed_over()).unwrap_or(false))
    }

    /// Sends by TCP from here on, beginning with what the peer did not read, if it has given its end away.
    pub fn heed(self, fd: c_int) {
        if self.phase() == Phase::Met && self.is_returned() {
            self.take_back(fd);
        }
    }

    /// Sends by TCP from here on; false if it cannot, because somebody sends.
    pub fn go_back(self, fd: c_int) -> bool {
        if self.is_returned() { self.take_back(fd) } else { self.retreat() }
    }

    fn take_back(self, fd: c_int) -> bool {
        let transmit = &self.row.transmit;
        for _ in 0..retreat::TRIES {
            let to = CARRIED | CHANGING;
            if transmit.compare_exchange(CARRIED, to, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                errno::kept(|| self.send_again(fd));
                self.with_writer(|writer, _| writer.end());
                transmit.store(OVER, Ordering::SeqCst);
                registry::changed(self);
                return true;
            }
            if transmit.load(Ordering::SeqCst) & OVER != 0 {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// What is unread goes by TCP.
    fn send_again(self, fd: c_int) {
        let is_sent = self.with_unread_by_peer(|mut reader, base| {
            while reader.check().is_ok() {
                let span = reader.filled(PIECE);
                if span.len == 0 {
                    break;
                }
                // SAFETY: spans lie within the memory, which stays while it is guarded.
                if !unsafe { send_all(fd, base.add(span.offset), span.len) } {
                    break;
                }
                reader.advance(span.len);
            }
        });
        debug_assert!(is_sent.is_some(), "nobody else is in the middle of sending");
    }
}

/// Sends all of it, waiting for room if there is none; false if the connection is at its end.
///
/// # Safety
/// As many bytes are there.
unsafe fn send_all(fd: c_int, bytes: *const u8, len: usize) -> bool {
    let mut done = 0;
    while done < len {
        // SAFETY: as the caller has it.
        let sent = unsafe {
            next::send(fd, bytes.add(done).cast::<c_void>(), len - done, MSG_DONTWAIT | MSG_NOSIGNAL)
        };
        match usize::try_from(sent) {
            Ok(sent) => done += sent,
            Err(_) if errno::get() == EINTR => {}
            Err(_) if errno::get() == EAGAIN => make_room(fd),
            Err(_) => return false,
        }
    }
    true
}

/// More room for bytes on their way is better than waiting, for a program that may want no call to wait.
fn make_room(fd: c_int) {
    let len = size_of::<c_int>() as libc::socklen_t;
    let mut set = pollfd { fd, events: POLLOUT, revents: 0 };
    // SAFETY: an integer is there, and a set of one.
    unsafe {
        next::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, (&raw const ROOM).cast::<c_void>(), len);
        next::ppoll(&mut set, 1, null(), null());
    }
}

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;
/// As much as the shared memory holds of one direction, and more.
static ROOM: c_int = 1 << 20;
