//! Whose socket the peer's is, as the kernel knows it.
//!
//! A name can be taken by anyone. So whoever comes to carry a connection must be the user who holds the socket at its other
//! end, which the kernel tells of a TCP socket by its addresses (`sock_diag`), and of a Unix socket by its credentials.

use crate::{address, next, option};
use libc::{AF_INET, AF_INET6, AF_NETLINK, IPPROTO_TCP, SO_PEERCRED, SOCK_CLOEXEC, SOCK_RAW, c_int, ucred};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

/// The user who holds the TCP socket at one address that is connected to another.
pub fn holder(at: SocketAddr, connected_to: SocketAddr) -> Option<u32> {
    // SAFETY: it takes three numbers.
    let fd = unsafe { next::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) };
    if fd < 0 {
        return None;
    }
    let user = ask(fd, &request(at, connected_to));
    // SAFETY: it was opened above.
    unsafe { next::close(fd) };
    user
}

/// The user at the other end of a Unix socket.
pub fn carrier(fd: c_int) -> Option<u32> {
    // SAFETY: any bytes are three numbers.
    let who = unsafe { option::of_socket(fd, SO_PEERCRED, ucred { pid: 0, uid: u32::MAX, gid: u32::MAX }) };
    who.map(|who| who.uid).filter(|&user| Some(user) != anybody())
}

/// The number that the kernel gives to all who have none in our user namespace (user_namespaces(7)), if there may be any.
static ANYBODY: OnceLock<Option<u32>> = OnceLock::new();

/// Finds out which that is, while there is one thread.
pub fn begin() {
    anybody();
}

fn anybody() -> Option<u32> {
    *ANYBODY.get_or_init(|| {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let number = || fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok();
        (!has_all(&map)).then(|| number().unwrap_or(OVERFLOW))
    })
}

/// Does a user namespace have a number for everybody?
fn has_all(map: &str) -> bool {
    map.split_whitespace().nth(2) == Some("4294967295")
}

/// `struct nlmsghdr`, `struct inet_diag_req_v2`: one socket, found by its addresses.
fn request(at: SocketAddr, connected_to: SocketAddr) -> [u8; REQUEST_LEN] {
    let mut request = [0; REQUEST_LEN];
    let mut put = |place: usize, bytes: &[u8]| request[place..place + bytes.len()].copy_from_slice(bytes);
    put(0, &(REQUEST_LEN as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    let family = if at.is_ipv4() { AF_INET } else { AF_INET6 };
    put(16, &[family as u8, IPPROTO_TCP as u8]);
    put(20, &u32::MAX.to_ne_bytes()); // in any state
    put(24, &at.port().to_be_bytes());
    put(26, &connected_to.port().to_be_bytes());
    for (place, ip) in [(28, at.ip()), (44, connected_to.ip())] {
        match ip {
            IpAddr::V4(ip) => put(place, &ip.octets()),
            IpAddr::V6(ip) => put(place, &address::bits(ip.into()).to_be_bytes()),
        }
    }
    put(64, &u64::MAX.to_ne_bytes()); // with any cookie
    request
}

fn ask(fd: c_int, request: &[u8]) -> Option<u32> {
    let mut answer = [0u8; 512];
    // SAFETY: both are memory of ours, of the lengths given; the kernel answers such a request before the call returns.
    let len = unsafe {
        let sent = next::send(fd, request.as_ptr().cast(), request.len(), 0);
        if sent != request.len() as isize {
            return None;
        }
        next::recv(fd, answer.as_mut_ptr().cast(), answer.len(), libc::MSG_DONTWAIT)
    };
    let answer = answer.get(..usize::try_from(len).ok()?)?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let user = answer.get(USER..USER + 4)?;
    (kind == SOCK_DIAG_BY_FAMILY).then_some(u32::from_ne_bytes(user.try_into().ok()?))
}

const NETLINK_SOCK_DIAG: c_int = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const REQUEST_LEN: usize = 72;
/// That number, where nobody has changed it.
const OVERFLOW: u32 = 65_534;
/// Where the user stands in an answer: behind the header, 4 bytes, the addresses, and three words.
const USER: usize = 16 + 4 + 48 + 12;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn who_may_be_anybody_is_nobody() {
        assert!(has_all("         0          0 4294967295\n"));
        assert!(
            !has_all("         0       1000          1\n         1     100000      65536\n") && !has_all("")
        );
    }

    #[test]
    fn our_own_sockets_are_ours() {
        // SAFETY: it takes nothing.
        let me = Some(unsafe { libc::geteuid() });
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(place) else { continue };
            let here = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
            let (there, _) = listener.accept().expect("the other end");
            let (client, server) = (here.local_addr().expect("one"), there.local_addr().expect("another"));
            assert_eq!(holder(client, server), me);
            assert_eq!(holder(server, client), me);
            let nobody = SocketAddr::new(client.ip(), 1);
            assert_eq!(holder(nobody, server), None);
        }
        let (one, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(carrier(one.as_raw_fd()), me);
    }
}
