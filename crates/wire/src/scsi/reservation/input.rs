//! The data of PERSISTENT RESERVE IN (SPC-4, sections 6.14.2 to 6.14.5).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::PersistentType;
use crate::{BufferTooSmall, Truncated};

/// Before the data of READ KEYS, READ RESERVATION and READ FULL STATUS: 8 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ReserveInHeader {
    /// PRGENERATION: counts changes of registrations and preemptions.
    pub generation: U32,
    /// ADDITIONAL LENGTH: bytes that there are behind this, asked for or not.
    pub additional_len: U32,
}

/// Bytes of [`ReserveInHeader`].
pub const RESERVE_IN_HEADER_LEN: usize = 8;

/// The reservation in READ RESERVATION's data: 16 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct HeldReservation {
    /// The holder's key; 0 if all registrants hold it.
    pub key: U64,
    obsolete8: [u8; 4],
    reserved12: u8,
    scope_type: u8,
    obsolete14: [u8; 2],
}

/// The front of a registration in READ FULL STATUS's data: 24 bytes; a TransportID follows.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct FullStatus {
    /// The key.
    pub key: U64,
    reserved8: [u8; 4],
    flags: u8,
    scope_type: u8,
    reserved14: [u8; 4],
    /// RELATIVE TARGET PORT IDENTIFIER of the nexus.
    pub target_port: U16,
    /// ADDITIONAL DESCRIPTOR LENGTH: bytes of the TransportID.
    pub transport_id_len: U32,
}

/// The data of REPORT CAPABILITIES: 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Capabilities {
    len: U16,
    flags: u8,
    flags3: u8,
    types: [u8; 2],
    reserved6: [u8; 2],
}

impl ReserveInHeader {
    /// A header.
    pub fn new(generation: u32, additional_len: u32) -> Self {
        Self { generation: U32::new(generation), additional_len: U32::new(additional_len) }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 8 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl HeldReservation {
    /// Bytes of the structure.
    pub const LEN: usize = 16;

    /// A reservation of the logical unit.
    pub fn new(key: u64, kind: PersistentType) -> Self {
        Self { key: U64::new(key), scope_type: kind.code(), ..Self::default() }
    }

    /// Its type, if that is not reserved.
    pub fn kind(&self) -> Option<PersistentType> {
        PersistentType::from_code(self.scope_type & 0x0f)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 16 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl FullStatus {
    /// Bytes before the TransportID.
    pub const LEN: usize = 24;

    /// A registration; `held` is the type of the reservation if this registrant holds one.
    pub fn new(key: u64, held: Option<PersistentType>, target_port: u16, transport_id_len: u32) -> Self {
        Self {
            key: U64::new(key),
            flags: u8::from(held.is_some()),
            scope_type: held.map_or(0, PersistentType::code),
            target_port: U16::new(target_port),
            transport_id_len: U32::new(transport_id_len),
            ..Self::default()
        }
    }

    /// The type of the reservation, if this registrant holds it (R_HOLDER).
    pub fn held(&self) -> Option<PersistentType> {
        if self.flags & 1 == 0 { None } else { PersistentType::from_code(self.scope_type & 0x0f) }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 24 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl Capabilities {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// Everything but REPLACE LOST RESERVATION: RESERVE and RELEASE coexist (CRH), other initiator ports (SIP_C) and all
    /// target ports (ATP_C) can be registered, all six types are there. `can_persist`: PTPL_C; `persists`: PTPL_A.
    ///
    /// ALLOW COMMANDS is 3: TEST UNIT READY is let through by every type, and what only reads settings by the write
    /// exclusive ones.
    pub fn new(can_persist: bool, persists: bool) -> Self {
        Self {
            len: U16::new(8),
            flags: CRH | SIP_C | ATP_C | u8::from(can_persist),
            flags3: TMV | 3 << 4 | u8::from(persists),
            types: [0xea, 0x01],
            reserved6: [0; 2],
        }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// PTPL_A: the state persists through power loss.
    pub const fn persists(&self) -> bool {
        self.flags3 & 1 != 0
    }

    /// Writes the 8 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

const CRH: u8 = 1 << 4;
const SIP_C: u8 = 1 << 3;
const ATP_C: u8 = 1 << 2;
/// The mask of types is valid.
const TMV: u8 = 1 << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0; 24];
        ReserveInHeader::new(0x0102_0304, 16).encode(&mut out).unwrap();
        assert_eq!(out[..8], [1, 2, 3, 4, 0, 0, 0, 16]);
        HeldReservation::new(9, PersistentType::ExclusiveAccess).encode(&mut out).unwrap();
        assert_eq!(out[..16], [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 3, 0, 0]);
        FullStatus::new(9, Some(PersistentType::WriteExclusive), 2, 44).encode(&mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 44]);
        Capabilities::new(true, false).encode(&mut out).unwrap();
        assert_eq!(out[..8], [0, 8, 0x1d, 0xb0, 0xea, 0x01, 0, 0]);
    }
}
