//! The forty bytes before a received datagram: a global route header, or what RoCEv2 puts in its place (8.3, A17.3.4).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a datagram came from, for the first forty bytes of a datagram queue pair's receive.
///
/// Over IPv6 they are the IPv6 header; over IPv4 the last twenty are the IPv4 header, and the others undefined (zero
/// here).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grh {
    /// Where it came from.
    pub source: IpAddr,
    /// Where it went.
    pub destination: IpAddr,
    /// Bytes of the datagram with its UDP header.
    pub udp_len: u16,
    /// Type of service, or traffic class.
    pub traffic_class: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
}

impl Grh {
    /// Bytes of the header.
    pub const LEN: usize = 40;

    /// Reads the header; `None` if the addresses are of no known version.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        if bytes[0] >> 4 == 6 {
            return Some(Self {
                source: IpAddr::V6(Ipv6Addr::from(chunk::<16>(bytes, 8)?)),
                destination: IpAddr::V6(Ipv6Addr::from(chunk::<16>(bytes, 24)?)),
                udp_len: u16::from_be_bytes(chunk(bytes, 4)?),
                traffic_class: bytes[0] << 4 | bytes[1] >> 4,
                hop_limit: bytes[7],
            });
        }
        if bytes[20] != 0x45 {
            return None;
        }
        Some(Self {
            source: IpAddr::V4(Ipv4Addr::from(chunk::<4>(bytes, 32)?)),
            destination: IpAddr::V4(Ipv4Addr::from(chunk::<4>(bytes, 36)?)),
            udp_len: u16::from_be_bytes(chunk(bytes, 22)?).saturating_sub(20),
            traffic_class: bytes[21],
            hop_limit: bytes[28],
        })
    }

    /// The header's bytes. Addresses of two versions give a header without addresses.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes[0] = 0x60 | self.traffic_class >> 4;
                bytes[1] = self.traffic_class << 4;
                bytes[4..6].copy_from_slice(&self.udp_len.to_be_bytes());
                bytes[6] = 17;
                bytes[7] = self.hop_limit;
                bytes[8..24].copy_from_slice(&source.octets());
                bytes[24..40].copy_from_slice(&destination.octets());
            }
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes[20] = 0x45;
                bytes[21] = self.traffic_class;
                bytes[22..24].copy_from_slice(&self.udp_len.saturating_add(20).to_be_bytes());
                bytes[26] = 0x40;
                bytes[28] = self.hop_limit;
                bytes[29] = 17;
                bytes[32..36].copy_from_slice(&source.octets());
                bytes[36..40].copy_from_slice(&destination.octets());
                let checksum = ipv4_checksum(&bytes[20..40]);
                bytes[30..32].copy_from_slice(&checksum.to_be_bytes());
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
        bytes
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The header's checksum (RFC 791), its own field being zero.
fn ipv4_checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_written_and_read() {
        let grh = |source: &str, destination: &str| Grh {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            udp_len: 300,
            traffic_class: 0xa2,
            hop_limit: 63,
        };
        for grh in [grh("10.1.2.3", "10.1.2.4"), grh("fd00::1", "fd00::2")] {
            assert_eq!(Grh::decode(&grh.encode()), Some(grh));
        }
        let bytes = grh("10.1.2.3", "10.1.2.4").encode();
        assert_eq!(ipv4_checksum(&bytes[20..]), 0);
        assert_eq!(Grh::decode(&[0; 40]), None);
        assert_eq!(grh("10.1.2.3", "fd00::2").encode(), [0; 40]);
    }
}
