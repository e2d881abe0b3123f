//! Error Information: one entry for each failed command that set "more" (Base 5.16.1.2, figure 206).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;

/// An entry of the error log, newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ErrorEntry {
    /// Ordinal of the error, from 1; 0 marks an entry not used.
    pub error_count: U64,
    /// Submission queue of the command.
    pub queue_id: U16,
    /// Its command identifier.
    pub command_id: U16,
    /// The status field as in the completion, phase tag in bit 0.
    pub status: U16,
    /// The parameter in error: byte of the command in bits 7:0, bit in bits 10:8; FFFFh for none.
    pub parameter_location: U16,
    /// First logical block in error.
    pub logical_block: U64,
    /// Namespace of the command.
    pub namespace_id: U32,
    /// Vendor specific log page with more information, 0 for none.
    pub vendor_page: u8,
    /// Transport type (TRTYPE): [`super::TransportType`].
    pub transport: u8,
    reserved30: [u8; 2],
    /// Command specific information.
    pub command_specific: U64,
    /// Transport specific information.
    pub transport_specific: U16,
    reserved42: [u8; 22],
}

page!(ErrorEntry, 64);
