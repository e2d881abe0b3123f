//! How both ends of a TCP connection find each other: Unix sockets with abstract names.
//!
//! Such names belong to a network namespace, as TCP's addresses do, so whoever finds one is where the connection is.
//! *A mark*, named by a port, says that who listens there runs under Weft. *A door*, named by all four addresses and ports
//! of a connection, is opened by the end that connected once a few calls were made on it, and knocked at by the end
//! that accepted, whichever process that is. A name shows nothing of who took it: [`identity`] does.
//!
//! [`identity`]: crate::identity

use crate::{address, next, private};
use libc::{AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, c_int, sockaddr_un, socklen_t};
use std::mem::{offset_of, zeroed};
use std::net::SocketAddr;
use std::ptr::null_mut;

/// Says that this port's listener is one of ours. Somebody else may have said so already, which is as good.
pub fn mark(port: u16) -> Option<c_int> {
    let fd = open(SOCK_DGRAM)?;
    if bind(fd, &mark_name(port)) {
        return private::keep(fd);
    }
    discard(fd)
}

/// Is this port's listener one of ours?
pub fn is_marked(port: u16) -> bool {
    let Some(fd) = open(SOCK_DGRAM) else { return false };
    let is_there = connect(fd, &mark_name(port));
    let _: Option<c_int> = discard(fd);
    is_there
}

/// Opens the door of a connection from one address to another.
pub fn open_door(from: SocketAddr, to: SocketAddr) -> Option<c_int> {
    let fd = open(SOCK_STREAM)?;
    // SAFETY: it takes two numbers.
    if bind(fd, &door_name(from, to)) && unsafe { next::listen(fd, BACKLOG) } == 0 {
        return private::keep(fd);
    }
    discard(fd)
}

/// Lets in the next one who knocked.
fn answer(door: c_int) -> Option<c_int> {
    // SAFETY: an address that nobody asks for may be null.
    let fd = unsafe { next::accept4(door, null_mut(), null_mut(), SOCK_NONBLOCK | SOCK_CLOEXEC) };
    (fd >= 0).then_some(fd)
}

/// Lets in those who have knocked, one after the other, and no more than can have waited there: strangers who knock for ever are let in
/// at other calls.
pub fn answers(door: c_int) -> impl Iterator<Item = c_int> {
    (0..=BACKLOG).map_while(move |_| answer(door))
}

/// Knocks at the door of a connection from one address to another.
pub fn knock(from: SocketAddr, to: SocketAddr) -> Option<c_int> {
    reach(SOCK_STREAM, &door_name(from, to))
}

/// Goes to who listens under a name.
pub fn reach(kind: c_int, name: &[u8]) -> Option<c_int> {
    let fd = open(kind)?;
    if connect(fd, name) { Some(fd) } else { discard(fd) }
}

/// A name in the abstract namespace: the zero before it is not part of it here.
type Name = Vec<u8>;

fn mark_name(port: u16) -> Name {
    format!("weft/1/listens/{port}").into_bytes()
}

fn door_name(from: SocketAddr, to: SocketAddr) -> Name {
    let place = |at: SocketAddr| format!("{:032x}.{}", address::bits(at.ip()), at.port());
    format!("weft/1/{}/{}", place(from), place(to)).into_bytes()
}

fn open(kind: c_int) -> Option<c_int> {
    // SAFETY: it takes three numbers.
    let fd = unsafe { next::socket(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
    (fd >= 0).then_some(fd)
}

fn discard(fd: c_int) -> Option<c_int> {
    // SAFETY: it was opened here, and nobody else knows it.
    unsafe { next::close(fd) };
    None
}

fn bind(fd: c_int, name: &[u8]) -> bool {
    let (address, len) = unix(name);
    // SAFETY: as many bytes are there.
    unsafe { libc::bind(fd, (&raw const address).cast(), len) == 0 }
}

fn connect(fd: c_int, name: &[u8]) -> bool {
    let (address, len) = unix(name);
    // SAFETY: as many bytes are there.
    unsafe { next::connect(fd, (&raw const address).cast(), len) == 0 }
}

fn unix(name: &[u8]) -> (sockaddr_un, socklen_t) {
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut address: sockaddr_un = unsafe { zeroed() };
    address.sun_family = AF_UNIX as libc::sa_family_t;
    // The path begins with a zero, which makes the name an abstract one.
    for (place, &byte) in address.sun_path[1..].iter_mut().zip(name) {
        *place = byte.cast_signed() as libc::c_char;
    }
    (address, (offset_of!(sockaddr_un, sun_path) + 1 + name.len()) as socklen_t)
}

/// Strangers may knock as well; who belongs there finds room or stays on TCP.
const BACKLOG: c_int = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_is_found_by_its_four_addresses_alone() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (from, to) = (at("127.0.0.9:1001"), at("127.0.0.9:7"));
        assert_eq!(knock(from, to), None);
        let door = open_door(from, to).expect("a door");
        assert_eq!((answer(door), knock(to, from)), (None, None));
        let here = knock(from, to).expect("it is open");
        let there = answer(door).expect("somebody knocked");
        assert_eq!(open_door(from, to), None, "there is one already");
        for fd in [here, there] {
            let _: Option<c_int> = discard(fd);
        }
        private::close(door);
        assert_eq!(knock(from, to), None);
    }

    #[test]
    fn names_fit_where_names_go() {
        let longest: SocketAddr = "[ffff::ffff]:65535".parse().expect("an address");
        assert!(door_name(longest, longest).len() < 107);
    }

    #[test]
    fn a_mark_is_seen_while_it_is_there() {
        assert!(!is_marked(1));
        let mark = mark(1).expect("nobody else listens there");
        assert!(is_marked(1));
        private::close(mark);
        assert!(!is_marked(1));
    }
}
