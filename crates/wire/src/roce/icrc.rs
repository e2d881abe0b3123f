//! What the invariant CRC covers: everything that no router may change (9.8.1, A17.3.3).
//!
//! The CRC is that of Ethernet. It is computed over [`Prefix::bytes`], then over the datagram from its thirteenth byte up to
//! the CRC itself, and stored with its least significant byte first. The prefix holds a link header and the fields that
//! routers change as ones: type of service, time to live, checksums, and the congestion bits of the base transport header.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::BTH_LEN;

/// The addresses of a datagram, and what else of its IP header is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Internet protocol version 4, without options.
    V4 {
        /// Where it comes from.
        source: Ipv4Addr,
        /// Where it goes.
        destination: Ipv4Addr,
        /// The datagram's number.
        identification: u16,
        /// It may not be cut. RoCEv2 is never cut, so its fragment offset is always 0.
        dont_fragment: bool,
    },
    /// Internet protocol version 6, without extension headers.
    V6 {
        /// Where it comes from.
        source: Ipv6Addr,
        /// Where it goes.
        destination: Ipv6Addr,
    },
}

/// The covered bytes before the datagram's thirteenth.
#[derive(Debug, Clone, Copy)]
pub struct Prefix {
    bytes: [u8; LEN_MAX],
    len: usize,
}

impl Prefix {
    /// The prefix of a datagram of `datagram_len` bytes (headers to CRC) that begins with `bth`, between two UDP ports.
    pub fn new(
        network: Network,
        source_port: u16,
        port: u16,
        datagram_len: u16,
        bth: &[u8; BTH_LEN],
    ) -> Self {
        let mut prefix = Self { bytes: [0; LEN_MAX], len: 0 };
        let udp_len = datagram_len.saturating_add(UDP_LEN);
        prefix.push(&[0xff; LINK_LEN]);
        prefix.push_network(network, udp_len);
        prefix.push(&source_port.to_be_bytes());
        prefix.push(&port.to_be_bytes());
        prefix.push(&udp_len.to_be_bytes());
        prefix.push(&[0xff, 0xff]);
        prefix.push(bth);
        let congestion = prefix.len - BTH_LEN + 4;
        if let Some(byte) = prefix.bytes.get_mut(congestion) {
            *byte = 0xff;
        }
        prefix
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn push_network(&mut self, network: Network, udp_len: u16) {
        match network {
            Network::V4 { source, destination, identification, dont_fragment } => {
                self.push(&[0x45, 0xff]);
                self.push(&udp_len.saturating_add(IPV4_LEN).to_be_bytes());
                self.push(&identification.to_be_bytes());
                self.push(&[if dont_fragment { 0x40 } else { 0 }, 0]);
                self.push(&[0xff, UDP, 0xff, 0xff]);
                self.push(&source.octets());
                self.push(&destination.octets());
            }
            Network::V6 { source, destination } => {
                self.push(&[0x6f, 0xff, 0xff, 0xff]);
                self.push(&udp_len.to_be_bytes());
                self.push(&[UDP, 0xff]);
                self.push(&source.octets());
                self.push(&destination.octets());
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

/// How many bytes after the IPv4 identification field are covered in a datagram of `datagram_len` bytes: the CRC is
/// linear, so whoever does not see the field can still tell whether any value of it fits.
pub const fn covered_after_identification(datagram_len: usize) -> usize {
    IPV4_LEN as usize - 6 + UDP_LEN as usize + datagram_len - super::ICRC_LEN
}

/// Bytes of the link header that InfiniBand would have, all ones.
const LINK_LEN: usize = 8;
const IPV4_LEN: u16 = 20;
const UDP_LEN: u16 = 8;
const UDP: u8 = 17;
const LEN_MAX: usize = LINK_LEN + 40 + UDP_LEN as usize + BTH_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_as_long_as_its_headers() {
        let (a, b) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
        let v4 = Network::V4 { source: a, destination: b, identification: 0x1234, dont_fragment: true };
        let prefix = Prefix::new(v4, 50_000, 4791, 16, &[0x11; 12]);
        assert_eq!(prefix.bytes().len(), 8 + 20 + 8 + 12);
        assert_eq!(prefix.bytes()[8..16], [0x45, 0xff, 0, 44, 0x12, 0x34, 0x40, 0]);
        assert_eq!(
            prefix.bytes()[36..48],
            [0x11, 0x11, 0x11, 0x11, 0xff, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11]
        );
        let v6 = Network::V6 { source: Ipv6Addr::LOCALHOST, destination: Ipv6Addr::LOCALHOST };
        assert_eq!(Prefix::new(v6, 1, 2, u16::MAX, &[0; 12]).bytes().len(), LEN_MAX);
    }

    #[test]
    fn identification_is_where_it_is_said_to_be() {
        let v4 = Network::V4 {
            source: Ipv4Addr::LOCALHOST,
            destination: Ipv4Addr::LOCALHOST,
            identification: 0xabcd,
            dont_fragment: false,
        };
        let prefix = Prefix::new(v4, 1, 2, 20, &[0; 12]);
        let covered = prefix.bytes().len() + 20 - 12 - 4;
        let at = covered - covered_after_identification(20) - 2;
        assert_eq!(prefix.bytes()[at..at + 2], [0xab, 0xcd]);
    }
}
