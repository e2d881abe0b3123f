//! SRP_I_LOGOUT and SRP_T_LOGOUT (sections 6.5 and 6.6): the channel ends.

use super::{IU_LEN_MIN, Opcode, SOLICITED};
use crate::{Truncated, view};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

codes! {
    /// Why a target ends a channel.
    pub enum LogoutReason: u32 {
        Unspecified = 0, "no reason specified";
        Inactive = 1, "the RDMA channel was inactive";
        InvalidType = 2, "an information unit of an invalid type was received";
        SpuriousResponse = 3, "a response without a request was received";
        NewLogin = 4, "a new login ended the other channels of its nexus";
        DataOutFormat = 6, "unsupported format of the data-out buffer descriptor";
        DataInFormat = 7, "unsupported format of the data-in buffer descriptor";
        DataOutCount = 8, "invalid count in the data-out buffer descriptor";
        DataInCount = 9, "invalid count in the data-in buffer descriptor";
    }
}

/// The initiator ends its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitiatorLogout {
    /// The initiator's name for the request.
    pub tag: u64,
}

/// The target ends the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetLogout {
    /// Why.
    pub reason: LogoutReason,
    /// The initiator asked for a solicited event.
    pub solicited: bool,
    /// The target's name for the request.
    pub tag: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    solicited: u8,
    reserved: [u8; 2],
    reason: U32,
    tag: U64,
}

impl InitiatorLogout {
    /// Reads an IU of this type.
    ///
    /// # Errors
    /// It is too short.
    pub fn decode(iu: &[u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(iu)?;
        Ok(Self { tag: layout.tag.get() })
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; IU_LEN_MIN] {
        zerocopy::transmute!(Layout {
            opcode: Opcode::InitiatorLogout.code(),
            solicited: 0,
            reserved: [0; 2],
            reason: U32::ZERO,
            tag: U64::new(self.tag),
        })
    }
}

impl TargetLogout {
    /// Reads an IU of this type; a reason of no meaning is read as none given.
    ///
    /// # Errors
    /// It is too short.
    pub fn decode(iu: &[u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(iu)?;
        Ok(Self {
            reason: LogoutReason::from_code(layout.reason.get()).unwrap_or(LogoutReason::Unspecified),
            solicited: layout.solicited & SOLICITED != 0,
            tag: layout.tag.get(),
        })
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; IU_LEN_MIN] {
        zerocopy::transmute!(Layout {
            opcode: Opcode::TargetLogout.code(),
            solicited: u8::from(self.solicited),
            reserved: [0; 2],
            reason: U32::new(self.reason.code()),
            tag: U64::new(self.tag),
        })
    }
}
