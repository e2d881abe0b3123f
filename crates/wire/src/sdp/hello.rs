//! `Hello` and `HelloAck` (A4.3.2): what two ends tell each other while they connect.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{BASE_LEN, Base, MessageId};
use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a `Hello`: all the private data a REQ has.
pub const HELLO_LEN: usize = 92;

/// Bytes of a `HelloAck`: all the private data a REP has.
pub const HELLO_ACK_LEN: usize = 196;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Ends with different major versions do not understand each other.
    pub major: u8,
    /// The minor version.
    pub minor: u8,
}

bits! {
    /// What an end can do.
    pub struct Capabilities: u8 {
        /// It invalidates the keys of its adverts by SEND with invalidate.
        INVALIDATE = 0x01;
        /// It counts adverts in sixteen bits.
        EXTENDED_ADVERTS = 0x02;
    }
}

/// The connecting end's first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The base header: its buffers are the first credits.
    pub base: Base,
    /// The version spoken.
    pub version: Version,
    /// What the sender can do.
    pub capabilities: Capabilities,
    /// How many source adverts the sender takes at once: at least one.
    pub adverts_max: u16,
    /// Bytes that the sender would like the receiver's buffers to have.
    pub desired_remote_buffer: u32,
    /// Bytes of the sender's own buffers.
    pub local_buffer: u32,
    /// The sender's port.
    pub port: u16,
    /// The sender's address.
    pub source: IpAddr,
    /// The address connected to, of the same version.
    pub destination: IpAddr,
}

/// The accepting end's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloAck {
    /// The base header: its buffers are the first credits.
    pub base: Base,
    /// The version spoken.
    pub version: Version,
    /// What the sender can do.
    pub capabilities: Capabilities,
    /// How many source adverts the sender takes at once: at least one.
    pub adverts_max: u8,
    /// Bytes of the sender's buffers.
    pub buffer: u32,
}

/// Private data that is no greeting: the connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// It ends too soon, or is longer or shorter than it says.
    #[error("the greeting does not have the length it must have")]
    Length,
    /// It is another message.
    #[error("the message is no greeting")]
    Type,
    /// Its addresses are of no known version.
    #[error("IP version {0} is not known")]
    IpVersion(u8),
    /// It takes no advert.
    #[error("the greeting allows no adverts, at least one is required")]
    NoAdverts,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    base: [u8; BASE_LEN],
    version: u8,
    ip_version_and_capabilities: u8,
    reserved_1: u8,
    adverts_max: u8,
    desired_remote_buffer: U32,
    local_buffer: U32,
    port: U16,
    reserved_2: U16,
    source: [u8; 16],
    destination: [u8; 16],
    reserved_3: U16,
    extended_adverts_max: U16,
    reserved_4: [u8; 24],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AckLayout {
    base: [u8; BASE_LEN],
    version: u8,
    ip_version_and_capabilities: u8,
    reserved_1: u8,
    adverts_max: u8,
    buffer: U32,
    reserved_2: [u8; 172],
}

impl Version {
    /// What OFED's stacks and Weft speak.
    pub const CURRENT: Self = Self { major: 2, minor: 2 };
    /// What the first public stacks spoke.
    pub const FIRST: Self = Self { major: 1, minor: 1 };

    fn from_byte(byte: u8) -> Self {
        Self { major: byte >> 4, minor: byte & 0xf }
    }

    fn byte(self) -> u8 {
        self.major << 4 | self.minor & 0xf
    }
}

impl Hello {
    /// Reads the private data of a REQ.
    ///
    /// # Errors
    /// It is no `Hello` that a connection can be made of.
    pub fn decode(private_data: &[u8]) -> Result<Self, HelloError> {
        let layout: &Layout = view(private_data).map_err(|Truncated { .. }| HelloError::Length)?;
        let base = base(&layout.base, MessageId::Hello, HELLO_LEN)?;
        let capabilities = Capabilities(layout.ip_version_and_capabilities & 0xf);
        let (source, destination) = match layout.ip_version_and_capabilities >> 4 {
            4 => (v4(&layout.source), v4(&layout.destination)),
            6 => (v6(&layout.source), v6(&layout.destination)),
            other => return Err(HelloError::IpVersion(other)),
        };
        let adverts_max = match capabilities.contains(Capabilities::EXTENDED_ADVERTS) {
            true => layout.extended_adverts_max.get().max(layout.adverts_max.into()),
            false => layout.adverts_max.into(),
        };
        if adverts_max == 0 {
            return Err(HelloError::NoAdverts);
        }
        Ok(Self {
            base,
            version: Version::from_byte(layout.version),
            capabilities,
            adverts_max,
            desired_remote_buffer: layout.desired_remote_buffer.get(),
            local_buffer: layout.local_buffer.get(),
            port: layout.port.get(),
            source,
            destination,
        })
    }

    /// The private data.
    pub fn encode(&self) -> [u8; HELLO_LEN] {
        let ip_version = if self.destination.is_ipv4() { 4 } else { 6 };
        let is_extended = self.capabilities.contains(Capabilities::EXTENDED_ADVERTS);
        zerocopy::transmute!(Layout {
            base: self.base.encode(),
            version: self.version.byte(),
            ip_version_and_capabilities: ip_version << 4 | self.capabilities.bits() & 0xf,
            reserved_1: 0,
            adverts_max: self.adverts_max.min(u8::MAX.into()) as u8,
            desired_remote_buffer: U32::new(self.desired_remote_buffer),
            local_buffer: U32::new(self.local_buffer),
            port: U16::new(self.port),
            reserved_2: U16::ZERO,
            source: sixteen(self.source),
            destination: sixteen(self.destination),
            reserved_3: U16::ZERO,
            extended_adverts_max: U16::new(if is_extended { self.adverts_max } else { 0 }),
            reserved_4: [0; 24],
        })
    }
}

impl HelloAck {
    /// Reads the private data of a REP. Older stacks leave the count of adverts zero, which means one.
    ///
    /// # Errors
    /// It is no `HelloAck`.
    pub fn decode(private_data: &[u8]) -> Result<Self, HelloError> {
        let layout: &AckLayout = view(private_data).map_err(|Truncated { .. }| HelloError::Length)?;
        Ok(Self {
            base: base(&layout.base, MessageId::HelloAck, HELLO_ACK_LEN)?,
            version: Version::from_byte(layout.version),
            capabilities: Capabilities(layout.ip_version_and_capabilities & 0xf),
            adverts_max: layout.adverts_max.max(1),
            buffer: layout.buffer.get(),
        })
    }

    /// The private data.
    pub fn encode(&self) -> [u8; HELLO_ACK_LEN] {
        zerocopy::transmute!(AckLayout {
            base: self.base.encode(),
            version: self.version.byte(),
            ip_version_and_capabilities: self.capabilities.bits() & 0xf,
            reserved_1: 0,
            adverts_max: self.adverts_max,
            buffer: U32::new(self.buffer),
            reserved_2: [0; 172],
        })
    }
}

fn base(bytes: &[u8; BASE_LEN], id: MessageId, len: usize) -> Result<Base, HelloError> {
    let base = Base::decode(bytes).ok().flatten().filter(|base| base.id == id).ok_or(HelloError::Type)?;
    if base.len as usize == len { Ok(base) } else { Err(HelloError::Length) }
}

fn v4(bytes: &[u8; 16]) -> IpAddr {
    let [.., a, b, c, d] = *bytes;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

fn v6(bytes: &[u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(*bytes))
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
