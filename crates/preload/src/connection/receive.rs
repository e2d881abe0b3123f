//! What the program receives.
//!
//! Before both ends have met, and after the change is complete, its own call is made, on one descriptor or the other. In
//! between, which is once in a connection's life and short, nothing may be read past the place where the peer left TCP; so
//! there the call is made of others that do not wait, and of waiting for both descriptors.

use super::Connection;
use super::change::Receive;
use super::ring::{Moved, NON_BLOCKING, READ_SHUT, RESET};
use super::sleep::Patience;
use crate::{copy, errno, next, pace, process};
use launch::Reason;
use launch::page::Phase;
use libc::{
    EAGAIN, ECONNRESET, EFAULT, EINTR, F_GETFL, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, O_NONBLOCK,
    SO_RCVTIMEO, c_int, iovec, msghdr,
};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

/// The memory of a call that receives or sends, and its flags.
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
    /// Into these pieces of memory, or out of them.
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

    /// Could all of it be memory of the program's? The page that null points into is not, nor is the kernel's half. Whether
    /// the rest is there only touching it tells, and a program that is wrong there is ended by it, as in calls of the C library's that
    /// copy; to have the kernel look each time would cost more than the call.
    pub(super) fn is_conceivable(&self) -> bool {
        let can_be = |at: usize, len: usize| {
            len == 0 || at >= ADDRESS_MIN && at.checked_add(len).is_some_and(|end| end <= ADDRESS_MAX)
        };
        // SAFETY: `new` was promised that so many pieces are there, and they are looked at where they can be.
        let piece = |index| unsafe { *self.pieces.add(index) };
        let is_kept = self.flags & MSG_TRUNC == 0;
        can_be(self.pieces.addr(), self.count * size_of::<iovec>())
            && (0..self.count)
                .map(piece)
                .all(|piece| !is_kept || can_be(piece.iov_base.addr(), piece.iov_len))
    }

    /// Is there no room for a byte, in pieces that are there?
    pub fn wants_nothing(&self) -> bool {
        self.is_conceivable() && self.len() == 0
    }

    /// The call's flags.
    pub(super) fn flags(&self) -> c_int {
        self.flags
    }

    /// Puts bytes into the program's memory, from some place in it on; they go nowhere where the program wants them thrown away.
    ///
    /// # Safety
    /// As many bytes are there.
    pub(super) unsafe fn fill(&self, skip: usize, from: *const u8, len: usize) {
        if self.flags & MSG_TRUNC == 0 {
            let wanted = self.len();
            self.each(skip, len, |at, place, count| {
                // SAFETY: the program gave its memory for this, and the bytes are there.
                unsafe { copy::home(from.add(at), place, count, wanted) }
            });
        }
    }

    /// Takes bytes out of the program's memory, from some place in it on.
    ///
    /// # Safety
    /// There is as much room.
    pub(super) unsafe fn take(&self, skip: usize, to: *mut u8, len: usize) {
        // SAFETY: the program gave its memory for this, and there is as much room.
        self.each(skip, len, |at, place, count| unsafe { copy::away(place, to.add(at), count) });
    }

    /// Each part of the program's memory that some bytes lie in: how many lie before it, where, and how many there.
    fn each(&self, mut skip: usize, len: usize, mut work: impl FnMut(usize, *mut u8, usize)) {
        let mut done = 0;
        for index in 0..self.count {
            if done == len {
                break;
            }
            // SAFETY: `new` was promised that so many pieces are there.
            let piece = unsafe { *self.pieces.add(index) };
            if skip >= piece.iov_len {
                skip -= piece.iov_len;
                continue;
            }
            let count = (piece.iov_len - skip).min(len - done);
            work(done, piece.iov_base.cast::<u8>().wrapping_add(skip), count);
            (done, skip) = (done + count, 0);
        }
    }

    /// Bytes that there is room for, or that are to go.
    pub fn len(&self) -> usize {
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
    /// Does a call that receives: from the memory that both ends share, or as the program has it, by TCP.
    pub fn take(self, fd: c_int, request: Request, call: &mut dyn FnMut() -> isize) -> isize {
        // Only TCP waits for bytes that it leaves where they are. Where all of them have come it need not wait, and the peer, of whom they
        // would have to come once more, may do nothing with the connection for long.
        let is_all_seen = request.flags & (MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT) == MSG_PEEK | MSG_WAITALL;
        if is_all_seen && !self.holds(request.len()) {
            errno::kept(|| self.leave_alone(fd, Reason::Option));
        }
        if self.phase() == Phase::Met {
            errno::may_be_cancelled();
        }
        let mut taken = 0;
        let patience = &mut Patience::by(SO_RCVTIMEO);
        loop {
            let answer = match self.phase() {
                Phase::Met if self.receive() == Receive::Carrier => {
                    self.take_carried(fd, &request, taken, patience)
                }
                Phase::Met if self.receive() == Receive::After && taken == 0 => {
                    Some(self.take_after(fd, call))
                }
                Phase::Met => Some(self.take_between(fd, &request, taken, patience)),
                _ => self.take_plain(fd, call),
            };
            let Some(answer) = answer else { continue };
            if answer <= 0 {
                return if taken > 0 { taken as isize } else { answer };
            }
            taken += answer as usize;
            patience.moved();
            let waits_for_all = request.flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT) == MSG_WAITALL;
            if !waits_for_all || self.phase() != Phase::Met || taken >= request.len() {
                return taken as isize;
            }
        }
    }

    /// From TCP, as ever, while nobody carries the connection; nothing if that changed first.
    fn take_plain(self, fd: c_int, call: &mut dyn FnMut() -> isize) -> Option<isize> {
        match self.phase() {
            Phase::Calling => {
                std::thread::yield_now();
                // Whoever called was killed while it did.
                if process::has_died(self.row.process.load(Ordering::Relaxed)) {
                    self.stay(Reason::Shared);
                }
                return None;
            }
            Phase::Waiting => errno::kept(|| self.advance_to_receive(fd)),
            Phase::Accepted | Phase::Fresh | Phase::Plain | Phase::Met => {}
        }
        self.row.waiters.fetch_add(1, Ordering::SeqCst);
        let is_plain = !matches!(self.phase(), Phase::Met | Phase::Calling);
        let answer = is_plain.then(call);
        self.row.waiters.fetch_sub(1, Ordering::SeqCst);
        let answer = answer?;
        if answer > 0 && self.phase() == Phase::Met {
            // Another thread met the peer while this one read.
            self.row.place.fetch_add(answer as u64, Ordering::SeqCst);
        }
        if answer > 0 && self.phase() == Phase::Accepted {
            errno::kept(|| self.moved_by_receiving(fd, answer.cast_unsigned()));
        }
        Some(answer)
    }

    /// From the shared memory; nothing if it has come to its end and TCP goes on.
    fn take_carried(
        self,
        fd: c_int,
        request: &Request,
        taken: usize,
        patience: &mut Patience,
    ) -> Option<isize> {
        if !request.is_conceivable() {
            return Some(errno::fail(EFAULT));
        }
        let mut has_listened = false;
        loop {
            match self.get(request, taken) {
                Moved::Bytes(count) => return Some(count as isize),
                Moved::Failed(error) => return Some(errno::fail(error)),
                Moved::Busy => return Some(errno::fail(EINTR)),
                Moved::Over => {
                    self.set_receive(Receive::After);
                    self.heed(fd);
                    return None;
                }
                Moved::Nothing if self.has_flag(READ_SHUT) => return Some(0),
                // It was to wait for bytes, not to take any.
                Moved::Nothing if request.len() == 0 && self.has_bytes() => return Some(0),
                Moved::Nothing => {}
            }
            if request.flags & MSG_DONTWAIT != 0 || self.has_flag(NON_BLOCKING) {
                // An end that nobody could say is said by the bell.
                if has_listened || !self.hear_bell() {
                    return Some(errno::fail(EAGAIN));
                }
                has_listened = true;
                continue;
            }
            if pace::look(None, || self.has_bytes()) {
                continue;
            }
            let error = self.sleep_for_bytes(fd, patience);
            if error != 0 {
                return Some(errno::fail(error));
            }
        }
    }

    /// From TCP, after what was carried.
    fn take_after(self, fd: c_int, call: &mut dyn FnMut() -> isize) -> isize {
        if self.has_flag(RESET) {
            self.set_flag(RESET, false);
            return errno::fail(ECONNRESET);
        }
        self.await_rest(fd);
        call()
    }

    /// While bytes may come by either way.
    fn take_between(self, fd: c_int, request: &Request, taken: usize, patience: &mut Patience) -> isize {
        let may_wait = request.flags & MSG_DONTWAIT == 0 && !is_non_blocking(fd);
        loop {
            match self.attempt(fd, request, taken) {
                Attempt::Done(answer) => return answer,
                Attempt::Changed => {}
                Attempt::Nothing if !may_wait => return errno::fail(EAGAIN),
                Attempt::Nothing => {
                    let error = self.sleep_for_bytes(fd, patience);
                    if error != 0 {
                        return errno::fail(error);
                    }
                }
            }
        }
    }

    fn attempt(self, fd: c_int, request: &Request, skip: usize) -> Attempt {
        errno::kept(|| self.advance(fd));
        let limit = match self.receive() {
            Receive::Carrier => return self.attempt_carried(fd, request, skip),
            Receive::Draining => {
                let place = self.row.changes_at.load(Ordering::SeqCst);
                match place.checked_sub(self.place(fd)) {
                    Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
                    // The peer left TCP before bytes that it sent by TCP: none of ours does.
                    None => return Attempt::Done(errno::fail(ECONNRESET)),
                }
            }
            Receive::After => {
                self.await_rest(fd);
                usize::MAX
            }
            Receive::Tcp | Receive::Either => usize::MAX,
        };
        if limit == 0 {
            return Attempt::Nothing;
        }
        let answer = match self.guard() {
            None => return Attempt::Nothing,
            Some(_guard) => {
                let answer = request.attempt(fd, skip, limit);
                if answer > 0 && request.flags & MSG_PEEK == 0 {
                    self.row.place.fetch_add(answer as u64, Ordering::SeqCst);
                }
                answer
            }
        };
        if answer < 0 && errno::get() == EAGAIN {
            return Attempt::Nothing;
        }
        errno::kept(|| self.settle(fd));
        Attempt::Done(answer)
    }

    fn attempt_carried(self, fd: c_int, request: &Request, skip: usize) -> Attempt {
        match self.get(request, skip) {
            Moved::Bytes(count) => Attempt::Done(count as isize),
            Moved::Failed(error) => Attempt::Done(errno::fail(error)),
            Moved::Over => {
                self.set_receive(Receive::After);
                self.heed(fd);
                Attempt::Changed
            }
            Moved::Nothing | Moved::Busy => Attempt::Nothing,
        }
    }
}

fn is_non_blocking(fd: c_int) -> bool {
    // SAFETY: it takes numbers alone.
    unsafe { next::fcntl(fd, F_GETFL, 0) & O_NONBLOCK != 0 }
}

/// Where programs' memory begins and ends at the most, on all machines that we build for.
const ADDRESS_MIN: usize = 4096;
const ADDRESS_MAX: usize = 1 << 56;
/// Pieces of memory that are received into at once, while the way changes.
const PIECES: usize = 16;
