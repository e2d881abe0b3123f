//! The way to the user's relay, which carries connections to other hosts: `weft relay`.
//!
//! It is found by a name, as peers are, and believed if it is the user we are. What is said to it is in [`launch::claim`].

use crate::{identity, next, private, rendezvous};
use launch::Role;
use launch::claim::{Claim, relay_name};
use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_SEQPACKET, c_int};
use std::net::SocketAddr;

/// Is there one?
pub fn is_there() -> bool {
    let Some(fd) = reach() else { return false };
    // SAFETY: it was opened for us a moment ago, and nobody else knows it.
    unsafe { next::close(fd) };
    true
}

/// Says that we have this end of a connection; the answer is the bell.
pub fn claim(role: Role, local: SocketAddr, peer: SocketAddr) -> Option<c_int> {
    let fd = reach()?;
    let bytes = Claim { role, local, peer }.to_bytes();
    // SAFETY: as many bytes are there.
    let sent = unsafe { next::send(fd, bytes.as_ptr().cast(), bytes.len(), MSG_DONTWAIT | MSG_NOSIGNAL) };
    if sent == bytes.len() as isize {
        return private::keep(fd);
    }
    // SAFETY: as above.
    unsafe { next::close(fd) };
    None
}

fn reach() -> Option<c_int> {
    // SAFETY: it takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    let fd = rendezvous::reach(SOCK_SEQPACKET, &relay_name(user))?;
    if identity::carrier(fd) == Some(user) {
        return Some(fd);
    }
    // SAFETY: as above.
    unsafe { next::close(fd) };
    None
}
