//! How both ends meet: see [`super`].

use super::Connection;
use super::change::Receive;
use super::ring::{NON_BLOCKING, PLACED, RELAYED, SHARED};
use crate::descriptors::{self, Entry};
use crate::memory::{self, Given, Memory};
use crate::rendezvous::Listening;
use crate::shared::{self, Directory};
use crate::watch::registry;
use crate::{address, identity, name, next, option, position, private, relay, rendezvous, rows};
use launch::page::Phase;
use launch::{Reason, Role, Use};
use libc::{F_GETFL, O_NONBLOCK, c_int};
use std::net::{Ipv6Addr, SocketAddr};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// Would a client rather have no connection than this one? Asked before it connects.
pub fn is_refused(to: SocketAddr) -> bool {
    // Whether a listener on another host, or in another namespace, can be met is known only once it was asked.
    let may_be_met = || shared::directory().is_some() || relay::is_there();
    let may_be_elsewhere = || !to.ip().to_canonical().is_loopback() && may_be_met();
    name::policy(Role::Client, to) == Use::Sdp && !rendezvous::is_marked(to) && !may_be_elsewhere()
}

/// The program connected a socket, or began to.
pub fn connected(fd: c_int) {
    if let Some(connection) = Connection::of(fd).filter(|connection| connection.phase() == Phase::Fresh) {
        connection.row.is_client.store(1, Ordering::Relaxed);
        connection.set_phase(Phase::Waiting);
    }
}

/// The program accepted a connection.
pub fn accepted(fd: c_int) {
    if let Some(connection) = Connection::begin(fd) {
        connection.set_phase(Phase::Accepted);
    }
}

/// Is it to be readable only once several bytes are there? Who accepted it may have that from the listener.
pub fn waits_for_several(fd: c_int) -> bool {
    option::number(fd, libc::SO_RCVLOWAT).is_some_and(|count| count > 1)
}

/// Are both ends of a connection on this machine?
fn is_here(local: SocketAddr, peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback() || local.ip() == peer.ip()
}

impl Connection {
    /// Is it known where both ends are, and does the policy of the place where the server listens let them meet? The first calls do
    /// not ask: a connection that makes no more than those costs no call of the kernel's more than without us.
    fn may_meet(self, fd: c_int, calls_before: u32) -> bool {
        if calls_before < CALLS_UNPLACED {
            return false;
        }
        if self.has_flag(PLACED) {
            return true;
        }
        let Some((local, peer)) = self.ends(fd) else { return false };
        self.note(local, peer);
        let is_client = self.row.is_client.load(Ordering::Relaxed) == 1;
        let (role, place) = if is_client { (Role::Client, peer) } else { (Role::Server, local) };
        let is_here = is_here(local, peer);
        let is_shared = !is_here && shared::directory().is_some();
        let (policy, reason) = match is_here || is_shared {
            true => (name::policy(role, place), Reason::Policy),
            false => (name::policy_elsewhere(role, place), Reason::Elsewhere),
        };
        if policy == Use::Tcp {
            self.stay(reason);
            return false;
        }
        if waits_for_several(fd) || option::number(fd, libc::SO_TIMESTAMPING) != Some(0) {
            self.stay(Reason::Option);
            return false;
        }
        self.set_flag(SHARED, is_shared);
        self.set_flag(RELAYED, !is_here && !is_shared);
        self.set_flag(PLACED, true);
        true
    }

    /// The directory where its ends meet, if it is one where they do.
    fn within(self) -> Option<Directory> {
        shared::directory().filter(|_| self.has_flag(SHARED))
    }

    /// Is the one at the other end of a Unix socket whoever holds the peer's TCP socket?
    fn is_peer(self, fd: c_int, stream: c_int) -> bool {
        let holder = match self.within() {
            Some(directory) => Some(directory.owner),
            None => self.ends(fd).and_then(|(local, peer)| identity::holder(peer, local)),
        };
        holder.is_some() && identity::carrier(stream) == holder
    }

    /// The program is about to send so many bytes. Who sends again has a conversation, of which the peer may come to take part.
    pub(super) fn advance_to_send(self, fd: c_int, len: usize) {
        self.expect_peer(fd, weight(len), CALLS_TO_SEND);
        self.advance(fd);
    }

    /// The program is about to receive. Who receives ever more has one too.
    pub(super) fn advance_to_receive(self, fd: c_int) {
        self.expect_peer(fd, 1, CALLS_TO_RECEIVE);
        self.advance(fd);
    }

    /// Opens the door once so many calls were made: a connection for one question and its answer is better off without.
    fn expect_peer(self, fd: c_int, weight: u32, after: u32) {
        if self.phase() != Phase::Waiting || self.bell_or_door() {
            return;
        }
        let before = self.count(weight);
        if !self.may_meet(fd, before) || before < after {
            return;
        }
        let Some((from, to)) = self.ends(fd) else { return };
        let Some(_guard) = self.guard() else { return };
        if self.bell_or_door() {
            return;
        }
        if self.has_flag(RELAYED) {
            return self.claim_from_relay(Role::Client, from, to);
        }
        let within = self.within();
        if within.is_none() && !rendezvous::is_marked(to) {
            return self.stay(Reason::Listener);
        }
        match rendezvous::open_door(from, to, within) {
            None => self.stay(Reason::Room),
            Some(door) => self.own.door.store(door + 1, Ordering::Release),
        }
    }

    /// The peer has knocked, or may knock.
    pub(super) fn bell_or_door(self) -> bool {
        self.bell().is_some() || self.door().is_some()
    }

    /// The program has received so many bytes by TCP.
    pub(super) fn moved_by_receiving(self, fd: c_int, len: usize) {
        self.moved(fd, len, FIRST_CALL);
    }

    /// The program has sent so many bytes by TCP.
    pub(super) fn moved_by_sending(self, fd: c_int, len: usize) {
        self.moved(fd, len, FIRST_CALL_OF_SENDER);
    }

    /// Knocks after the first call that is one for it, and then ever more seldom.
    fn moved(self, fd: c_int, len: usize, first: u32) {
        self.claim();
        let before = self.count(weight(len));
        let calls = before.saturating_add(weight(len));
        if !self.may_meet(fd, before) {
            return;
        }
        if self.has_flag(RELAYED) {
            self.call_relay(fd, calls >= first);
        } else if is_due(before, calls, first) {
            self.call_peer(fd, calls >= LAST_CALL);
        }
    }

    /// Counts a call; the answer is how many there were before.
    fn count(self, weight: u32) -> u32 {
        self.row.calls.fetch_add(weight, Ordering::Relaxed)
    }

    /// Has anybody knocked? Asked at the first calls, and then ever more seldom.
    pub(super) fn look_for_peer(self, fd: c_int) {
        let tries = self.row.tries.fetch_add(1, Ordering::Relaxed);
        // Who knocked brings the memory in a moment; a relay may take long, or for ever.
        let is_soon = self.bell().is_some() && !self.has_flag(RELAYED);
        if !is_soon && tries > EAGER_TRIES && !tries.is_power_of_two() {
            return;
        }
        // Nobody said that the listener would come.
        if self.bell().is_none() && self.has_flag(SHARED) && tries >= LAST_CALL {
            return self.stay(Reason::Peer);
        }
        if !self.is_sole() {
            // Children that run another program lose it a moment later; who still has it after some calls more will keep it.
            if tries > EAGER_TRIES {
                self.stay(Reason::Shared);
            }
            return;
        }
        let Some(_guard) = self.guard() else { return };
        if let Some(bell) = self.bell() {
            return self.take_memory(fd, bell);
        }
        let Some(door) = self.door() else { return };
        for stream in rendezvous::answers(door) {
            // Anybody may knock; the one who does not belong here goes, and is followed by the one who does.
            if !self.is_peer(fd, stream) {
                // SAFETY: it was let in above.
                unsafe { next::close(stream) };
                continue;
            }
            let Some(bell) = private::keep(stream) else { return self.stay(Reason::Room) };
            self.own.bell.store(bell + 1, Ordering::Release);
            return self.take_memory(fd, bell);
        }
    }

    /// The one who knocked brings the memory, a moment after.
    pub(super) fn take_memory(self, fd: c_int, bell: c_int) {
        match memory::take(bell) {
            Given::Nothing => {}
            Given::Refused => {
                self.own.bell.store(0, Ordering::Release);
                private::close(bell);
                self.stay(Reason::Peer);
            }
            Given::Memory(memory) => self.adopt(fd, bell, memory, Phase::Waiting),
        }
    }

    /// Knocks at the peer's door, if there is one yet.
    fn call_peer(self, fd: c_int, is_last: bool) {
        if !self.is_sole() {
            if is_last {
                self.stay(Reason::Shared);
            }
            return;
        }
        if !self.step(Phase::Accepted, Phase::Calling) {
            return;
        }
        // Who waits for TCP alone would not see what comes by the carrier.
        if self.row.waiters.load(Ordering::SeqCst) > 0 {
            self.step(Phase::Calling, Phase::Accepted);
            return;
        }
        let Some((local, peer)) = self.ends(fd) else { return self.stay(Reason::System) };
        let Some(stream) = rendezvous::knock(peer, local, self.within()) else {
            if is_last {
                return self.stay(Reason::Peer);
            }
            self.step(Phase::Calling, Phase::Accepted);
            return;
        };
        if !self.is_peer(fd, stream) {
            // SAFETY: it was opened above.
            unsafe { next::close(stream) };
            return self.stay(Reason::Identity);
        }
        let Some(bell) = private::keep(stream) else { return self.stay(Reason::Room) };
        let Some((memory, file)) = Memory::create() else {
            private::close(bell);
            return self.stay(Reason::Room);
        };
        let is_given = memory::give(bell, file);
        // SAFETY: it was opened above; the mapping outlives it.
        unsafe { next::close(file) };
        if is_given {
            return self.adopt(fd, bell, memory, Phase::Calling);
        }
        // SAFETY: nobody else knows it.
        unsafe { memory.unmap() };
        private::close(bell);
        self.stay(Reason::Peer);
    }

    /// Both ends have met, and share this memory.
    pub(super) fn adopt(self, fd: c_int, bell: c_int, memory: Memory, from: Phase) {
        // SAFETY: it takes numbers alone.
        let flags = unsafe { next::fcntl(fd, F_GETFL, 0) };
        self.set_flag(NON_BLOCKING, flags >= 0 && flags & O_NONBLOCK != 0);
        let place = position::read(fd);
        self.row.place.store(place.unwrap_or(0), Ordering::SeqCst);
        self.row.receive.store(Receive::Either as u32, Ordering::SeqCst);
        self.own.memory.store(memory.base(), Ordering::Release);
        self.own.bell.store(bell + 1, Ordering::Release);
        if place.is_none() || !self.step(from, Phase::Met) {
            self.own.bell.store(0, Ordering::Release);
            self.own.memory.store(null_mut(), Ordering::Release);
            private::close(bell);
            // SAFETY: nobody looks at the memory of who has not met.
            unsafe { memory.unmap() };
            return self.stay(Reason::System);
        }
        HAS_ANY_MET.store(true, Ordering::Release);
        self.close_door();
        if let Some(header) = rows::header() {
            header.carried.fetch_add(1, Ordering::Relaxed);
        }
        registry::changed(self);
    }

    pub(super) fn ends(self, fd: c_int) -> Option<(SocketAddr, SocketAddr)> {
        Some((address::local(fd)?, address::peer(fd)?))
    }

    fn note(self, local: SocketAddr, peer: SocketAddr) {
        let ports = u32::from(peer.port()) << 16 | u32::from(local.port());
        self.row.ports.store(ports, Ordering::Relaxed);
        for (place, at) in [(&self.row.local, local), (&self.row.peer, peer)] {
            let bits = address::bits(at.ip());
            place[0].store((bits >> 64) as u64, Ordering::Relaxed);
            place[1].store(bits as u64, Ordering::Relaxed);
        }
    }
}

/// A socket that listens says so; it is no connection any more.
pub fn listens(fd: c_int) {
    let Some(connection) = Connection::of(fd) else { return };
    let Some(at) = address::local(fd) else { return };
    if name::policy(Role::Server, at) == Use::Tcp {
        return connection.stay(Reason::Policy);
    }
    connection.released(fd);
    let _: bool = mark(fd, at);
}

/// Says of a socket that listens, and that another program gave to this one, that it is one of ours; false if the policy does not want
/// that.
pub fn inherits(fd: c_int) -> bool {
    let at = address::local(fd).filter(|&at| name::policy(Role::Server, at) != Use::Tcp);
    at.is_some_and(|at| mark(fd, at))
}

/// Where another process has the mark of the same place, it stands for both.
fn mark(fd: c_int, at: SocketAddr) -> bool {
    let is_of_six_alone = at.ip() == Ipv6Addr::UNSPECIFIED && option::is_of_six_alone(fd);
    let place = if is_of_six_alone { Listening::AtAllOfSix(at.port()) } else { Listening::At(at) };
    let mark = rendezvous::mark(place).unwrap_or(0);
    descriptors::hold_mark(mark);
    descriptors::set(fd, Entry::Listener(mark))
}

/// For how many calls one counts that moves so many bytes: who moves many in few calls is better off the sooner both ends meet.
fn weight(len: usize) -> u32 {
    u32::try_from(1 + len / LONG).unwrap_or(LAST_CALL).min(LAST_CALL)
}

/// Is it time to knock? When the first call that is one for it has been made, and each time that twice as many were.
fn is_due(before: u32, calls: u32, first: u32) -> bool {
    calls >= first && (before < first || before.ilog2() < calls.ilog2())
}

/// Some connection of this process has met its peer.
static HAS_ANY_MET: AtomicBool = AtomicBool::new(false);

/// Has any connection of this process ever met its peer?
pub fn has_any_met() -> bool {
    HAS_ANY_MET.load(Ordering::Acquire)
}

/// Calls that look for the peer one after the other.
pub(super) const EAGER_TRIES: u32 = 6;
/// Calls before anybody asks where both ends are: one fewer than the first that knocks or opens has before it.
const CALLS_UNPLACED: u32 = 5;
/// Calls before a client that sends opens its door, and before one that receives does.
const CALLS_TO_SEND: u32 = 6;
const CALLS_TO_RECEIVE: u32 = 256;
/// The call of a server's after which it knocks for the first time: the fourth question. To meet costs as much as a few answers by TCP.
const FIRST_CALL: u32 = 7;
/// The same where it sends alone: what a megabyte or two take is not worth it.
const FIRST_CALL_OF_SENDER: u32 = 32;
/// Nobody has opened by now.
const LAST_CALL: u32 = 4096;
/// Bytes that take as long as a call that moves few.
const LONG: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there_is_asked_for_ever_more_seldom() {
        let due = |len: usize, first: u32| {
            let each = weight(len);
            let is_due = move |&calls: &u32| is_due(calls - each, calls, first);
            (1..500).map(move |call| call * each).filter(is_due)
        };
        assert!(due(1, FIRST_CALL).eq([7, 8, 16, 32, 64, 128, 256]));
        assert!(due(1, FIRST_CALL_OF_SENDER).eq([32, 64, 128, 256]));
        let megabytes: Vec<u32> = due(1 << 20, FIRST_CALL).map(|calls| calls / weight(1 << 20)).collect();
        assert_eq!(megabytes[..6], [1, 2, 4, 8, 15, 29]);
        assert_eq!(weight(usize::MAX), LAST_CALL);
    }
}
