//! Asymmetric logical unit access: REPORT and SET TARGET PORT GROUPS.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

codes! {
    /// ASYMMETRIC ACCESS STATE (SPC-4, table 321).
    pub enum AccessState: u8 {
        ActiveOptimized = 0x0, "active/optimized";
        ActiveNonOptimized = 0x1, "active/non-optimized";
        Standby = 0x2, "standby";
        Unavailable = 0x3, "unavailable";
        Transitioning = 0xf, "transitioning";
    }
}

codes! {
    /// STATUS CODE: what brought a group into its state (SPC-4, table 323).
    pub enum StatusCode: u8 {
        None = 0, "nothing";
        Explicit = 1, "SET TARGET PORT GROUPS";
        Implicit = 2, "the device itself";
    }
}

/// Before the groups: 4 bytes, or 8 in the extended form.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct GroupReportHeader {
    /// RETURN DATA LENGTH: bytes behind this field.
    pub len: U32,
    format: u8,
    /// IMPLICIT TRANSITION TIME, in seconds; 0 is not told.
    pub transition_seconds: u8,
    reserved6: [u8; 2],
}

/// A group, before its ports: 8 bytes. Each port is 4 bytes with its relative identifier in the last two.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct GroupDescriptor {
    state: u8,
    supported: u8,
    /// TARGET PORT GROUP.
    pub group: U16,
    reserved4: u8,
    status: u8,
    vendor6: u8,
    /// TARGET PORT COUNT.
    pub ports: u8,
}

/// A group in SET TARGET PORT GROUPS: 4 bytes; the first stands behind 4 reserved ones.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SetGroupDescriptor {
    state: u8,
    reserved1: u8,
    /// TARGET PORT GROUP.
    pub group: U16,
}

impl GroupReportHeader {
    /// Bytes of the short form.
    pub const LEN: usize = 4;
    /// Bytes of the extended form.
    pub const EXTENDED_LEN: usize = 8;

    /// Writes the short form, for `len` bytes of groups.
    pub fn encode(len: usize, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(&U32::new(len as u32), out)
    }

    /// Writes the extended form, for `len` bytes of groups.
    pub fn encode_extended(len: usize, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let behind = Self::EXTENDED_LEN - Self::LEN + len;
        let header = Self { len: U32::new(behind as u32), format: 1 << 4, ..Self::default() };
        crate::put(&header, out)
    }
}

impl GroupDescriptor {
    /// Bytes before the ports.
    pub const LEN: usize = 8;
    /// Bytes of a port.
    pub const PORT_LEN: usize = 4;

    /// A group that can be in every state but offline.
    pub fn new(group: u16, state: AccessState, preferred: bool, status: StatusCode, ports: u8) -> Self {
        Self {
            state: u8::from(preferred) << 7 | state.code(),
            supported: T_SUP | U_SUP | S_SUP | AN_SUP | AO_SUP,
            group: U16::new(group),
            status: status.code(),
            ports,
            ..Self::default()
        }
    }

    /// Its state, if it is not reserved.
    pub fn state(&self) -> Option<AccessState> {
        AccessState::from_code(self.state & 0x0f)
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

impl SetGroupDescriptor {
    /// Bytes of the structure.
    pub const LEN: usize = 4;

    /// A group that is to be in this state.
    pub fn new(group: u16, state: AccessState) -> Self {
        Self { state: state.code(), reserved1: 0, group: U16::new(group) }
    }

    /// The state it is to be in, if that is not reserved.
    pub fn state(&self) -> Option<AccessState> {
        AccessState::from_code(self.state & 0x0f)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }
}

const T_SUP: u8 = 1 << 7;
const U_SUP: u8 = 1 << 3;
const S_SUP: u8 = 1 << 2;
const AN_SUP: u8 = 1 << 1;
const AO_SUP: u8 = 1 << 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0xff; 8];
        GroupReportHeader::encode(12, &mut out).unwrap();
        assert_eq!(out[..4], [0, 0, 0, 12]);
        GroupReportHeader::encode_extended(12, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 16, 0x10, 0, 0, 0]);
        let group = GroupDescriptor::new(3, AccessState::Standby, true, StatusCode::Explicit, 2);
        group.encode(&mut out).unwrap();
        assert_eq!(out, [0x82, 0x8f, 0, 3, 0, 1, 0, 2]);
        assert_eq!(group.state(), Some(AccessState::Standby));
        let set = SetGroupDescriptor::view(&[1, 0, 0, 3]).unwrap();
        assert_eq!((set.state(), set.group.get()), (Some(AccessState::ActiveNonOptimized), 3));
    }
}
