//! A connection whose peer is on another host: it meets the user's relay, which stands for the peer.
//!
//! What is different from a peer on this machine: the relay brings the memory to both ends, once it knows that both are there; the
//! server says that it has taken it by ringing, and only then is the client given its own. TCP's end may come before the carrier's
//! last bytes, so it is the bell alone that tells of an end. And a carrier can break while both programs go on: then bytes are
//! lost, and the connection is reset, at both ends, by each for itself.
//!
//! Invariants: a bell that ends after a farewell is a peer that closed; one that ends without is a carrier that broke. A connection
//! that is not carried, or no more, outlives any relay.

use super::Connection;
use super::change::{CARRIED, CHANGING, Receive};
use super::meet::EAGER_TRIES;
use super::ring::{BROKEN, FAREWELL, GONE, RELAYED};
use crate::memory::{self, Given};
use crate::{descriptors, errno, next, private, relay};
use launch::page::Phase;
use launch::{Reason, Role};
use libc::{AF_UNSPEC, SHUT_RDWR, c_int, sockaddr, socklen_t};
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

impl Connection {
    /// Is the other end of its bell a relay?
    pub(super) fn is_relayed(self) -> bool {
        self.has_flag(RELAYED)
    }

    /// Says to the relay which end we have. For who has the guard, or the phase to itself.
    pub(super) fn claim_from_relay(self, role: Role, local: SocketAddr, peer: SocketAddr) {
        match relay::claim(role, local, peer) {
            Some(bell) => self.own.bell.store(bell + 1, Ordering::Release),
            None => self.stay(Reason::Relay),
        }
    }

    /// The program moved bytes of a connection that it accepted: claims it, if that is due, and takes the memory, if it is there.
    pub(super) fn call_relay(self, fd: c_int, is_due: bool) {
        let bell = self.bell();
        let tries = if bell.is_some() { self.row.tries.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let is_now = is_due && (tries <= EAGER_TRIES || tries.is_power_of_two());
        if !is_now || !self.is_sole() || !self.step(Phase::Accepted, Phase::Calling) {
            return;
        }
        // Who waits for TCP alone would not see what comes by the carrier.
        let may_meet = self.row.waiters.load(Ordering::SeqCst) == 0;
        match (bell, self.ends(fd)) {
            (None, Some((local, peer))) => self.claim_from_relay(Role::Server, local, peer),
            (Some(bell), _) if may_meet => self.take_from_relay(fd, bell),
            (Some(_), _) => {}
            (None, None) => self.stay(Reason::System),
        }
        self.step(Phase::Calling, Phase::Accepted);
    }

    fn take_from_relay(self, fd: c_int, bell: c_int) {
        match memory::take(bell) {
            Given::Nothing => {}
            Given::Refused => self.stay(Reason::Peer),
            Given::Memory(memory) => {
                self.adopt(fd, bell, memory, Phase::Calling);
                self.ring_bell();
            }
        }
    }

    /// It stays on TCP: the relay is to know.
    pub(super) fn leave_relay(self) {
        if self.is_relayed() {
            let bell = self.own.bell.swap(0, Ordering::AcqRel);
            if bell > 0 {
                private::close(bell - 1);
            }
        }
    }

    /// The peer said that it goes.
    pub(super) fn hear_farewell(self) {
        self.set_flag(FAREWELL, true);
    }

    /// The bell has ended: the peer is gone, or the carrier broke.
    pub(super) fn bell_ended(self) {
        self.set_flag(GONE, true);
        if self.is_relayed() && !self.has_flag(FAREWELL) && self.is_anything_carried() {
            self.set_flag(BROKEN, true);
            errno::kept(|| self.reset());
        }
    }

    /// May bytes be on their way by the carrier? Where only the peer knows of some, the peer ends the connection.
    fn is_anything_carried(self) -> bool {
        self.row.transmit.load(Ordering::SeqCst) & (CARRIED | CHANGING) != 0
            || matches!(self.receive(), Receive::Draining | Receive::Carrier)
    }

    /// TCP ends as if the peer had: its end hears of that.
    fn reset(self) {
        let Some(fd) = self.any_descriptor() else { return };
        // SAFETY: a type of the C library's that zeroes are a value of.
        let mut nowhere: sockaddr = unsafe { zeroed() };
        nowhere.sa_family = AF_UNSPEC as libc::sa_family_t;
        // SAFETY: the address is there, as long as is said.
        let answer = unsafe { next::connect(fd, &raw const nowhere, size_of::<sockaddr>() as socklen_t) };
        if answer < 0 {
            // SAFETY: it takes two numbers.
            unsafe { next::shutdown(fd, SHUT_RDWR) };
        }
    }

    /// One of the program's descriptors of it.
    fn any_descriptor(self) -> Option<c_int> {
        descriptors::ours().find(|&fd| descriptors::connection(fd) == Some(self.index))
    }
}
