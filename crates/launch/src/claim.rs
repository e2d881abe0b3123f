//! What a program says to its user's relay of a connection whose peer is on another host, and what both say after.
//!
//! A program opens a Unix socket of messages to the relay, by [`relay_name`], and sends a [`Claim`]: which end of which TCP connection
//! it has. The relay either closes the socket, and the connection stays on TCP, or gives memory of `carrier`'s form, and the socket is the
//! bell from then on. A server says that it has taken the memory by ringing. Before the relay closes a bell because the
//! peer's program has closed its own, it says [`FAREWELL`]; a bell that ends without is a carrier that broke.

use crate::Role;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One end of a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Claim {
    /// Which end the program has.
    pub role: Role,
    /// Its address.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
}

/// Where a user's relay is found: a name in the abstract name space, which belongs to a network namespace as addresses do.
pub fn relay_name(user: u32) -> String {
    format!("weft/1/relay/{user}")
}

/// Bytes of a place: an address as IPv6 has it, and a port.
pub const PLACE_LEN: usize = 18;

/// An address and a port, as they are sent.
pub fn place_to_bytes(place: SocketAddr) -> [u8; PLACE_LEN] {
    let mut bytes = [0; PLACE_LEN];
    let ip = match place.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&place.port().to_be_bytes());
    bytes
}

/// The same, as it was received.
pub fn place_from_bytes(bytes: [u8; PLACE_LEN]) -> SocketAddr {
    let mut ip = [0; 16];
    ip.copy_from_slice(&bytes[..16]);
    SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([bytes[16], bytes[17]]))
}

impl Claim {
    /// Bytes of one.
    pub const LEN: usize = MAGIC.len() + 1 + 2 * PLACE_LEN;

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Claim::LEN] {
        let mut bytes = [0; Claim::LEN];
        let (magic, rest) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        rest[0] = u8::from(self.role == Role::Server);
        rest[1..=PLACE_LEN].copy_from_slice(&place_to_bytes(self.local));
        rest[1 + PLACE_LEN..].copy_from_slice(&place_to_bytes(self.peer));
        bytes
    }

    /// As it was received, if it is one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Claim> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (&role, places) = rest.split_first()?;
        let (local, peer) = places.split_at_checked(PLACE_LEN)?;
        let role = match role {
            0 => Role::Client,
            1 => Role::Server,
            _ => return None,
        };
        let place = |bytes: &[u8]| bytes.try_into().ok().map(place_from_bytes);
        Some(Claim { role, local: place(local)?, peer: place(peer)? })
    }
}

/// What a bell says of an end that was meant.
pub const FAREWELL: u8 = 2;

/// Another form of claims has another number.
const MAGIC: [u8; 8] = *b"weft/c1\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_understood() {
        for (role, local, peer) in
            [(Role::Client, "10.0.0.1:9", "10.0.0.2:65535"), (Role::Server, "[fd00::1]:1", "[fd00::2]:2")]
        {
            let [local, peer] = [local, peer].map(|text| text.parse().expect("a place"));
            let claim = Claim { role, local, peer };
            let bytes = claim.to_bytes();
            assert_eq!(Claim::from_bytes(&bytes), Some(claim));
            assert_eq!(Claim::from_bytes(&bytes[..Claim::LEN - 1]), None);
            let mut other = bytes;
            other[8] = 2;
            assert_eq!(Claim::from_bytes(&other), None, "there is no such end");
        }
    }
}
