//! SRP_LOGIN_REQ (section 6.2), and its short form, which fits what the RDMA connection manager leaves of a REQ's private
//! data.

use super::Opcode;
use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a login request.
pub const LOGIN_REQUEST_LEN: usize = 64;
/// Bytes of the short form of a login request.
pub const COMPACT_LOGIN_LEN: usize = 56;
/// The name of a port: an identifier extension and the globally unique identifier of its controller or channel adapter
/// (annex B.3: of a target `id_ext` and `ioc_guid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PortId {
    /// The extension.
    pub extension: u64,
    /// The GUID.
    pub guid: u64,
}

bits! {
    /// The formats of data buffer descriptors that one side can work with.
    pub struct BufferFormats: u16 {
        /// One descriptor in the command.
        DIRECT = 0x2;
        /// A table of descriptors.
        INDIRECT = 0x4;
    }
}

bits! {
    /// What the initiator asks for at login.
    pub struct LoginFlags: u8 {
        /// The new channel joins the others of its nexus; without it the others end.
        MULTICHANNEL = 0x01;
        /// Target logouts come with a solicited event.
        SOLICIT_LOGOUT = 0x10;
        /// Credit requests come with a solicited event.
        SOLICIT_CREDIT = 0x20;
        /// Asynchronous events come with a solicited event.
        SOLICIT_EVENT = 0x40;
        /// The initiator would like to send immediate data (SRP-2).
        IMMEDIATE = 0x80;
    }
}

/// A request to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRequest {
    /// The initiator's name for the request.
    pub tag: u64,
    /// The longest IU that the initiator means to send, in bytes.
    pub iu_len: u32,
    /// The descriptor formats it means to use.
    pub formats: BufferFormats,
    /// What else it asks for.
    pub flags: LoginFlags,
    /// Where in a command's IU immediate data begins, in bytes, if it is asked for.
    pub immediate_offset: u16,
    /// Who asks.
    pub initiator: PortId,
    /// Who is asked.
    pub target: PortId,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PortLayout {
    extension: U64,
    guid: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestLayout {
    opcode: u8,
    reserved_1: [u8; 7],
    tag: U64,
    iu_len: U32,
    reserved_2: [u8; 4],
    formats: U16,
    flags: u8,
    reserved_3: u8,
    immediate_offset: U16,
    reserved_4: [u8; 2],
    initiator: PortLayout,
    target: PortLayout,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CompactLayout {
    tag: U64,
    formats: U16,
    flags: u8,
    opcode: u8,
    iu_len: U32,
    initiator: PortLayout,
    target: PortLayout,
    immediate_offset: U16,
    reserved: [u8; 6],
}

impl PortId {
    fn read(layout: PortLayout) -> Self {
        Self { extension: layout.extension.get(), guid: layout.guid.get() }
    }

    fn layout(self) -> PortLayout {
        PortLayout { extension: U64::new(self.extension), guid: U64::new(self.guid) }
    }
}

impl core::fmt::Display for PortId {
    /// Thirty-two hexadecimal digits, as `add_target` and the logs of Linux write them.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}{:016x}", self.extension, self.guid)
    }
}

impl LoginRequest {
    /// Reads the private data of a REQ to a service of the InfiniBand connection manager.
    ///
    /// # Errors
    /// It is too short. Of another type than a login request, it is `None`.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &RequestLayout = view(bytes)?;
        Ok((layout.opcode == Opcode::LoginRequest.code()).then(|| Self {
            tag: layout.tag.get(),
            iu_len: layout.iu_len.get(),
            formats: BufferFormats(layout.formats.get()),
            flags: LoginFlags(layout.flags),
            immediate_offset: layout.immediate_offset.get(),
            initiator: PortId::read(layout.initiator),
            target: PortId::read(layout.target),
        }))
    }

    /// Reads what follows the address header in the private data of a REQ to a port of the RDMA connection manager.
    ///
    /// # Errors
    /// It is too short. Of another type than a login request, it is `None`.
    pub fn decode_compact(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &CompactLayout = view(bytes)?;
        Ok((layout.opcode == Opcode::LoginRequest.code()).then(|| Self {
            tag: layout.tag.get(),
            iu_len: layout.iu_len.get(),
            formats: BufferFormats(layout.formats.get()),
            flags: LoginFlags(layout.flags),
            immediate_offset: layout.immediate_offset.get(),
            initiator: PortId::read(layout.initiator),
            target: PortId::read(layout.target),
        }))
    }

    /// The standard's form.
    pub fn encode(&self) -> [u8; LOGIN_REQUEST_LEN] {
        zerocopy::transmute!(RequestLayout {
            opcode: Opcode::LoginRequest.code(),
            reserved_1: [0; 7],
            tag: U64::new(self.tag),
            iu_len: U32::new(self.iu_len),
            reserved_2: [0; 4],
            formats: U16::new(self.formats.bits()),
            flags: self.flags.bits(),
            reserved_3: 0,
            immediate_offset: U16::new(self.immediate_offset),
            reserved_4: [0; 2],
            initiator: self.initiator.layout(),
            target: self.target.layout(),
        })
    }

    /// The short form.
    pub fn encode_compact(&self) -> [u8; COMPACT_LOGIN_LEN] {
        zerocopy::transmute!(CompactLayout {
            tag: U64::new(self.tag),
            formats: U16::new(self.formats.bits()),
            flags: self.flags.bits(),
            opcode: Opcode::LoginRequest.code(),
            iu_len: U32::new(self.iu_len),
            initiator: self.initiator.layout(),
            target: self.target.layout(),
            immediate_offset: U16::new(self.immediate_offset),
            reserved: [0; 6],
        })
    }
}
