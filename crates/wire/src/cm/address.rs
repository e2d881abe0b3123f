//! How the Internet protocol's addresses and ports appear in communication management (annex A11).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

/// What a REQ or SIDR_REQ is for: a number that one listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u64);

codes! {
    /// Which ports a number belongs to (A11.2; the first byte of a service id is 0, then 0x01 and this; for SDP, A4.3.1).
    pub enum PortSpace: u16 {
        Sdp = 0x0001, "SDP";
        Ipoib = 0x0002, "IPoIB";
        Tcp = 0x0106, "TCP";
        Udp = 0x0111, "UDP";
        Ib = 0x013f, "IB";
    }
}

/// The 36 bytes at the front of a request's private data: who asks whom, in terms of the Internet protocol (A11.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpAddresses {
    /// The requester's address.
    pub source: IpAddr,
    /// The requester's port.
    pub source_port: u16,
    /// The address asked for.
    pub destination: IpAddr,
}

/// The private data does not begin with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IpHeaderError {
    /// It ends before they do.
    #[error("private data ends within its address header")]
    TooShort,
    /// The header is of another version.
    #[error("address header version {0:#04x} is not known")]
    Version(u8),
    /// The addresses are of no known version of the Internet protocol.
    #[error("addresses of IP version {0} are not known")]
    IpVersion(u8),
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    version: u8,
    ip_version: u8,
    port: U16,
    source: [u8; 16],
    destination: [u8; 16],
}

impl ServiceId {
    /// The id of a port.
    pub const fn of_port(space: PortSpace, port: u16) -> Self {
        Self((space.code() as u64) << 16 | port as u64)
    }

    /// The port, if it is one of a known space.
    pub const fn port(self) -> Option<(PortSpace, u16)> {
        if self.0 >> 32 != 0 {
            return None;
        }
        match PortSpace::from_code((self.0 >> 16) as u16) {
            Some(space) => Some((space, self.0 as u16)),
            None => None,
        }
    }
}

impl IpAddresses {
    /// Bytes of the header.
    pub const LEN: usize = 36;

    /// Reads the header at the front of private data.
    pub fn decode(private_data: &[u8]) -> Result<Self, IpHeaderError> {
        let layout: &Layout =
            crate::view(private_data).map_err(|Truncated { .. }| IpHeaderError::TooShort)?;
        if layout.version != 0 {
            return Err(IpHeaderError::Version(layout.version));
        }
        let (source, destination) = match layout.ip_version >> 4 {
            4 => (last_four(&layout.source), last_four(&layout.destination)),
            6 => (IpAddr::V6(Ipv6Addr::from(layout.source)), IpAddr::V6(Ipv6Addr::from(layout.destination))),
            other => return Err(IpHeaderError::IpVersion(other)),
        };
        Ok(Self { source, source_port: layout.port.get(), destination })
    }

    /// Writes the header to the front of `out`; returns its length. The addresses are of one version.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let is_v4 = self.destination.is_ipv4();
        let layout = Layout {
            version: 0,
            ip_version: if is_v4 { 0x40 } else { 0x60 },
            port: U16::new(self.source_port),
            source: sixteen(self.source),
            destination: sixteen(self.destination),
        };
        crate::put(&layout, out)
    }
}

fn last_four(bytes: &[u8; 16]) -> IpAddr {
    let [.., a, b, c, d] = *bytes;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[12..].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_service_ids() {
        let id = ServiceId::of_port(PortSpace::Tcp, 4420);
        assert_eq!(id, ServiceId(0x0106_1144));
        assert_eq!(id.port(), Some((PortSpace::Tcp, 4420)));
        assert_eq!(ServiceId(0x1_0106_1144).port(), None);
        assert_eq!(ServiceId::of_port(PortSpace::Sdp, 80), ServiceId(0x0001_0050));
        assert_eq!(ServiceId(0x0107_1144).port(), None);
    }

    #[test]
    fn addresses_of_both_versions() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let addresses = IpAddresses {
                source: source.parse().unwrap(),
                source_port: 0x1234,
                destination: destination.parse().unwrap(),
            };
            let mut out = [0; 36];
            assert_eq!(addresses.encode(&mut out), Ok(36));
            assert_eq!(IpAddresses::decode(&out), Ok(addresses));
            assert_eq!(IpAddresses::decode(&out[..35]), Err(IpHeaderError::TooShort));
            out[1] = 0x50;
            assert_eq!(IpAddresses::decode(&out), Err(IpHeaderError::IpVersion(5)));
            out[0] = 1;
            assert_eq!(IpAddresses::decode(&out), Err(IpHeaderError::Version(1)));
        }
    }
}
