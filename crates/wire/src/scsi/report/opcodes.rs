//! REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

codes! {
    /// REPORTING OPTIONS (SPC-4, table 302).
    pub enum Reporting: u8 {
        All = 0, "all commands";
        Code = 1, "one operation code without service actions";
        Action = 2, "one service action";
        CodeOrAction = 3, "one command, whether it has service actions or not";
    }
}

/// A command in the list of all: 8 bytes, then [`Timeouts`] if they were asked for.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CommandDescriptor {
    /// OPERATION CODE.
    pub operation_code: u8,
    reserved1: u8,
    /// SERVICE ACTION, if there is one.
    pub service_action: U16,
    reserved4: u8,
    flags: u8,
    /// CDB LENGTH, in bytes.
    pub cdb_len: U16,
}

/// Before the usage data of one command: 4 bytes; [`Timeouts`] follow if they were asked for.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct OneCommandHeader {
    reserved0: u8,
    support: u8,
    /// CDB SIZE: bytes of usage data.
    pub cdb_len: U16,
}

/// A command timeouts descriptor: 12 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Timeouts {
    len: U16,
    reserved2: u8,
    specific: u8,
    /// NOMINAL COMMAND PROCESSING TIMEOUT, in seconds; 0 is not told.
    pub nominal_seconds: U32,
    /// RECOMMENDED COMMAND TIMEOUT, in seconds; 0 is not told.
    pub recommended_seconds: U32,
}

/// Bytes of [`Timeouts`].
pub const TIMEOUTS_LEN: usize = 12;

/// The task management functions there are: 4 bytes, or 16 in the extended form.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct TaskFunctions {
    first: u8,
    second: u8,
    reserved2: u8,
    additional_len: u8,
    extended: [u8; 12],
}

impl CommandDescriptor {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// A command.
    pub fn new(operation_code: u8, service_action: Option<u8>, cdb_len: usize, timeouts: bool) -> Self {
        Self {
            operation_code,
            service_action: U16::new(service_action.unwrap_or(0).into()),
            flags: u8::from(timeouts) << 1 | u8::from(service_action.is_some()),
            cdb_len: U16::new(cdb_len as u16),
            ..Self::default()
        }
    }

    /// SERVACTV: it has a service action.
    pub const fn has_service_action(&self) -> bool {
        self.flags & 1 != 0
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

impl OneCommandHeader {
    /// Bytes of the structure.
    pub const LEN: usize = 4;

    /// A command that is there as the standard says, with this many bytes of usage data.
    pub fn supported(cdb_len: usize, timeouts: bool) -> Self {
        let support = u8::from(timeouts) << 7 | SUPPORTED;
        Self { support, cdb_len: U16::new(cdb_len as u16), ..Self::default() }
    }

    /// A command that is not there.
    pub fn not_supported() -> Self {
        Self { support: NOT_SUPPORTED, ..Self::default() }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// True if the command is there as the standard says.
    pub const fn is_supported(&self) -> bool {
        self.support & 7 == SUPPORTED
    }

    /// Writes the 4 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl Timeouts {
    /// Times that are not told.
    pub fn unknown() -> Self {
        Self { len: U16::new((TIMEOUTS_LEN - 2) as u16), ..Self::default() }
    }

    /// Writes the 12 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl TaskFunctions {
    /// Bytes of the short form.
    pub const LEN: usize = 4;
    /// Bytes of the extended form.
    pub const EXTENDED_LEN: usize = 16;

    /// Every function of SAM-5.
    pub fn all() -> Self {
        Self {
            first: ATS | ATSS | CACAS | CTSS | LURS | QTS,
            second: QAES | QTSS | ITNRS,
            additional_len: (Self::EXTENDED_LEN - Self::LEN) as u8,
            ..Self::default()
        }
    }

    /// Writes the 4 bytes of the short form to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(&[self.first, self.second, 0, 0], out)
    }

    /// Writes the 16 bytes of the extended form to the front of `out`.
    pub fn encode_extended(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// SUPPORT (SPC-4, table 307).
const NOT_SUPPORTED: u8 = 1;
const SUPPORTED: u8 = 3;
/// ABORT TASK.
const ATS: u8 = 1 << 7;
/// ABORT TASK SET.
const ATSS: u8 = 1 << 6;
/// CLEAR ACA.
const CACAS: u8 = 1 << 5;
/// CLEAR TASK SET.
const CTSS: u8 = 1 << 4;
/// LOGICAL UNIT RESET.
const LURS: u8 = 1 << 3;
/// QUERY TASK.
const QTS: u8 = 1 << 2;
/// QUERY ASYNCHRONOUS EVENT.
const QAES: u8 = 1 << 2;
/// QUERY TASK SET.
const QTSS: u8 = 1 << 1;
/// I_T NEXUS RESET.
const ITNRS: u8 = 1 << 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0xff; 16];
        CommandDescriptor::new(0x9e, Some(0x10), 16, true).encode(&mut out).unwrap();
        assert_eq!(out[..8], [0x9e, 0, 0, 0x10, 0, 3, 0, 16]);
        CommandDescriptor::new(0x12, None, 6, false).encode(&mut out).unwrap();
        assert_eq!(out[..8], [0x12, 0, 0, 0, 0, 0, 0, 6]);
        OneCommandHeader::supported(10, true).encode(&mut out).unwrap();
        assert_eq!(out[..4], [0, 0x83, 0, 10]);
        OneCommandHeader::not_supported().encode(&mut out).unwrap();
        assert_eq!(out[..4], [0, 1, 0, 0]);
        Timeouts::unknown().encode(&mut out).unwrap();
        assert_eq!(out[..12], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        TaskFunctions::all().encode_extended(&mut out).unwrap();
        assert_eq!(out[..5], [0xfc, 7, 0, 12, 0]);
        TaskFunctions::all().encode(&mut out).unwrap();
        assert_eq!(out[..5], [0xfc, 7, 0, 0, 0]);
    }
}
