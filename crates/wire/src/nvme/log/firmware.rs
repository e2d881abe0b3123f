//! Firmware Slot Information (Base 5.16.1.4, figure 208).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;

/// Which firmware is in which slot: 512 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FirmwareSlots {
    /// Active slot in bits 2:0, the slot active after the next reset in bits 6:4 (AFI).
    pub active: u8,
    reserved1: [u8; 7],
    /// Revisions of slots 1 to 7 (FRS), text; zeros for an empty slot.
    pub revisions: [[u8; 8]; 7],
    reserved64: [u8; 448],
}

page!(FirmwareSlots, 512);
