//! SRP_LOGIN_RSP and SRP_LOGIN_REJ (sections 6.3 and 6.4).

use super::{BufferFormats, Opcode};
use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a login response.
pub const LOGIN_RESPONSE_LEN: usize = 52;
/// Bytes of a login reject.
pub const LOGIN_REJECT_LEN: usize = 32;

codes! {
    /// What became of the other channels of the nexus.
    pub enum ChannelResult: u8 {
        NoOther = 0, "there was no other channel";
        Terminated = 1, "the other channels were ended";
        Maintained = 2, "the other channels go on";
    }
}

codes! {
    /// Why a login is refused.
    pub enum LoginRejectReason: u32 {
        NoChannel = 0x0001_0000, "unable to establish an RDMA channel, no reason specified";
        NoResources = 0x0001_0001, "insufficient RDMA channel resources";
        IuTooLong = 0x0001_0002, "the requested initiator to target IU length is too large";
        NoNexus = 0x0001_0003, "unable to associate the RDMA channel with the I_T nexus";
        UnsupportedFormat = 0x0001_0004, "unsupported data buffer descriptor format";
        NoMultichannel = 0x0001_0005, "multiple RDMA channels per I_T nexus are not supported";
        ChannelLimit = 0x0001_0006, "the limit of RDMA channels of the I_T nexus is reached";
    }
}

/// The login is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginResponse {
    /// The request's tag.
    pub tag: u64,
    /// How many requests the initiator may have outstanding.
    pub request_limit: u32,
    /// The longest IU the target takes, in bytes.
    pub iu_len_to_target: u32,
    /// The longest IU the target sends, in bytes.
    pub iu_len_to_initiator: u32,
    /// The descriptor formats the target takes.
    pub formats: BufferFormats,
    /// What became of the other channels.
    pub channels: ChannelResult,
    /// Immediate data is taken (SRP-2).
    pub is_immediate_taken: bool,
}

/// The login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginReject {
    /// The request's tag.
    pub tag: u64,
    /// Why.
    pub reason: LoginRejectReason,
    /// The descriptor formats the target takes.
    pub formats: BufferFormats,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ResponseLayout {
    opcode: u8,
    reserved_1: [u8; 3],
    request_limit: U32,
    tag: U64,
    iu_len_to_target: U32,
    iu_len_to_initiator: U32,
    formats: U16,
    flags: u8,
    reserved_2: [u8; 25],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RejectLayout {
    opcode: u8,
    reserved_1: [u8; 3],
    reason: U32,
    tag: U64,
    reserved_2: [u8; 8],
    formats: U16,
    reserved_3: [u8; 6],
}

impl LoginResponse {
    /// Reads the private data of a REP.
    ///
    /// # Errors
    /// It is too short. Of another type, or with a channel result of no meaning, it is `None`.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &ResponseLayout = view(bytes)?;
        let channels = ChannelResult::from_code(layout.flags & CHANNELS);
        Ok(channels.filter(|_| layout.opcode == Opcode::LoginResponse.code()).map(|channels| Self {
            tag: layout.tag.get(),
            request_limit: layout.request_limit.get(),
            iu_len_to_target: layout.iu_len_to_target.get(),
            iu_len_to_initiator: layout.iu_len_to_initiator.get(),
            formats: BufferFormats(layout.formats.get()),
            channels,
            is_immediate_taken: layout.flags & IMMEDIATE_TAKEN != 0,
        }))
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; LOGIN_RESPONSE_LEN] {
        let immediate = if self.is_immediate_taken { IMMEDIATE_TAKEN } else { 0 };
        zerocopy::transmute!(ResponseLayout {
            opcode: Opcode::LoginResponse.code(),
            reserved_1: [0; 3],
            request_limit: U32::new(self.request_limit),
            tag: U64::new(self.tag),
            iu_len_to_target: U32::new(self.iu_len_to_target),
            iu_len_to_initiator: U32::new(self.iu_len_to_initiator),
            formats: U16::new(self.formats.bits()),
            flags: self.channels.code() | immediate,
            reserved_2: [0; 25],
        })
    }
}

impl LoginReject {
    /// Reads the private data of a REJ.
    ///
    /// # Errors
    /// It is too short. Of another type, or for a reason that the standard does not have, it is `None`.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &RejectLayout = view(bytes)?;
        let reason = LoginRejectReason::from_code(layout.reason.get());
        Ok(reason.filter(|_| layout.opcode == Opcode::LoginReject.code()).map(|reason| Self {
            tag: layout.tag.get(),
            reason,
            formats: BufferFormats(layout.formats.get()),
        }))
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; LOGIN_REJECT_LEN] {
        zerocopy::transmute!(RejectLayout {
            opcode: Opcode::LoginReject.code(),
            reserved_1: [0; 3],
            reason: U32::new(self.reason.code()),
            tag: U64::new(self.tag),
            reserved_2: [0; 8],
            formats: U16::new(self.formats.bits()),
            reserved_3: [0; 6],
        })
    }
}

const CHANNELS: u8 = 0x03;
const IMMEDIATE_TAKEN: u8 = 0x80;
