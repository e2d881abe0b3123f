//! UDP datagrams as IP packets: RFC 791 and RFC 8200 without options, RFC 768.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the longest headers: those of IPv6 and UDP.
pub const HEADERS_LEN_MAX: usize = V6_LEN + UDP_LEN;

/// A datagram, and what its IP header says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it comes from.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its number over IPv4; over IPv6 there is none, and this is 0.
    pub identification: u16,
    /// It may not be cut; over IPv6 none may.
    pub dont_fragment: bool,
    /// Type of service, or traffic class.
    pub traffic_class: u8,
    /// Its payload.
    pub bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Finds the datagram in an IP packet; `None` if there is none, or not a whole one.
    pub fn decode(packet: &'a [u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::decode_v4(packet),
            6 => Self::decode_v6(packet),
            _ => None,
        }
    }

    /// Writes the headers that go before the payload; returns how many of the bytes they take.
    ///
    /// The UDP checksum is left out over IPv4, as it may be; over IPv6 it is computed.
    pub fn headers(&self) -> ([u8; HEADERS_LEN_MAX], usize) {
        let mut bytes = [0; HEADERS_LEN_MAX];
        let udp_len = (UDP_LEN + self.bytes.len()) as u16;
        let len = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                self.write_v4(&mut bytes, from, to, udp_len);
                V4_LEN
            }
            (from, to) => {
                self.write_v6(&mut bytes, v6(from), v6(to), udp_len);
                V6_LEN
            }
        };
        bytes[len..len + 2].copy_from_slice(&self.from.port().to_be_bytes());
        bytes[len + 2..len + 4].copy_from_slice(&self.to.port().to_be_bytes());
        bytes[len + 4..len + 6].copy_from_slice(&udp_len.to_be_bytes());
        if len == V6_LEN {
            let checksum = self.checksum_v6(&bytes);
            bytes[len + 6..len + 8].copy_from_slice(&checksum.to_be_bytes());
        }
        (bytes, len + UDP_LEN)
    }

    fn decode_v4(packet: &'a [u8]) -> Option<Self> {
        let header = packet.first_chunk::<V4_LEN>()?;
        let len = usize::from(header[0] & 0x0f) * 4;
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let is_whole = flags & !DONT_FRAGMENT_V4 == 0;
        if header[9] != UDP || len < V4_LEN || !is_whole {
            return None;
        }
        let address = |at: usize| {
            let bytes: [u8; 4] = core::array::from_fn(|byte| header[at + byte]);
            IpAddr::V4(Ipv4Addr::from(bytes))
        };
        let (ports, bytes) = udp(packet.get(len..)?)?;
        Some(Self {
            from: SocketAddr::new(address(12), ports.0),
            to: SocketAddr::new(address(16), ports.1),
            identification: u16::from_be_bytes([header[4], header[5]]),
            dont_fragment: flags & DONT_FRAGMENT_V4 != 0,
            traffic_class: header[1],
            bytes,
        })
    }

    fn decode_v6(packet: &'a [u8]) -> Option<Self> {
        let (header, rest) = packet.split_first_chunk::<V6_LEN>()?;
        if header[6] != UDP {
            return None;
        }
        let address = |at: usize| {
            let bytes: [u8; 16] = core::array::from_fn(|byte| header[at + byte]);
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        let (ports, bytes) = udp(rest)?;
        Some(Self {
            from: SocketAddr::new(address(8), ports.0),
            to: SocketAddr::new(address(24), ports.1),
            identification: 0,
            dont_fragment: true,
            traffic_class: header[0] << 4 | header[1] >> 4,
            bytes,
        })
    }

    fn write_v4(&self, bytes: &mut [u8; HEADERS_LEN_MAX], from: Ipv4Addr, to: Ipv4Addr, udp_len: u16) {
        (bytes[0], bytes[1]) = (0x45, self.traffic_class);
        bytes[2..4].copy_from_slice(&udp_len.saturating_add(V4_LEN as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&self.identification.to_be_bytes());
        let flags = if self.dont_fragment { DONT_FRAGMENT_V4 } else { 0 };
        bytes[6..8].copy_from_slice(&flags.to_be_bytes());
        (bytes[8], bytes[9]) = (HOP_LIMIT, UDP);
        bytes[12..16].copy_from_slice(&from.octets());
        bytes[16..20].copy_from_slice(&to.octets());
        let checksum = !folded(sum(&bytes[..V4_LEN]));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }

    fn write_v6(&self, bytes: &mut [u8; HEADERS_LEN_MAX], from: Ipv6Addr, to: Ipv6Addr, udp_len: u16) {
        (bytes[0], bytes[1]) = (0x60 | self.traffic_class >> 4, self.traffic_class << 4);
        bytes[4..6].copy_from_slice(&udp_len.to_be_bytes());
        (bytes[6], bytes[7]) = (UDP, HOP_LIMIT);
        bytes[8..24].copy_from_slice(&from.octets());
        bytes[24..40].copy_from_slice(&to.octets());
    }

    /// RFC 8200, section 8.1: over addresses, length, protocol, and the datagram with a checksum of zero.
    fn checksum_v6(&self, headers: &[u8; HEADERS_LEN_MAX]) -> u16 {
        let udp_len = UDP_LEN as u32 + self.bytes.len() as u32;
        let total = sum(&headers[8..V6_LEN])
            + u64::from(udp_len)
            + u64::from(UDP)
            + sum(&headers[V6_LEN..])
            + sum(self.bytes);
        // Zero would say that there is none.
        match !folded(total) {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The ports and the payload of a UDP datagram.
fn udp(bytes: &[u8]) -> Option<((u16, u16), &[u8])> {
    let header = bytes.first_chunk::<UDP_LEN>()?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let payload = bytes.get(UDP_LEN..usize::from(field(4)))?;
    Some(((field(0), field(2)), payload))
}

/// The sum of 16-bit words (RFC 1071), an odd last byte being a word's upper half.
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    bytes.chunks(2).map(word).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

const V4_LEN: usize = 20;
const V6_LEN: usize = 40;
const UDP_LEN: usize = 8;
const UDP: u8 = 17;
const DONT_FRAGMENT_V4: u16 = 0x4000;
const HOP_LIMIT: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn datagram(from: &str, to: &str) -> Datagram<'static> {
        Datagram {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            identification: 0,
            dont_fragment: true,
            traffic_class: 0x12,
            bytes: b"payload",
        }
    }

    fn packet(datagram: &Datagram<'_>) -> Vec<u8> {
        let (headers, len) = datagram.headers();
        [&headers[..len], datagram.bytes].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let v4 = Datagram { identification: 0x1234, ..datagram("10.0.0.1:5", "10.0.0.2:4791") };
        let v6 = datagram("[fd00::1]:5", "[fd00::2]:4791");
        for datagram in [v4, v6] {
            let bytes = packet(&datagram);
            assert_eq!(Datagram::decode(&bytes), Some(datagram));
            for len in 0..bytes.len() {
                assert_eq!(Datagram::decode(&bytes[..len]), None, "{len} bytes");
            }
        }
    }

    #[test]
    fn checksums_are_right() {
        let bytes = packet(&datagram("10.0.0.1:5", "10.0.0.2:4791"));
        assert_eq!(folded(sum(&bytes[..V4_LEN])), 0xffff);
        let bytes = packet(&datagram("[fd00::1]:5", "[fd00::2]:4791"));
        let pseudo = sum(&bytes[8..V6_LEN]) + u64::from(UDP) + (bytes.len() - V6_LEN) as u64;
        assert_eq!(folded(pseudo + sum(&bytes[V6_LEN..])), 0xffff);
    }

    #[test]
    fn parts_and_other_protocols_are_none() {
        let mut bytes = packet(&datagram("10.0.0.1:5", "10.0.0.2:4791"));
        bytes[9] = 6;
        assert_eq!(Datagram::decode(&bytes), None);
        bytes[9] = UDP;
        bytes[7] = 1;
        assert_eq!(Datagram::decode(&bytes), None);
        assert_eq!(Datagram::decode(&[]), None);
    }
}
