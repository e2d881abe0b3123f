//! An I/O controller (IOControllerProfile, 16.3.3.4).

use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

bits! {
    /// What a controller does by RDMA.
    pub struct Capabilities: u8 {
        /// It is sent messages.
        SEND_TO = 0x01;
        /// It sends messages.
        SEND_FROM = 0x02;
        /// It is asked for its memory.
        READ_TO = 0x04;
        /// It asks for memory.
        READ_FROM = 0x08;
        /// Its memory is written.
        WRITE_TO = 0x10;
        /// It writes memory.
        WRITE_FROM = 0x20;
        /// Its memory is changed atomically.
        ATOMIC_TO = 0x40;
        /// It changes memory atomically.
        ATOMIC_FROM = 0x80;
    }
}

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoControllerProfile {
    /// Its name.
    pub guid: u64,
    /// Who made it: an OUI in the upper 24 bits.
    pub vendor: u32,
    /// Which device of theirs.
    pub device: u32,
    /// The device's version.
    pub device_version: u16,
    /// Who made the subsystem.
    pub subsystem_vendor: u32,
    /// Which subsystem of theirs.
    pub subsystem: u32,
    /// What kind of device it is.
    pub io_class: u16,
    /// Which of those.
    pub io_subclass: u16,
    /// What it speaks.
    pub protocol: u16,
    /// And in which version.
    pub protocol_version: u16,
    /// Messages that it takes at once.
    pub send_depth: u16,
    /// Reads that it has under way at once.
    pub read_depth: u8,
    /// Bytes of the longest message.
    pub send_len: u32,
    /// Bytes of the longest read or write.
    pub rdma_len: u32,
    /// What it does.
    pub capabilities: Capabilities,
    /// Entries in its table of services.
    pub services: u8,
    /// For people: text, zeros behind it.
    pub identification: [u8; 64],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    guid: U64,
    vendor: U32,
    device: U32,
    device_version: U16,
    reserved_1: U16,
    subsystem_vendor: U32,
    subsystem: U32,
    io_class: U16,
    io_subclass: U16,
    protocol: U16,
    protocol_version: U16,
    reserved_2: U32,
    send_depth: U16,
    reserved_3: u8,
    read_depth: u8,
    send_len: U32,
    rdma_len: U32,
    capabilities: u8,
    /// What the controller offers its services for.
    service_capabilities: u8,
    services: u8,
    reserved_4: [u8; 9],
    identification: [u8; 64],
}

impl IoControllerProfile {
    /// Bytes of the attribute.
    pub const LEN: usize = size_of::<Layout>();

    /// Reads the attribute.
    pub fn decode(bytes: &[u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(bytes)?;
        Ok(Self {
            guid: layout.guid.get(),
            vendor: layout.vendor.get(),
            device: layout.device.get(),
            device_version: layout.device_version.get(),
            subsystem_vendor: layout.subsystem_vendor.get(),
            subsystem: layout.subsystem.get(),
            io_class: layout.io_class.get(),
            io_subclass: layout.io_subclass.get(),
            protocol: layout.protocol.get(),
            protocol_version: layout.protocol_version.get(),
            send_depth: layout.send_depth.get(),
            read_depth: layout.read_depth,
            send_len: layout.send_len.get(),
            rdma_len: layout.rdma_len.get(),
            capabilities: Capabilities(layout.capabilities),
            services: layout.services,
            identification: layout.identification,
        })
    }

    /// The attribute.
    pub fn encode(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(Layout {
            guid: U64::new(self.guid),
            vendor: U32::new(self.vendor),
            device: U32::new(self.device),
            device_version: U16::new(self.device_version),
            reserved_1: U16::ZERO,
            subsystem_vendor: U32::new(self.subsystem_vendor),
            subsystem: U32::new(self.subsystem),
            io_class: U16::new(self.io_class),
            io_subclass: U16::new(self.io_subclass),
            protocol: U16::new(self.protocol),
            protocol_version: U16::new(self.protocol_version),
            reserved_2: U32::ZERO,
            send_depth: U16::new(self.send_depth),
            reserved_3: 0,
            read_depth: self.read_depth,
            send_len: U32::new(self.send_len),
            rdma_len: U32::new(self.rdma_len),
            capabilities: self.capabilities.bits(),
            service_capabilities: 0,
            services: self.services,
            reserved_4: [0; 9],
            identification: self.identification,
        })
    }

    /// The identification as text, if it is one.
    pub fn text(&self) -> Option<&str> {
        let len = self.identification.iter().position(|byte| *byte == 0);
        let bytes = self.identification.get(..len.unwrap_or(self.identification.len()))?;
        core::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let bytes: [u8; IoControllerProfile::LEN] = core::array::from_fn(|at| at as u8);
        let profile = IoControllerProfile::decode(&bytes).unwrap();
        assert_eq!((profile.guid, profile.io_class), (0x0001_0203_0405_0607, 0x1c1d));
        assert_eq!((profile.send_depth, profile.read_depth, profile.services), (0x2829, 0x2b, 0x36));
        assert_eq!((IoControllerProfile::LEN, profile.identification[0]), (128, 0x40));
        let again = profile.encode();
        for (at, (byte, new)) in bytes.iter().zip(again).enumerate() {
            let is_reserved = matches!(at, 0x12..0x14 | 0x24..0x28 | 0x2a | 0x35 | 0x37..0x40);
            assert_eq!(new, if is_reserved { 0 } else { *byte }, "byte {at}");
        }
    }

    #[test]
    fn identifications_are_text_or_not() {
        let mut profile = IoControllerProfile::decode(&[0; 128]).unwrap();
        profile.identification[..4].copy_from_slice(b"Weft");
        assert_eq!(profile.text(), Some("Weft"));
        profile.identification[..4].copy_from_slice(b"\x1b[2J");
        assert_eq!(profile.text(), None);
        profile.identification = [0xff; 64];
        assert_eq!(profile.text(), None);
    }
}
