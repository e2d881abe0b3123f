//! How both ends meet: see [`super`].

use super::Connection;
use super::change::Receive;
use crate::descriptors::{self, Entry};
use crate::watch::registry;
use crate::{address, identity, name, next, position, private, rendezvous, rows};
use core::ffi::c_void;
use launch::page::Phase;
use launch::{Reason, Role, Use};
use libc::{F_GETFL, F_SETFL, O_NONBLOCK, SO_RCVBUF, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO, SOL_SOCKET, c_int};
use std::mem::size_of;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// Would a client rather have no connection than this one? Asked before it connects.
pub fn is_refused(to: SocketAddr) -> bool {
    name::policy(Role::Client, to) == Use::Sdp && !rendezvous::is_marked(to.port())
}

/// The program connected a socket, or began to.
pub fn connected(fd: c_int, to: SocketAddr) {
    let Some(connection) = Connection::of(fd).filter(|connection| connection.phase() == Phase::Fresh) else {
        return;
    };
    let Some(from) = address::local(fd) else { return };
    connection.row.is_client.store(1, Ordering::Relaxed);
    connection.note(from, to);
    if !is_here(from, to) {
        return connection.stay(Reason::Elsewhere);
    }
    if name::policy(Role::Client, to) == Use::Tcp {
        return connection.stay(Reason::Policy);
    }
    if !rendezvous::is_marked(to.port()) {
        return connection.stay(Reason::Listener);
    }
    match rendezvous::open_door(from, to) {
        None => connection.stay(Reason::Room),
        Some(door) => {
            connection.own.door.store(door + 1, Ordering::Release);
            connection.set_phase(Phase::Waiting);
        }
    }
}

/// The program accepted a connection.
pub fn accepted(fd: c_int) {
    let (Some(at), Some(from)) = (address::local(fd), address::peer(fd)) else { return };
    let Some(connection) = Connection::begin(fd) else { return };
    connection.note(at, from);
    if !is_here(at, from) {
        connection.stay(Reason::Elsewhere);
    } else if name::policy(Role::Server, at) == Use::Tcp {
        connection.stay(Reason::Policy);
    } else {
        connection.set_phase(Phase::Accepted);
    }
}

/// Are both ends of a connection on this machine?
fn is_here(local: SocketAddr, peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback() || local.ip() == peer.ip()
}

impl Connection {
    /// Has anybody knocked? Asked at the first calls, and then ever more seldom.
    pub(super) fn look_for_peer(self, fd: c_int) {
        let tries = self.row.tries.fetch_add(1, Ordering::Relaxed);
        if tries > EAGER_TRIES && !tries.is_power_of_two() {
            return;
        }
        if !self.is_sole() {
            return self.stay(Reason::Shared);
        }
        let Some(_guard) = self.guard() else { return };
        let (Some(door), Some((local, peer))) = (self.door(), self.ends(fd)) else { return };
        while let Some(stream) = rendezvous::answer(door) {
            // Anybody may knock; the one who does not belong here goes, and is followed by the one who does.
            if identity::carrier(stream).is_some_and(|user| identity::holder(peer, local) == Some(user)) {
                return self.adopt(fd, stream, Phase::Waiting);
            }
            // SAFETY: it was let in above.
            unsafe { next::close(stream) };
        }
    }

    /// The first bytes were read: knocks at the peer's door.
    pub(super) fn call_peer(self, fd: c_int) {
        if !self.is_sole() {
            return self.stay(Reason::Shared);
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
        let Some(stream) = rendezvous::knock(peer, local) else { return self.stay(Reason::Peer) };
        if identity::carrier(stream).is_none_or(|user| identity::holder(peer, local) != Some(user)) {
            // SAFETY: it was opened above.
            unsafe { next::close(stream) };
            return self.stay(Reason::Identity);
        }
        self.adopt(fd, stream, Phase::Calling);
    }

    /// Both ends have met over this socket.
    fn adopt(self, fd: c_int, stream: c_int, from: Phase) {
        let Some(carrier) = private::keep(stream) else { return self.stay(Reason::Room) };
        let Some(place) = position::read(fd) else {
            private::close(carrier);
            return self.stay(Reason::System);
        };
        self.row.place.store(place, Ordering::SeqCst);
        prepare(fd, carrier);
        self.row.receive.store(Receive::Either as u32, Ordering::SeqCst);
        self.own.carrier.store(carrier + 1, Ordering::Release);
        if !self.step(from, Phase::Met) {
            self.own.carrier.store(0, Ordering::Release);
            return private::close(carrier);
        }
        self.close_door();
        if let Some(header) = rows::header() {
            header.carried.fetch_add(1, Ordering::Relaxed);
        }
        registry::changed(self);
    }

    fn ends(self, fd: c_int) -> Option<(SocketAddr, SocketAddr)> {
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
    // Where another process of the same port has the mark, it stands for both.
    descriptors::set(fd, Entry::Listener(rendezvous::mark(at.port()).unwrap_or(0)));
}

/// Gives the carrier what the program chose for its socket.
fn prepare(fd: c_int, carrier: c_int) {
    // SAFETY: both descriptors are open; the second command takes flags.
    unsafe {
        let flags = next::fcntl(fd, F_GETFL, 0);
        if flags >= 0 {
            next::fcntl(carrier, F_SETFL, (flags & O_NONBLOCK) as libc::c_ulong);
        }
    }
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        copy_timeout(fd, carrier, option);
    }
    for option in [SO_SNDBUF, SO_RCVBUF] {
        let place = (&raw const BUFFER).cast::<c_void>();
        // SAFETY: an integer is there.
        unsafe {
            next::setsockopt(carrier, SOL_SOCKET, option, place, size_of::<c_int>() as libc::socklen_t)
        };
    }
}

fn copy_timeout(fd: c_int, carrier: c_int, option: c_int) {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut len = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: the place is as long as is said, for the first to write and the second to read.
    unsafe {
        if next::getsockopt(fd, SOL_SOCKET, option, (&raw mut time).cast::<c_void>(), &mut len) == 0 {
            next::setsockopt(carrier, SOL_SOCKET, option, (&raw const time).cast::<c_void>(), len);
        }
    }
}

/// Calls that look for the peer one after the other.
const EAGER_TRIES: u32 = 32;
/// Bytes on their way in a carrier; the system may allow fewer.
static BUFFER: c_int = 4 << 20;
