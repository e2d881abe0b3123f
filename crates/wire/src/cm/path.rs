//! A path between two ports, as REQ and LAP describe it (12.6.5, 12.8.1).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A port's address. RoCEv2 has the IPv6 address, or the IPv4 address mapped into one (A17.4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gid(pub [u8; 16]);

/// A path between two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Path {
    /// The sender's LID; 0xffff where there are none.
    pub local_lid: u16,
    /// The receiver's LID.
    pub remote_lid: u16,
    /// The sender's GID.
    pub local: Gid,
    /// The receiver's GID.
    pub remote: Gid,
    /// 20 bits that keep a flow together.
    pub flow_label: u32,
    /// Six bits that say how fast the path is (table 224).
    pub packet_rate: u8,
    /// Type of service, or traffic class.
    pub traffic_class: u8,
    /// How many routers a packet may pass.
    pub hop_limit: u8,
    /// Four bits of quality of service.
    pub service_level: u8,
    /// Both ports are on one subnet.
    pub subnet_local: bool,
    /// How long an acknowledgement may take: 4.096 microseconds times two to this power, at most 31.
    pub ack_timeout: u8,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct PathLayout {
    local_lid: U16,
    remote_lid: U16,
    local: [u8; 16],
    remote: [u8; 16],
    flow_and_rate: U32,
    traffic_class: u8,
    hop_limit: u8,
    level: u8,
    ack_timeout: u8,
}

/// The same in LAP, where flow label and traffic class share a word.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct AlternateLayout {
    local_lid: U16,
    remote_lid: U16,
    local: [u8; 16],
    remote: [u8; 16],
    flow_and_class: U32,
    hop_limit: u8,
    packet_rate: u8,
    level: u8,
    ack_timeout: u8,
}

impl Gid {
    /// The GID of a port with this address.
    pub const fn from_ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => Self(address.octets()),
        }
    }

    /// The port's address.
    pub fn to_ip(self) -> IpAddr {
        let address = Ipv6Addr::from(self.0);
        match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(address),
        }
    }
}

impl Default for PathLayout {
    fn default() -> Self {
        Self::new(&Path::default())
    }
}

impl PathLayout {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            local_lid: U16::new(path.local_lid),
            remote_lid: U16::new(path.remote_lid),
            local: path.local.0,
            remote: path.remote.0,
            flow_and_rate: U32::new(path.flow_label << 12 | u32::from(path.packet_rate & 0x3f)),
            traffic_class: path.traffic_class,
            hop_limit: path.hop_limit,
            level: level(path),
            ack_timeout: path.ack_timeout << 3,
        }
    }

    pub(super) fn meaning(&self) -> Path {
        let word = self.flow_and_rate.get();
        Path {
            local_lid: self.local_lid.get(),
            remote_lid: self.remote_lid.get(),
            local: Gid(self.local),
            remote: Gid(self.remote),
            flow_label: word >> 12,
            packet_rate: word as u8 & 0x3f,
            traffic_class: self.traffic_class,
            hop_limit: self.hop_limit,
            service_level: self.level >> 4,
            subnet_local: self.level & SUBNET_LOCAL != 0,
            ack_timeout: self.ack_timeout >> 3,
        }
    }
}

impl AlternateLayout {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            local_lid: U16::new(path.local_lid),
            remote_lid: U16::new(path.remote_lid),
            local: path.local.0,
            remote: path.remote.0,
            flow_and_class: U32::new(path.flow_label << 12 | u32::from(path.traffic_class)),
            hop_limit: path.hop_limit,
            packet_rate: path.packet_rate & 0x3f,
            level: level(path),
            ack_timeout: path.ack_timeout << 3,
        }
    }

    pub(super) fn meaning(&self) -> Path {
        let word = self.flow_and_class.get();
        Path {
            local_lid: self.local_lid.get(),
            remote_lid: self.remote_lid.get(),
            local: Gid(self.local),
            remote: Gid(self.remote),
            flow_label: word >> 12,
            packet_rate: self.packet_rate & 0x3f,
            traffic_class: word as u8,
            hop_limit: self.hop_limit,
            service_level: self.level >> 4,
            subnet_local: self.level & SUBNET_LOCAL != 0,
            ack_timeout: self.ack_timeout >> 3,
        }
    }
}

impl From<Ipv4Addr> for Gid {
    fn from(address: Ipv4Addr) -> Self {
        Self::from_ip(IpAddr::V4(address))
    }
}

fn level(path: &Path) -> u8 {
    path.service_level << 4 | if path.subnet_local { SUBNET_LOCAL } else { 0 }
}

const SUBNET_LOCAL: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_hold_a_path() {
        let path = Path {
            local_lid: 1,
            remote_lid: 2,
            local: Gid([3; 16]),
            remote: Gid::from(Ipv4Addr::new(10, 0, 0, 1)),
            flow_label: 0xa_bcde,
            packet_rate: 0x2a,
            traffic_class: 0x5a,
            hop_limit: 64,
            service_level: 9,
            subnet_local: true,
            ack_timeout: 19,
        };
        assert_eq!(PathLayout::new(&path).meaning(), path);
        assert_eq!(AlternateLayout::new(&path).meaning(), path);
        assert_eq!(size_of::<PathLayout>(), 44);
        assert_eq!(size_of::<AlternateLayout>(), 44);
        assert_eq!(path.remote.to_ip(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    }
}
