//! The bell: the Unix socket over which both ends met, by which each wakes the other.
//!
//! A byte in it says that there is something to look for, and its end that the peer is gone. It is never more than a hint: all that
//! is known stands in the memory, and is looked at before anybody sleeps.
//!
//! Several threads may sleep on one bell, one until there are bytes and another until there is room, and each has to see it ring. So
//! its bytes are taken only while nobody sleeps on it: who wants to take them lets the others wake first, which they do
//! because the bytes are there.

use super::Connection;
use crate::watch::registry;
use crate::{errno, next, rows};
use launch::claim::FAREWELL;
use libc::{EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, c_int};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a bell says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Nothing,
    Look,
    Farewell,
    Gone,
}

impl Connection {
    /// Wakes the peer.
    pub(super) fn ring_bell(self) {
        let Some(bell) = self.bell() else { return };
        rows::kernel_called(1);
        errno::kept(|| {
            // SAFETY: a byte is there.
            let answer = unsafe { next::send(bell, [1u8].as_ptr().cast(), 1, MSG_DONTWAIT | MSG_NOSIGNAL) };
            // A bell that is full of what was not heard yet has been rung.
            if answer < 0 && !matches!(errno::get(), EAGAIN | EINTR) {
                // The last thing that it said is still there to be heard.
                self.receive_all(bell);
                self.bell_ended();
            }
        });
    }

    /// Listens to the bell; true if it said anything. Whoever relied on its being heard is told.
    pub fn hear_bell(self) -> bool {
        self.listen(true)
    }

    /// The same, for the thread that the bell has just woken.
    pub fn heed_bell(self) {
        self.listen(false);
    }

    fn listen(self, rouses: bool) -> bool {
        let Some(bell) = self.bell().filter(|_| !self.is_peer_gone()) else { return false };
        let said = errno::kept(|| self.take_bytes(bell));
        if said == Some(Said::Gone) {
            self.bell_ended();
        }
        let is_anything = said.is_some_and(|said| said != Said::Nothing);
        if is_anything {
            registry::warm(self, rouses);
        }
        is_anything
    }

    /// Nothing if the bell is silent.
    fn take_bytes(self, bell: c_int) -> Option<Said> {
        let sleepers = &self.row.sleepers;
        for attempt in 0..ATTEMPTS {
            if sleepers.compare_exchange(0, TAKING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                let said = self.receive_all(bell);
                sleepers.fetch_and(!TAKING, Ordering::SeqCst);
                return Some(said);
            }
            if receive(bell, MSG_DONTWAIT | MSG_PEEK) == Said::Nothing {
                return None;
            }
            if attempt < YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(PAUSE);
            }
        }
        // A process that slept was killed, and is counted for ever.
        Some(self.receive_all(bell))
    }

    /// A relay says one thing at a time, and its last word is followed by its end.
    fn receive_all(self, bell: c_int) -> Said {
        let mut first = None;
        for _ in 0..MESSAGES {
            let said = receive(bell, MSG_DONTWAIT);
            if said == Said::Farewell {
                self.hear_farewell();
            }
            let answer = *first.get_or_insert(said);
            if !self.is_relayed() || said == Said::Nothing {
                return answer;
            }
            if said == Said::Gone {
                return said;
            }
        }
        Said::Look
    }

    /// The calling thread is about to sleep on the bell, and has not looked at the memory for the last time yet.
    pub fn sleep_begins(self) {
        let sleepers = &self.row.sleepers;
        for _ in 0..ATTEMPTS {
            let count = sleepers.load(Ordering::SeqCst);
            if count & TAKING != 0 {
                std::thread::yield_now();
            } else if sleepers.compare_exchange(count, count + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            {
                return;
            }
        }
        sleepers.fetch_add(1, Ordering::SeqCst);
    }

    /// It sleeps no more.
    pub fn sleep_ends(self) {
        self.row.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Does any other thread sleep too?
    pub(super) fn do_others_sleep(self) -> bool {
        self.row.sleepers.load(Ordering::SeqCst) & !TAKING > 1
    }
}

fn receive(bell: c_int, flags: c_int) -> Said {
    let mut bytes = [0u8; 64];
    rows::kernel_called(1);
    // SAFETY: as many bytes are there.
    match unsafe { next::recv(bell, bytes.as_mut_ptr().cast(), bytes.len(), flags) } {
        1 if bytes[0] == FAREWELL => Said::Farewell,
        1.. => Said::Look,
        0 => Said::Gone,
        _ if matches!(errno::get(), EAGAIN | EINTR) => Said::Nothing,
        _ => Said::Gone,
    }
}

/// Above the sleepers: somebody takes the bell's bytes.
const TAKING: u32 = 1 << 31;
/// Messages of a bell that are heard at once.
const MESSAGES: u32 = 64;
/// Who was woken runs soon, even on a busy machine.
const ATTEMPTS: u32 = 1000;
const YIELDS: u32 = 100;
const PAUSE: Duration = Duration::from_micros(50);
