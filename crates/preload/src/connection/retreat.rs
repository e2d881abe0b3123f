//! Back to TCP: before somebody gets a descriptor who does not know of carriers, or wants what only TCP has.
//!
//! Our own direction can always go back: the carrier's ends, and what follows goes by TCP. The peer's comes back when it hears of
//! that ([`super::handed`]).

use super::Connection;
use super::change::{CARRIED, CHANGING, OVER};
use crate::watch::registry;
use launch::Reason;
use launch::page::Phase;
use std::sync::atomic::Ordering;

impl Connection {
    /// It stays on TCP if it is there, and both directions go back to it if it is not.
    pub fn leave_alone(self, reason: Reason) {
        self.stay(reason);
        if self.phase() == Phase::Met {
            self.row.reason.store(reason as u32, Ordering::Relaxed);
            self.hand_over();
            self.retreat();
            self.ring_bell();
        }
    }

    /// What we send goes by TCP from here on; false if it cannot, because somebody sends.
    pub fn retreat(self) -> bool {
        let transmit = &self.row.transmit;
        if transmit.compare_exchange(0, OVER, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return true;
        }
        let to = CARRIED | CHANGING;
        for _ in 0..TRIES {
            if transmit.compare_exchange(CARRIED, to, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                self.with_writer(|writer, _| writer.end());
                self.ring_bell();
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
}

/// Calls that send usually end soon.
pub(super) const TRIES: u32 = 1000;
