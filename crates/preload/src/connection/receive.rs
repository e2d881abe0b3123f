//! What the program receives.
//!
//! Before both ends have met, and after the change is complete, its own call is made, on one descriptor or the other. In
//! between, which is once in a connection's life and short, nothing may be read past the place where the peer left TCP; so
//! there the call is made of others that do not wait, and of waiting for both descriptors.

use super::Connection;
use super::change::Receive;
use crate::{errno, next};
use core::ffi::c_void;
use launch::page::Phase;
use libc::{
    EAGAIN, ECONNRESET, EINTR, F_GETFL, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, O_NONBLOCK, POLLIN, SO_RCVTIMEO,
    SOL_SOCKET, c_int, iovec, msghdr, pollfd, timespec, timeval,
};
use std::mem::{size_of, zeroed};
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;

/// A call that receives.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pieces: *const iovec,
    count: usize,
    flags: c_int,
}

/// What became of an attempt that does not wait.
enum Attempt {
    /// The call's answer.
    Done(isize),
    /// Nothing is there yet.
    Nothing,
    /// Bytes come another way now.
    Changed,
}

impl Request {
    /// Into these pieces of memory.
    ///
    /// # Safety
    /// They are there, for as long as the request is used.
    pub unsafe fn new(pieces: *const iovec, count: usize, flags: c_int) -> Request {
        Request { pieces, count, flags }
    }

    /// The first pieces, without the first `skip` bytes, and no more than `limit`.
    fn window(&self, mut skip: usize, mut limit: usize) -> ([iovec; PIECES], usize) {
        let mut window = [iovec { iov_base: null_mut(), iov_len: 0 }; PIECES];
        let mut used = 0;
        for index in 0..self.count {
            if used == PIECES || limit == 0 {
                break;
            }
            // SAFETY: `new` was promised that so many pieces are there.
            let piece = unsafe { *self.pieces.add(index) };
            if skip >= piece.iov_len {
                skip -= piece.iov_len;
                continue;
            }
            let len = (piece.iov_len - skip).min(limit);
            // A plain addition: whether memory is there is for the kernel to find out.
            window[used] = iovec { iov_base: piece.iov_base.wrapping_byte_add(skip), iov_len: len };
            (used, skip, limit) = (used + 1, 0, limit - len);
        }
        (window, used)
    }

    fn len(&self) -> usize {
        // SAFETY: `new` was promised that so many pieces are there.
        (0..self.count)
            .map(|index| unsafe { (*self.pieces.add(index)).iov_len })
            .fold(0, usize::saturating_add)
    }

    /// Tries without waiting.
    fn attempt(&self, fd: c_int, skip: usize, limit: usize) -> isize {
        let (mut window, count) = self.window(skip, limit);
        // SAFETY: a type of the C library's that zeroes are a value of.
        let mut message: msghdr = unsafe { zeroed() };
        message.msg_iov = window.as_mut_ptr();
        message.msg_iovlen = count;
        // SAFETY: the message names memory that the program gave for this.
        unsafe { next::recvmsg(fd, &mut message, self.flags & !MSG_WAITALL | MSG_DONTWAIT) }
    }
}

impl Connection {
    /// Does a call that receives: `call` makes it on the descriptor it is given.
    pub fn take(self, fd: c_int, request: Request, call: &mut dyn FnMut(c_int) -> isize) -> isize {
        let mut taken = 0;
        loop {
            let answer = match self.phase() {
                Phase::Met if self.receive() == Receive::Carrier && taken == 0 => {
                    self.take_carried(&request, call)
                }
                Phase::Met if self.receive() == Receive::After && taken == 0 => Some(call(fd)),
                Phase::Met => Some(self.take_between(fd, &request, taken)),
                _ => self.take_plain(fd, call),
            };
            let Some(answer) = answer else { continue };
            if answer <= 0 {
                return if taken > 0 { taken as isize } else { answer };
            }
            taken += answer as usize;
            let waits_for_all = request.flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT) == MSG_WAITALL;
            if !waits_for_all || self.phase() != Phase::Met || taken >= request.len() {
                return taken as isize;
            }
        }
    }

    /// From TCP, as ever, while nobody carries the connection; nothing if that changed first.
    fn take_plain(self, fd: c_int, call: &mut dyn FnMut(c_int) -> isize) -> Option<isize> {
        match self.phase() {
            Phase::Calling => {
                std::thread::yield_now();
                return None;
            }
            Phase::Waiting => errno::kept(|| self.advance(fd)),
            Phase::Accepted | Phase::Fresh | Phase::Plain | Phase::Met => {}
        }
        self.row.waiters.fetch_add(1, Ordering::SeqCst);
        let is_plain = !matches!(self.phase(), Phase::Met | Phase::Calling);
        let answer = is_plain.then(|| call(fd));
        self.row.waiters.fetch_sub(1, Ordering::SeqCst);
        let answer = answer?;
        if answer > 0 && self.phase() == Phase::Met {
            // Another thread met the peer while this one read.
            self.row.place.fetch_add(answer as u64, Ordering::SeqCst);
        }
        if answer > 0 && self.phase() == Phase::Accepted {
            errno::kept(|| self.call_peer(fd));
        }
        Some(answer)
    }

    /// From the carrier; nothing if it has ended and TCP goes on.
    fn take_carried(self, request: &Request, call: &mut dyn FnMut(c_int) -> isize) -> Option<isize> {
        let carrier = self.carrier()?;
        let answer = call(carrier);
        if answer > 0 {
            if request.flags & MSG_PEEK == 0 {
                self.row.received.fetch_add(answer as u64, Ordering::Relaxed);
            }
        } else if answer == 0 && request.len() > 0 {
            self.set_receive(Receive::After);
            return None;
        }
        Some(answer)
    }

    /// While bytes may come by either way.
    fn take_between(self, fd: c_int, request: &Request, taken: usize) -> isize {
        let may_wait = request.flags & MSG_DONTWAIT == 0 && !is_non_blocking(fd);
        loop {
            match self.attempt(fd, request, taken) {
                Attempt::Done(answer) => return answer,
                Attempt::Changed => {}
                Attempt::Nothing if !may_wait => return errno::fail(EAGAIN),
                Attempt::Nothing => {
                    let error = self.wait(fd);
                    if error != 0 {
                        return errno::fail(error);
                    }
                }
            }
        }
    }

    fn attempt(self, fd: c_int, request: &Request, skip: usize) -> Attempt {
        errno::kept(|| self.advance(fd));
        let (limit, from) = match (self.receive(), self.carrier()) {
            (Receive::Carrier, Some(carrier)) => (usize::MAX, carrier),
            (Receive::Draining, _) => {
                let place = self.row.changes_at.load(Ordering::SeqCst);
                match place.checked_sub(self.place(fd)) {
                    Some(left) => (usize::try_from(left).unwrap_or(usize::MAX), fd),
                    // The peer left TCP before bytes that it sent by TCP: none of ours does.
                    None => return Attempt::Done(errno::fail(ECONNRESET)),
                }
            }
            _ => (usize::MAX, fd),
        };
        if limit == 0 {
            return Attempt::Nothing;
        }
        let is_taken = request.flags & MSG_PEEK == 0;
        let answer = match self.guard() {
            None => return Attempt::Nothing,
            Some(_guard) => {
                let answer = request.attempt(from, skip, limit);
                if from == fd && answer > 0 && is_taken {
                    self.row.place.fetch_add(answer as u64, Ordering::SeqCst);
                }
                answer
            }
        };
        if answer < 0 && errno::get() == EAGAIN {
            return Attempt::Nothing;
        }
        if from != fd && answer == 0 && request.len() > skip {
            self.set_receive(Receive::After);
            return Attempt::Changed;
        }
        if from != fd && answer > 0 && is_taken {
            self.row.received.fetch_add(answer as u64, Ordering::Relaxed);
        }
        errno::kept(|| self.settle(fd));
        Attempt::Done(answer)
    }

    /// Waits until something may be there; the answer is an error, or 0.
    fn wait(self, fd: c_int) -> c_int {
        let watched = |fd| pollfd { fd, events: POLLIN, revents: 0 };
        let is_carried = matches!(self.receive(), Receive::Either | Receive::Carrier);
        let carrier = self.carrier().filter(|_| is_carried).unwrap_or(-1);
        let mut set = [watched(fd), watched(carrier)];
        let limit = receive_timeout(fd);
        let timeout = limit.as_ref().map_or(null(), std::ptr::from_ref::<timespec>);
        // SAFETY: two descriptors and a time, or none, all on our stack.
        let answer = unsafe { next::ppoll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout, null()) };
        match answer {
            0 => EAGAIN,
            1.. => 0,
            _ if errno::get() == EINTR && are_calls_restarted() => 0,
            _ => errno::get(),
        }
    }
}

fn is_non_blocking(fd: c_int) -> bool {
    // SAFETY: it takes numbers alone.
    unsafe { next::fcntl(fd, F_GETFL, 0) & O_NONBLOCK != 0 }
}

/// How long the program wants its calls to wait; none for ever.
fn receive_timeout(fd: c_int) -> Option<timespec> {
    let mut time = timeval { tv_sec: 0, tv_usec: 0 };
    let mut len = size_of::<timeval>() as libc::socklen_t;
    // SAFETY: the place is as long as is said.
    let answer =
        unsafe { next::getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, (&raw mut time).cast::<c_void>(), &mut len) };
    let is_limited = answer == 0 && (time.tv_sec, time.tv_usec) != (0, 0);
    is_limited.then(|| timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 })
}

/// Would the kernel have gone on with a read that a signal interrupted? It would if each signal that the program catches is
/// caught in that way; which one it was cannot be known.
fn are_calls_restarted() -> bool {
    (1..=SIGNALS).all(|signal| {
        // SAFETY: a type that zeroes are a value of, written by the call if it succeeds.
        let mut action: libc::sigaction = unsafe { zeroed() };
        // SAFETY: it only asks.
        let answer = unsafe { libc::sigaction(signal, null(), &mut action) };
        let is_caught = answer == 0 && !matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
        !is_caught || action.sa_flags & libc::SA_RESTART != 0
    })
}

/// Pieces of memory that are received into at once, while the way changes.
const PIECES: usize = 16;
const SIGNALS: c_int = 64;
