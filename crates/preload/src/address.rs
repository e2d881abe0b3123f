//! Addresses between the C library's form and ours: all as IPv6, mapped where they are IPv4.

use libc::{AF_INET, AF_INET6, c_int, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Our end of a socket.
pub fn local(fd: c_int) -> Option<SocketAddr> {
    // SAFETY: it writes at most as many bytes as it is told the place has.
    ask(|place, len| unsafe { libc::getsockname(fd, place, len) })
}

/// The peer's end.
pub fn peer(fd: c_int) -> Option<SocketAddr> {
    // SAFETY: as above.
    ask(|place, len| unsafe { libc::getpeername(fd, place, len) })
}

/// An address that the program gave, if it is one of the internet.
///
/// # Safety
/// `len` bytes are there.
pub unsafe fn given(address: *const sockaddr, len: socklen_t) -> Option<SocketAddr> {
    if address.is_null() || (len as usize) < size_of::<sockaddr_in>() {
        return None;
    }
    // SAFETY: the caller has at least as many bytes as the smaller of both has.
    let family = c_int::from(unsafe { address.cast::<libc::sa_family_t>().read_unaligned() });
    match family {
        AF_INET => {
            // SAFETY: as many bytes are there, of a type that any bytes are a value of.
            let address = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(address.sin_port)))
        }
        AF_INET6 if len as usize >= size_of::<sockaddr_in6>() => {
            // SAFETY: as above.
            let address = unsafe { address.cast::<sockaddr_in6>().read_unaligned() };
            let ip = IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)).to_canonical();
            Some(SocketAddr::new(ip, u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}

/// An address as 128 bits.
pub fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn ask(question: impl FnOnce(*mut sockaddr, *mut socklen_t) -> c_int) -> Option<SocketAddr> {
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut place: sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<sockaddr_storage>() as socklen_t;
    if question((&raw mut place).cast(), &mut len) != 0 {
        return None;
    }
    // SAFETY: the kernel wrote `len` bytes, of at most as many as there are.
    unsafe { given((&raw const place).cast(), len.min(size_of::<sockaddr_storage>() as socklen_t)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_tells_its_address() {
        for text in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(text) else { continue };
            assert_eq!(local(listener.as_raw_fd()), listener.local_addr().ok());
            assert_eq!(peer(listener.as_raw_fd()), None);
        }
    }

    #[test]
    fn what_is_too_short_is_no_address() {
        let bytes = [AF_INET6 as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: as many bytes are there.
        let read = |len| unsafe { given(bytes.as_ptr().cast(), len) };
        assert_eq!((read(16), read(4), read(0)), (None, None, None));
    }
}
