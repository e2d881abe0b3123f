//! How a direction leaves TCP at a place in the stream: what is said of it, and where each end stands.
//!
//! Each end writes the place, counted from the connection's beginning, into the memory that both share, and rings the bell.

use super::Connection;
use super::ring::GONE;
use crate::position;
use crate::watch::registry;
use launch::page::Phase;
use libc::c_int;
use std::sync::atomic::Ordering;

/// Where what we receive comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Receive {
    /// TCP.
    Tcp = 0,
    /// TCP, until the peer says from where on it is the carrier.
    Either = 1,
    /// TCP, up to that place.
    Draining = 2,
    /// The carrier.
    Carrier = 3,
    /// TCP again: the carrier's direction has ended.
    After = 4,
}

/// Bits of how what we send goes; below them are the calls that send.
pub(super) const CARRIED: u32 = 1 << 31;
/// The way changes to the carrier: whoever wants to send waits a moment.
pub(super) const CHANGING: u32 = 1 << 30;
/// It is TCP to the end.
pub(super) const OVER: u32 = 1 << 29;

impl Connection {
    /// Where what we receive comes from.
    pub(super) fn receive(self) -> Receive {
        match self.row.receive.load(Ordering::SeqCst) {
            0 => Receive::Tcp,
            1 => Receive::Either,
            2 => Receive::Draining,
            3 => Receive::Carrier,
            _ => Receive::After,
        }
    }

    pub(super) fn set_receive(self, receive: Receive) {
        self.row.receive.store(receive as u32, Ordering::SeqCst);
        registry::changed(self);
    }

    /// Does what we send go by the carrier?
    pub fn sends_by_carrier(self) -> bool {
        self.row.transmit.load(Ordering::SeqCst) & CARRIED != 0
    }

    /// Does what we receive come by the carrier, or may it?
    pub fn hears_carrier(self) -> bool {
        matches!(self.receive(), Receive::Either | Receive::Draining | Receive::Carrier)
    }

    /// Does what we receive come by the carrier alone?
    pub fn is_read_by_carrier(self) -> bool {
        self.receive() == Receive::Carrier
    }

    /// A thread begins to wait for the socket, and sees no carrier that it did not know before.
    pub fn wait_begins(self) {
        self.row.waiters.fetch_add(1, Ordering::SeqCst);
    }

    /// It waits no more.
    pub fn wait_ends(self) {
        self.row.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Everything that can be done for the change of both directions without waiting.
    pub fn advance(self, fd: c_int) {
        if self.phase() == Phase::Waiting && self.bell_or_door() {
            self.look_for_peer(fd);
        }
        if self.phase() != Phase::Met {
            return;
        }
        self.heed(fd);
        self.settle(fd);
        let is_heard = !matches!(self.receive(), Receive::Tcp | Receive::Either);
        let is_client = self.row.is_client.load(Ordering::Relaxed) == 1;
        // The peer of one who waits for TCP alone must not send by the carrier yet.
        let is_seen = !is_client || self.row.waiters.load(Ordering::SeqCst) == 0;
        if self.row.transmit.load(Ordering::Relaxed) == 0 && (is_heard || is_client) && is_seen {
            self.leave(fd);
        }
    }

    /// Leaves TCP with all that is sent from here on, if nobody sends at this moment.
    fn leave(self, fd: c_int) {
        {
            let Some(_sending) = self.sending() else { return };
            let transmit = &self.row.transmit;
            if transmit.compare_exchange(0, CHANGING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                return;
            }
            let is_said = position::written(fd)
                .and_then(|place| self.with_writer_guarded(|writer, _| writer.begin(place)))
                .is_some();
            transmit.store(if is_said { CARRIED } else { OVER }, Ordering::SeqCst);
        }
        self.ring_bell();
        registry::changed(self);
    }

    /// A change that takes long was begun by a process that was killed: who changes something has the guard.
    pub(super) fn finish_change(self) {
        let Some(_sending) = self.sending() else { return };
        let transmit = &self.row.transmit;
        if transmit.load(Ordering::SeqCst) & CHANGING != 0 {
            let is_said = self.with_writer_guarded(|writer, _| writer.has_begun()) == Some(true);
            transmit.store(if is_said { CARRIED } else { OVER }, Ordering::SeqCst);
        }
    }

    /// Takes note of what the peer said, and of having come to the place it named.
    pub(super) fn settle(self, fd: c_int) {
        if !matches!(self.receive(), Receive::Either | Receive::Draining) {
            return;
        }
        let Some(_guard) = self.guard() else { return };
        if self.receive() == Receive::Either {
            self.hear();
        }
        if self.receive() == Receive::Draining {
            let (place, changes_at) = (self.place(fd), self.row.changes_at.load(Ordering::SeqCst));
            let is_over = || self.with_reader_guarded(|reader, _| reader.is_ended()) == Some(true);
            if place == changes_at {
                self.set_receive(Receive::Carrier);
            } else if place > changes_at && is_over() {
                // It left TCP and came back with all that it had sent, before we heard of either.
                self.set_receive(Receive::After);
            }
        }
    }

    /// Where in the stream what was received from TCP ends: as the kernel counts it, or, once it cannot tell any more, as we have
    /// counted from there.
    pub(super) fn place(self, fd: c_int) -> u64 {
        if let Some(place) = position::read(fd) {
            self.row.place.store(place, Ordering::SeqCst);
        }
        self.row.place.load(Ordering::SeqCst)
    }

    /// For who has the guard.
    fn hear(self) {
        let begins = || self.with_reader_guarded(|reader, _| reader.begins()).flatten();
        let place = begins().or_else(|| {
            self.hear_bell();
            begins()
        });
        if let Some(place) = place {
            self.row.changes_at.store(place, Ordering::SeqCst);
            self.set_receive(Receive::Draining);
        } else if self.has_flag(GONE) {
            // The peer went before it said anything: all stays as it is.
            self.row.transmit.compare_exchange(0, OVER, Ordering::SeqCst, Ordering::SeqCst).ok();
            self.set_receive(Receive::After);
        }
    }

    /// Does whatever is due, and tells whether the memory holds anything for the program. An end is not: TCP tells of that.
    pub fn has_carried(self, fd: c_int) -> bool {
        self.heed(fd);
        self.settle(fd);
        if self.receive() != Receive::Carrier {
            return false;
        }
        let look = || self.with_reader(|_, _| self.look_for_bytes()).unwrap_or_default();
        // What came before an end was said may have come after the first look.
        let is_over = look().is_change_due && look().is_change_due;
        if is_over {
            self.with_reader(|_, _| self.note_rest());
            self.set_receive(Receive::After);
            self.heed(fd);
        }
        !is_over && look().is_there
    }
}
