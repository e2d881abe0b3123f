//! How both ends of a TCP connection find each other: Unix sockets with names.
//!
//! Abstract names belong to a network namespace, as TCP's addresses do, so whoever finds one is where the connection is. Names in a
//! directory ([`shared`]) can be found from several namespaces, and whoever made it answers for the addresses being one network's.
//! *A mark*, named by an address and a port, says that who listens there runs under Weft; directories have none. *A door*, named by all four addresses and ports
//! of a connection, is opened by the end that connected once a few calls were made on it, and knocked at by the end
//! that accepted, whichever process that is. An abstract name shows nothing of who took it: [`identity`] does.
//!
//! [`identity`]: crate::identity
//! [`shared`]: crate::shared

use crate::shared::Directory;
use crate::{address, errno, next, private};
use launch::environment::DOOR;
use libc::{
    AF_UNIX, ECONNREFUSED, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, c_int, sockaddr_un,
    socklen_t,
};
use std::ffi::CStr;
use std::mem::{offset_of, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr::null_mut;

/// Where somebody listens: one address, or all of one family, or of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listening {
    /// At what its socket says: the unspecified IPv6 address takes connections by IPv4 too.
    At(SocketAddr),
    /// At all IPv6 addresses, at this port.
    AtAllOfSix(u16),
}

/// Says that who listens there is one of ours. Somebody else may have said so already, which is as good.
pub fn mark(place: Listening) -> Option<c_int> {
    let fd = open(SOCK_DGRAM)?;
    if bind(fd, &mark_name(place)) == 0 {
        return private::keep(fd);
    }
    discard(fd)
}

/// Is who listens there one of ours?
pub fn is_marked(to: SocketAddr) -> bool {
    let port = to.port();
    let all = Listening::At(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    let places = match to.ip().to_canonical() {
        // Who connects to no address in particular comes to this machine's own.
        IpAddr::V4(ip) => {
            let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST } else { ip };
            let of_four = Listening::At(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
            [Listening::At(SocketAddr::new(ip.into(), port)), of_four, all]
        }
        IpAddr::V6(ip) => {
            let ip = if ip.is_unspecified() { Ipv6Addr::LOCALHOST } else { ip };
            [Listening::At(SocketAddr::new(ip.into(), port)), all, Listening::AtAllOfSix(port)]
        }
    };
    let Some(fd) = open(SOCK_DGRAM) else { return false };
    let is_there = places.into_iter().any(|place| connect(fd, &mark_name(place)) == 0);
    let _: Option<c_int> = discard(fd);
    is_there
}

/// Opens the door of a connection from one address to another.
pub fn open_door(from: SocketAddr, to: SocketAddr, within: Option<Directory>) -> Option<c_int> {
    let fd = open(SOCK_STREAM)?;
    let name = door_name(from, to, within);
    // SAFETY: it takes two numbers.
    if (bind(fd, &name) == 0 || bind_anew(fd, &name)) && unsafe { next::listen(fd, BACKLOG) } == 0 {
        return private::keep(fd);
    }
    discard(fd)
}

/// Takes a name in a directory that outlived who had it.
fn bind_anew(fd: c_int, name: &[u8]) -> bool {
    let is_left = is_path(name) && connect(fd, name) == ECONNREFUSED;
    is_left && unlink(name) && bind(fd, name) == 0
}

/// Closes a door: nobody else has it.
pub fn close_door(door: c_int) {
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut address: sockaddr_un = unsafe { zeroed() };
    let mut len = size_of::<sockaddr_un>() as socklen_t;
    // SAFETY: it writes at most as many bytes as it is told the place has.
    if unsafe { libc::getsockname(door, (&raw mut address).cast(), &mut len) } == 0 {
        let path = address.sun_path.map(|byte| byte.to_ne_bytes()[0]);
        if is_path(&path) {
            unlink(&path);
        }
    }
    private::close(door);
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
pub fn knock(from: SocketAddr, to: SocketAddr, within: Option<Directory>) -> Option<c_int> {
    go(SOCK_STREAM, &door_name(from, to, within))
}

/// Goes to who listens under an abstract name.
pub fn reach(kind: c_int, name: &str) -> Option<c_int> {
    go(kind, &abstract_name(name))
}

fn go(kind: c_int, name: &[u8]) -> Option<c_int> {
    let fd = open(kind)?;
    if connect(fd, name) == 0 { Some(fd) } else { discard(fd) }
}

/// A socket's name: an abstract one begins with a zero, a path ends with one.
type Name = Vec<u8>;

fn abstract_name(name: &str) -> Name {
    format!("\0{name}").into_bytes()
}

fn is_path(name: &[u8]) -> bool {
    name.first().is_some_and(|&byte| byte != 0)
}

fn mark_name(at: Listening) -> Name {
    abstract_name(&match at {
        Listening::At(at) => format!("weft/1/listens/{}", place(at)),
        Listening::AtAllOfSix(port) => format!("weft/1/listens/six.{port}"),
    })
}

fn place(at: SocketAddr) -> String {
    format!("{:032x}.{}", address::bits(at.ip()), at.port())
}

fn door_name(from: SocketAddr, to: SocketAddr, within: Option<Directory>) -> Name {
    let (from, to) = (place(from), place(to));
    match within {
        None => abstract_name(&format!("weft/1/{from}/{to}")),
        // Short enough for a socket's name wherever the directory is, and found under another root too.
        Some(Directory { fd, .. }) => format!("/proc/self/fd/{fd}/{DOOR}{from}-{to}\0").into_bytes(),
    }
}

/// The name is a path's, with its zero.
fn unlink(name: &[u8]) -> bool {
    // SAFETY: it takes the C string that is found there.
    CStr::from_bytes_until_nul(name).is_ok_and(|path| unsafe { libc::unlink(path.as_ptr()) } == 0)
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

/// The answer is 0, or why not.
fn bind(fd: c_int, name: &[u8]) -> c_int {
    let (address, len) = unix(name);
    // SAFETY: as many bytes are there.
    errno::of(unsafe { libc::bind(fd, (&raw const address).cast(), len) })
}

/// The answer is 0, or why not.
fn connect(fd: c_int, name: &[u8]) -> c_int {
    let (address, len) = unix(name);
    // SAFETY: as many bytes are there.
    errno::of(unsafe { next::connect(fd, (&raw const address).cast(), len) })
}

fn unix(name: &[u8]) -> (sockaddr_un, socklen_t) {
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut address: sockaddr_un = unsafe { zeroed() };
    address.sun_family = AF_UNIX as libc::sa_family_t;
    for (place, &byte) in address.sun_path.iter_mut().zip(name) {
        *place = byte.cast_signed() as libc::c_char;
    }
    (address, (offset_of!(sockaddr_un, sun_path) + name.len()) as socklen_t)
}

/// Strangers may knock as well; who belongs there finds room or stays on TCP.
const BACKLOG: c_int = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::DESCRIPTORS;
    use crate::shared;
    use std::ffi::CString;
    use std::os::unix::fs::DirBuilderExt;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_door_is_found_by_its_four_addresses_alone() {
        let (from, to) = (at("127.0.0.9:1001"), at("127.0.0.9:7"));
        let path = std::env::temp_dir().join(format!("weft-doors-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).expect("a new one");
        let name = CString::new(path.clone().into_os_string().into_encoded_bytes()).expect("no zeroes");
        let directory = shared::open(name).expect("it is ours");
        for within in [None, Some(directory)] {
            assert_eq!(knock(from, to, within), None);
            let door = open_door(from, to, within).expect("a door");
            assert_eq!((answer(door), knock(to, from, within)), (None, None));
            let here = knock(from, to, within).expect("it is open");
            let there = answer(door).expect("somebody knocked");
            assert_eq!(open_door(from, to, within), None, "there is one already");
            for fd in [here, there] {
                let _: Option<c_int> = discard(fd);
            }
            close_door(door);
            assert_eq!(knock(from, to, within), None);
        }
        // Who was killed leaves the name.
        private::close(open_door(from, to, Some(directory)).expect("a door"));
        assert_eq!(knock(from, to, Some(directory)), None);
        close_door(open_door(from, to, Some(directory)).expect("a door"));
        std::fs::remove_dir(&path).expect("it is empty");
        private::close(directory.fd);
    }

    #[test]
    fn names_fit_where_names_go() {
        let longest = at("[ffff::ffff]:65535");
        let directory = Directory { fd: DESCRIPTORS as c_int, owner: 0 };
        assert!(door_name(longest, longest, None).len() < 108);
        assert!(door_name(longest, longest, Some(directory)).len() < 108);
    }

    #[test]
    fn a_mark_is_seen_while_it_is_there_by_who_goes_there() {
        let marked = |place: Listening| {
            let all =
                ["127.0.0.1:1", "127.0.0.2:1", "0.0.0.0:1", "[::1]:1", "[::2]:1", "[::]:1", "127.0.0.1:2"];
            let mark = mark(place).expect("nobody else listens there");
            let seen = all.map(|to| is_marked(at(to)));
            private::close(mark);
            assert!(!all.iter().any(|to| is_marked(at(to))), "it is gone");
            seen.map(u8::from)
        };
        assert_eq!(marked(Listening::At(at("127.0.0.1:1"))), [1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(marked(Listening::At(at("127.0.0.2:1"))), [0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(marked(Listening::At(at("0.0.0.0:1"))), [1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(marked(Listening::At(at("[::1]:1"))), [0, 0, 0, 1, 0, 1, 0]);
        assert_eq!(marked(Listening::At(at("[::]:1"))), [1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(marked(Listening::AtAllOfSix(1)), [0, 0, 0, 1, 1, 1, 0]);
    }
}
