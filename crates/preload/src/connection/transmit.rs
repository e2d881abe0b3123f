//! What the program sends.

use super::Connection;
use super::change::{CARRIED, CHANGING};
use crate::errno;
use launch::page::Phase;
use libc::c_int;
use std::sync::atomic::Ordering;

impl Connection {
    /// Does a call that sends, on the descriptor by which bytes go now.
    pub fn send(self, fd: c_int, call: &mut dyn FnMut(c_int) -> isize) -> isize {
        match self.phase() {
            Phase::Fresh | Phase::Plain => return call(fd),
            Phase::Met if self.sends_by_carrier() => {}
            Phase::Waiting | Phase::Accepted | Phase::Calling | Phase::Met => {
                errno::kept(|| self.advance(fd))
            }
        }
        let is_carried = self.enter();
        let Some(carrier) = self.carrier().filter(|_| is_carried) else {
            let answer = call(fd);
            self.leave_call();
            return answer;
        };
        let answer = call(carrier);
        self.leave_call();
        if answer > 0 {
            self.row.sent.fetch_add(answer as u64, Ordering::Relaxed);
        }
        answer
    }

    /// One more call that sends; true if by the carrier. The way does not change while one is under way.
    fn enter(self) -> bool {
        let transmit = &self.row.transmit;
        loop {
            let now = transmit.load(Ordering::SeqCst);
            if now & CHANGING != 0 {
                std::thread::yield_now();
            } else if transmit.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return now & CARRIED != 0;
            }
        }
    }

    fn leave_call(self) {
        self.row.transmit.fetch_sub(1, Ordering::SeqCst);
    }
}
