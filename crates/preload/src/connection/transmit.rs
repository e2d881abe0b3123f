//! What the program sends.

use super::Connection;
use super::change::{CARRIED, CHANGING};
use super::receive::Request;
use super::ring::{Moved, NON_BLOCKING, RETURNED};
use super::sleep::Patience;
use crate::watch::registry;
use crate::{errno, pace};
use launch::page::Phase;
use libc::{EAGAIN, EFAULT, MSG_DONTWAIT, SO_SNDTIMEO, c_int};
use std::sync::atomic::Ordering;

/// Where the bytes of a call that sends come from.
pub enum Source<'a> {
    /// The program's memory, of which so much was sent.
    Memory(Request, usize),
    /// A descriptor, by a call that reads from it; so many bytes are left.
    Descriptor(usize, &'a mut dyn FnMut(*mut u8, usize) -> isize),
}

impl Source<'_> {
    /// Bytes to come.
    pub(super) fn left(&self) -> usize {
        match self {
            Source::Memory(request, sent) => request.len() - sent,
            Source::Descriptor(left, _) => *left,
        }
    }

    /// See [`Request::is_conceivable`].
    fn is_conceivable(&self) -> bool {
        match self {
            Source::Memory(request, _) => request.is_conceivable(),
            Source::Descriptor(..) => true,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left() == 0
    }

    fn may_wait(&self) -> bool {
        match self {
            Source::Memory(request, _) => request.flags() & MSG_DONTWAIT == 0,
            Source::Descriptor(..) => true,
        }
    }

    /// Puts bytes into a place; the answer is how many, or an error.
    ///
    /// # Safety
    /// There is as much room.
    pub(super) unsafe fn fill(&mut self, place: *mut u8, room: usize) -> Result<usize, c_int> {
        match self {
            Source::Memory(request, sent) => {
                let count = room.min(request.len() - *sent);
                // SAFETY: as the caller has it.
                unsafe { request.take(*sent, place, count) };
                *sent += count;
                Ok(count)
            }
            Source::Descriptor(left, read) => {
                let Ok(count) = usize::try_from(read(place, room.min(*left))) else {
                    return Err(errno::get());
                };
                *left = if count == 0 { 0 } else { left.saturating_sub(count) };
                Ok(count)
            }
        }
    }
}

impl Connection {
    /// Does a call that sends: into the memory that both ends share, or as the program has it, by TCP.
    pub fn send(self, fd: c_int, mut source: Source<'_>, call: &mut dyn FnMut() -> isize) -> isize {
        if self.phase() == Phase::Met {
            errno::may_be_cancelled();
        }
        let mut sent = 0;
        let mut patience = Patience::by(SO_SNDTIMEO);
        loop {
            match self.phase() {
                Phase::Fresh | Phase::Plain => return if sent > 0 { sent } else { call() },
                Phase::Met if self.sends_by_carrier() => {}
                Phase::Waiting | Phase::Accepted | Phase::Calling | Phase::Met => {
                    errno::kept(|| self.advance_to_send(fd, source.left()));
                }
            }
            if !self.enter() {
                let answer = if sent > 0 { sent } else { call() };
                self.leave_call();
                if answer > 0 && self.phase() == Phase::Accepted {
                    errno::kept(|| self.moved_by_sending(fd, answer.cast_unsigned()));
                }
                return answer;
            }
            let moved = if source.is_conceivable() { self.put(&mut source) } else { Moved::Failed(EFAULT) };
            self.leave_call();
            if self.has_flag(RETURNED) {
                self.heed(fd);
            }
            match moved {
                Moved::Bytes(count) => {
                    sent += count as isize;
                    patience.moved();
                }
                Moved::Failed(error) => return if sent > 0 { sent } else { errno::fail(error) },
                // TCP knows what to say to who writes to nobody.
                Moved::Over if self.go_back(fd) => continue,
                Moved::Over => return if sent > 0 { sent } else { call() },
                Moved::Busy | Moved::Nothing => {}
            }
            if source.is_done() {
                return sent;
            }
            if moved == Moved::Nothing
                && let Some(error) = self.full(fd, source.may_wait(), &mut patience)
            {
                return if sent > 0 { sent } else { errno::fail(error) };
            }
        }
    }

    /// There is no room: waits for some, or tells why not.
    fn full(self, fd: c_int, may_wait: bool, patience: &mut Patience) -> Option<c_int> {
        if !may_wait || self.has_flag(NON_BLOCKING) {
            if self.hear_bell() && self.has_room() {
                return None;
            }
            registry::was_full(self);
            return Some(EAGAIN);
        }
        if pace::look(patience.left(fd), || self.has_room())
            || self.with_writer(|mut writer, _| writer.grow()) == Some(true)
        {
            return None;
        }
        match self.sleep_for_room(fd, patience) {
            0 => None,
            error => Some(error),
        }
    }

    /// One more call that sends; true if by the carrier. The way does not change to the carrier while one is under way; back to TCP it
    /// does, of which who has the guard is told.
    fn enter(self) -> bool {
        let transmit = &self.row.transmit;
        for attempt in 1_u64.. {
            let now = transmit.load(Ordering::SeqCst);
            if now & CHANGING != 0 {
                std::thread::yield_now();
                if attempt.is_multiple_of(CHANGE_TRIES) {
                    self.finish_change();
                }
            } else if transmit.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return now & CARRIED != 0;
            }
        }
        false
    }

    fn leave_call(self) {
        self.row.transmit.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A change takes a few calls of the kernel's.
const CHANGE_TRIES: u64 = 1000;
