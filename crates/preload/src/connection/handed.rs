//! A connection that is given to somebody who does not know of carriers, while bytes for it lie in the shared memory.
//!
//! Who gives it away (by exec, by a Unix socket, or to a stream of the C library's) says in the memory that it reads no more there,
//! and ends its own direction. From then on it has TCP, as whoever got the connection. The peer finds that out in whatever it does next
//! with the connection, and is woken if it waits: it sends what was not read once more, by TCP, before anything else that it
//! sends. So the stream is whole and in order for who reads it next, whichever process that is.
//!
//! Who gives a connection away takes back what it wrote itself and the peer has not read, and sends that by TCP too: the peer may give
//! its own end away a moment later, when nobody is here any more to send anything again.
//!
//! Whoever got the connection may not read it for long, while the program wants no call to wait. So what was not read goes to the
//! kernel's memory, which has room for it unless the program made that small; where it has not, sending again waits for a moment,
//! and then the connection is reset.
//!
//! What a peer wrote is with it until it makes another call on the connection, waits for it, closes it, or ends by itself; only a peer
//! that is killed before takes those bytes with it.
//!
//! Invariants: the reader's place does not move once it has said so, or once the writer has taken back the rest; the writer looks for
//! the former after it has said that bytes are there. So each byte is read by one side or sent again, and never both.

use super::Connection;
use super::change::Receive;
use super::ring::{GIVEN, NON_BLOCKING, RESENT, RETURNED};
use crate::{errno, identity, next, option};
use core::ffi::c_void;
use launch::page::Phase;
use libc::{
    EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN, POLLOUT, SO_SNDBUF, SOL_SOCKET, TIOCOUTQ, c_int,
    c_ulong, pollfd,
};
use std::mem::{size_of, zeroed};
use std::time::{Duration, Instant};

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

    /// Sends by TCP from here on; false if it cannot, because somebody else has what is needed.
    pub fn go_back(self, fd: c_int) -> bool {
        if self.is_returned() { self.take_back(fd) } else { self.end_carrier(|| {}, |()| {}) }
    }

    /// The same, with what was sent and not read: we will not be there to send it again. A relay has sent it on already; and where
    /// the kernel has no room for it, it stays where the peer finds it.
    pub fn go_back_with_all(self, fd: c_int) {
        if self.is_relayed() || self.is_returned() {
            self.go_back(fd);
            return;
        }
        let withdraw = || {
            let unread = self.with_writer_guarded(|writer, _| writer.unread()).unwrap_or(0);
            let is_all_going = unread > 0 && errno::kept(|| has_room_for(fd, unread));
            if is_all_going {
                self.withdraw();
            }
            is_all_going
        };
        self.end_carrier(withdraw, |is_all_going| {
            if is_all_going {
                errno::kept(|| self.send_again(fd));
            }
        });
    }

    /// This process is about to hold the connection no more. If no other does, what the peer has not read goes by TCP, where it can be
    /// read by whomever the peer gives the connection to. Where we have not read all ourselves the end is a reset, which would
    /// take it away.
    pub fn leave_for_good(self, fd: c_int) {
        self.heed(fd);
        let has_read_all = || self.with_reader(|reader, _| reader.unread()) == Some(0);
        let is_met = self.phase() == Phase::Met && self.is_sole() && !self.is_relayed();
        if is_met && self.sends_by_carrier() && has_read_all() {
            self.go_back_with_all(fd);
        }
    }

    /// For who has the guard of those that send.
    fn withdraw(self) {
        self.with_writer_guarded(|mut writer, _| writer.withdraw());
    }

    /// What the peer has taken back comes by TCP, in the moment in which it says so. Who was told that bytes are there finds them: so much
    /// of what it asks for is waited for, once.
    pub(super) fn await_rest(self, fd: c_int) {
        if self.has_flag(RESENT) {
            self.set_flag(RESENT, false);
            let span = self.patience_with_peer().min(SENT_SOON);
            let mut set = pollfd { fd, events: POLLIN, revents: 0 };
            let span_ms = c_int::try_from(span.as_millis()).unwrap_or(0);
            // SAFETY: a set of one.
            errno::kept(|| unsafe { next::poll(&mut set, 1, span_ms) });
        }
    }

    /// Programs of our own user's are waited for. Any other user's peer could keep a server from everybody else by giving away what it
    /// does not read, if the server is one whose calls do not wait.
    fn patience_with_peer(self) -> Duration {
        // SAFETY: it takes nothing and cannot fail.
        let own = unsafe { libc::geteuid() };
        let is_own = self.bell().and_then(identity::carrier) == Some(own);
        if is_own || !self.has_flag(NON_BLOCKING) { WAIT_MAX } else { Duration::ZERO }
    }

    fn take_back(self, fd: c_int) -> bool {
        let withdraw = || {
            if !self.is_relayed() {
                self.withdraw();
            }
        };
        self.end_carrier(withdraw, |()| errno::kept(|| self.send_again(fd)))
    }

    /// What is unread goes by TCP. For who has the guard of those that send, once nobody reads it any more.
    fn send_again(self, fd: c_int) {
        let mut patience = Patience { longest: self.patience_with_peer(), end: None };
        let is_sent = self.with_writer_guarded(|writer, base| {
            let mut reader = writer.unread_by_reader();
            loop {
                if reader.check().is_err() {
                    return false;
                }
                let span = reader.filled(PIECE);
                if span.len == 0 {
                    return reader.unread() == 0;
                }
                // SAFETY: spans lie within the memory, which stays while it is guarded.
                if !unsafe { send_all(fd, base.add(span.offset), span.len, &mut patience) } {
                    return false;
                }
                reader.advance(span.len);
            }
        });
        if is_sent == Some(false) {
            reset(fd);
        }
    }
}

/// How long sending again waits for room, in all: from the first time on that there is none.
struct Patience {
    longest: Duration,
    end: Option<Instant>,
}

/// Does the kernel have room for as many bytes more, with what each of its buffers takes beside them?
fn has_room_for(fd: c_int, len: u64) -> bool {
    let mut queued: c_int = 0;
    // SAFETY: the request writes one integer, which is ours.
    let is_known = unsafe { next::ioctl(fd, TIOCOUTQ, &raw mut queued as c_ulong) } == 0;
    let room = option::number(fd, SO_SNDBUF).and_then(|room| u64::try_from(room).ok());
    is_known && room.is_some_and(|room| len + len / 2 + u64::from(queued.cast_unsigned()) <= room)
}

/// Sends all of it, waiting for room until the given time if there is none; false if that is over, or the connection at its end.
///
/// # Safety
/// As many bytes are there.
unsafe fn send_all(fd: c_int, bytes: *const u8, len: usize, patience: &mut Patience) -> bool {
    let mut done = 0;
    while done < len {
        // SAFETY: as the caller has it.
        let sent = unsafe {
            next::send(fd, bytes.add(done).cast::<c_void>(), len - done, MSG_DONTWAIT | MSG_NOSIGNAL)
        };
        match usize::try_from(sent) {
            Ok(sent) => done += sent,
            Err(_) if errno::get() == EINTR => {}
            Err(_) if errno::get() == EAGAIN && has_room_by(fd, patience) => {}
            Err(_) => return false,
        }
    }
    true
}

/// More room for bytes on their way is better than waiting, for a program that may want no call to wait. False once it has waited
/// for as long as it may, which begins with the first time.
fn has_room_by(fd: c_int, patience: &mut Patience) -> bool {
    let Some(end) = patience.end else {
        patience.end = Instant::now().checked_add(patience.longest);
        make_room(fd);
        return true;
    };
    let left = end.saturating_duration_since(Instant::now());
    let mut set = pollfd { fd, events: POLLOUT, revents: 0 };
    let left_ms = c_int::try_from(left.as_millis()).unwrap_or(0);
    // SAFETY: a set of one.
    left_ms > 0 && unsafe { next::poll(&mut set, 1, left_ms) } != 0
}

/// Less than anybody may have is made that: the kernel gives no more, and makes smaller what has grown by itself.
fn make_room(fd: c_int) {
    if option::number(fd, SO_SNDBUF).is_some_and(|room| room < ROOM_OF_ANYBODY) {
        let len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: an integer is there.
        unsafe { next::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, (&raw const ROOM).cast::<c_void>(), len) };
    }
}

/// The stream lacks bytes, so it ends in the middle, as TCP has it for both ends.
fn reset(fd: c_int) {
    // SAFETY: a type of the C library's that zeroes are a value of: the address of no family, which ends a connection.
    let nowhere: libc::sockaddr = unsafe { zeroed() };
    // SAFETY: the address is there, as long as is said.
    unsafe { next::connect(fd, &nowhere, size_of::<libc::sockaddr>() as libc::socklen_t) };
}

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;
/// As much as the shared memory holds of one direction; the kernel takes twice that, for what it needs besides.
static ROOM: c_int = carrier::UNREAD_MAX as c_int;
/// What the kernel says of the largest room that everybody may ask for, where nobody has changed that.
const ROOM_OF_ANYBODY: c_int = 2 * 212_992;
/// How long a program may be kept by a peer that has said that bytes are coming, and was stopped then.
const SENT_SOON: Duration = Duration::from_millis(100);
/// How long a program may be kept by a peer that does not read.
const WAIT_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_peer_that_does_not_read_keeps_nobody_and_is_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let here = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (mut there, _) = listener.accept().expect("the other end");
        // More than the kernel holds, however it is told.
        let bytes = vec![7; 64 << 20];
        let begun = Instant::now();
        let mut none = Patience { longest: Duration::ZERO, end: None };
        // SAFETY: as many bytes are there.
        assert!(!unsafe { send_all(here.as_raw_fd(), bytes.as_ptr(), bytes.len(), &mut none) });
        assert!(begun.elapsed() < WAIT_MAX / 2, "a stranger has none");
        let begun = Instant::now();
        let mut some = Patience { longest: WAIT_MAX, end: None };
        // SAFETY: as above.
        assert!(!unsafe { send_all(here.as_raw_fd(), bytes.as_ptr(), bytes.len(), &mut some) });
        assert!(begun.elapsed() >= WAIT_MAX - Duration::from_millis(10), "who reads slowly has some time");
        assert!(begun.elapsed() < 10 * WAIT_MAX);
        reset(here.as_raw_fd());
        let error = there.read_to_end(&mut Vec::new()).expect_err("the stream lacks bytes");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn room_that_was_made_small_is_made_larger() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let here = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let room = || option::number(here.as_raw_fd(), SO_SNDBUF).expect("the kernel tells");
        let before = room();
        make_room(here.as_raw_fd());
        assert!(room() >= before, "what has grown is left as it is");
        // SAFETY: an integer is there.
        unsafe { next::setsockopt(here.as_raw_fd(), SOL_SOCKET, SO_SNDBUF, (&raw const SMALL).cast(), 4) };
        let small = room();
        make_room(here.as_raw_fd());
        assert!(room() > small);
    }

    static SMALL: c_int = 1;
}
