//! Who listens where on this machine: names of links, and what is said over one.
//!
//! A listener waits for links under the name of its address. Whoever connects asks there for the address of the device that
//! serves it; if nobody has the name, the peer is elsewhere, or does not speak our protocol.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use stdx::env::LinkName;

/// The name of a listener's address.
pub(crate) fn name(address: SocketAddr) -> LinkName {
    LinkName::new(&format!("weft-sdp/{address}"))
}

/// The names under which someone may listen who is to be reached at an address of this machine.
pub(crate) fn names(address: SocketAddr) -> [LinkName; 2] {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    [name(address), name(SocketAddr::new(any, address.port()))]
}

/// What a listener answers: where its device is, and the port there.
pub(crate) fn encode(route: SocketAddr) -> [u8; ANSWER_LEN] {
    let mut bytes = [0; ANSWER_LEN];
    let (version, address) = bytes[..FRONT + 16].split_at_mut(FRONT);
    version.copy_from_slice(MAGIC);
    address.copy_from_slice(&match route.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    });
    bytes[FRONT + 16..].copy_from_slice(&route.port().to_le_bytes());
    bytes
}

/// The same, read; `None` if it is no answer.
pub(crate) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (address, port) = rest.split_first_chunk::<16>()?;
    let port = u16::from_le_bytes(port.try_into().ok()?);
    Some(SocketAddr::new(Ipv6Addr::from(*address).to_canonical(), port))
}

/// What it is, and its version.
const MAGIC: &[u8; FRONT] = b"weftsdp\x01";
const FRONT: usize = 8;
/// Bytes of an answer.
pub(crate) const ANSWER_LEN: usize = FRONT + 16 + 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_what_was_said() {
        for route in ["127.9.8.7:5000", "[fd00::1]:80"] {
            let route: SocketAddr = route.parse().expect("an address");
            let answer = encode(route);
            assert_eq!(decode(&answer), Some(route));
            assert_eq!(decode(&answer[1..]), None);
            assert_eq!(decode(&answer[..ANSWER_LEN - 1]), None);
        }
    }

    #[test]
    fn who_listens_everywhere_is_found_too() {
        let names = names("[::1]:80".parse().expect("an address"));
        assert_eq!(names.each_ref().map(LinkName::as_str), ["weft-sdp/[::1]:80", "weft-sdp/[::]:80"]);
    }
}
