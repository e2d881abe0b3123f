//! How a direction leaves TCP at a place in the stream: what is said of it, and where each end stands.
//!
//! A carrier begins with [`HEAD_LEN`] bytes in each direction: the head, which names the place in the stream, counted from
//! the connection's beginning, from which the carrier takes over. After it come the stream's bytes, and nothing else.

use super::Connection;
use crate::watch::registry;
use crate::{errno, next, position};
use launch::page::Phase;
use libc::{EAGAIN, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, c_int};
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
/// The way changes: whoever wants to send waits a moment.
pub(super) const CHANGING: u32 = 1 << 30;
/// It is TCP to the end.
pub(super) const OVER: u32 = 1 << 29;

/// Bytes of a head.
const HEAD_LEN: usize = 16;
const HEAD_MAGIC: [u8; 8] = *b"weft/1 \n";

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
        if self.phase() == Phase::Waiting {
            self.look_for_peer(fd);
        }
        if self.phase() != Phase::Met {
            return;
        }
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
        let transmit = &self.row.transmit;
        if transmit.compare_exchange(0, CHANGING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return;
        }
        let is_said = match (self.carrier(), position::written(fd)) {
            (Some(carrier), Some(place)) => say(carrier, place),
            _ => false,
        };
        transmit.store(if is_said { CARRIED } else { OVER }, Ordering::SeqCst);
        registry::changed(self);
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
        if self.receive() == Receive::Draining && self.place(fd) == self.row.changes_at.load(Ordering::SeqCst)
        {
            self.set_receive(Receive::Carrier);
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

    fn hear(self) {
        let Some(carrier) = self.carrier() else { return };
        let mut head = [0u8; HEAD_LEN];
        // SAFETY: as many bytes are there.
        let len = unsafe { next::recv(carrier, head.as_mut_ptr().cast(), HEAD_LEN, MSG_DONTWAIT) };
        if len < 0 && errno::get() == EAGAIN {
            return;
        }
        let (magic, place) = head.split_at(HEAD_MAGIC.len());
        let place = place.try_into().map(u64::from_le_bytes);
        match place {
            Ok(place) if len == HEAD_LEN as isize && magic == HEAD_MAGIC => {
                self.row.changes_at.store(place, Ordering::SeqCst);
                self.set_receive(Receive::Draining);
            }
            // The peer went before it said anything, or is none of ours: all stays as it is.
            _ => {
                self.row.transmit.compare_exchange(0, OVER, Ordering::SeqCst, Ordering::SeqCst).ok();
                self.set_receive(Receive::After);
            }
        }
    }

    /// The carrier can be read, or has ended. Is there anything for the program? An end is not: TCP tells of that.
    pub fn has_carried(self, fd: c_int) -> bool {
        self.settle(fd);
        let (Receive::Carrier, Some(carrier)) = (self.receive(), self.carrier()) else { return false };
        let mut byte = 0u8;
        // SAFETY: a byte is there.
        let len = unsafe { next::recv(carrier, (&raw mut byte).cast(), 1, MSG_PEEK | MSG_DONTWAIT) };
        if len == 0 {
            self.set_receive(Receive::After);
        }
        len > 0 || len < 0 && errno::get() != EAGAIN
    }

    /// Held by whoever changes how bytes are received. Nobody waits for it long: who has it waits for nothing.
    pub(super) fn guard(self) -> Option<Guard> {
        for _ in 0..GUARD_TRIES {
            if self.row.lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(Guard(self));
            }
            std::thread::yield_now();
        }
        None
    }
}

/// See [`Connection::guard`].
pub(super) struct Guard(Connection);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.row.lock.store(0, Ordering::Release);
    }
}

/// Says as the carrier's first bytes that it takes over at this place.
fn say(carrier: c_int, place: u64) -> bool {
    let mut head = [0u8; HEAD_LEN];
    head[..8].copy_from_slice(&HEAD_MAGIC);
    head[8..].copy_from_slice(&place.to_le_bytes());
    // SAFETY: as many bytes are there.
    let len = unsafe { next::send(carrier, head.as_ptr().cast(), HEAD_LEN, MSG_DONTWAIT | MSG_NOSIGNAL) };
    len == HEAD_LEN as isize
}

/// A signal's handler may find it held by the call it interrupted.
const GUARD_TRIES: u32 = 1000;
