//! Back to TCP: before somebody gets a descriptor who does not know of carriers, or wants what only TCP has.
//!
//! Our own direction can always go back: the carrier's ends, and what follows goes by TCP. The peer's comes back when it hears of
//! that ([`super::handed`]).

use super::Connection;
use super::change::{CARRIED, CHANGING, OVER};
use crate::watch::registry;
use launch::Reason;
use launch::page::Phase;
use libc::c_int;
use std::sync::atomic::Ordering;

impl Connection {
    /// It stays on TCP if it is there, and both directions go back to it if it is not.
    pub fn leave_alone(self, fd: c_int, reason: Reason) {
        self.stay(reason);
        if self.phase() == Phase::Met {
            self.row.reason.store(reason as u32, Ordering::Relaxed);
            self.hand_over();
            self.go_back_with_all(fd);
            self.ring_bell();
        }
    }

    /// What we send goes by TCP from here on, and before it whatever `rest` sends there. The peer is told once `first` was done, and before
    /// `rest`: what comes by TCP finds it listening there. False if it cannot be, because somebody else has what is needed.
    pub(super) fn end_carrier<T>(self, first: impl FnOnce() -> T, rest: impl FnOnce(T)) -> bool {
        let transmit = &self.row.transmit;
        for _ in 0..TRIES {
            let plain = |now| (now & (CARRIED | CHANGING) == 0).then_some(now | OVER);
            if transmit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, plain).is_ok() {
                return true;
            }
            if transmit.load(Ordering::SeqCst) & CHANGING != 0 {
                self.finish_change();
            }
            let Some(_sending) = self.sending() else { continue };
            if self.sends_by_carrier() {
                let done = first();
                if self.with_writer_guarded(|writer, _| writer.end()) == Some(true) {
                    self.ring_bell();
                }
                rest(done);
                let over = |now| Some(now & !CARRIED | OVER);
                transmit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, over).ok();
                registry::changed(self);
                return true;
            }
        }
        false
    }
}

/// Whoever has the guard gives it back soon.
const TRIES: u32 = 3;
