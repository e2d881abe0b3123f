//! The data of the reservation commands: keys, and the report with its registrants (Base figures 404 to 417).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ReservationType;
use crate::nvme::fabrics::HostId;
use crate::{BufferTooSmall, Truncated};

/// The two keys that are the data of Register (current, new) and Acquire (current, preempted); Release has the first.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ReservationKeys {
    /// Current reservation key (CRKEY).
    pub current: U64,
    /// New (NRKEY) or preempted (PRKEY) reservation key.
    pub other: U64,
}

/// Data of Register and Acquire, in bytes.
pub const RESERVATION_KEYS_LEN: usize = 16;

/// Data of Release, in bytes: the current key alone.
pub const RESERVATION_KEY_LEN: usize = 8;

/// Before the registrants of a report: 24 bytes, or the first 24 of 64 in an extended report.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ReservationStatus {
    /// Changes of registrations and preemptions (GEN).
    pub generation: U32,
    /// Type of the reservation, 0 for none (RTYPE): [`ReservationType`].
    pub kind: u8,
    /// Registered controllers that follow (REGSTRNT).
    pub registrants: U16,
    reserved7: [u8; 2],
    /// 1 if reservations persist through power loss (PTPLS).
    pub persist: u8,
    reserved10: [u8; 14],
}

/// A registered controller, host identifier of 8 bytes: 24 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Registrant {
    /// Controller identifier (CNTLID); FFFFh if the host has no controller now.
    pub controller_id: U16,
    /// 1 if the host holds the reservation (RCSTS).
    pub holder: u8,
    reserved3: [u8; 5],
    /// Host identifier (HOSTID).
    pub host_id: [u8; 8],
    /// Its key (RKEY).
    pub key: U64,
}

/// A registered controller, host identifier of 16 bytes: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExtendedRegistrant {
    /// Controller identifier (CNTLID); FFFFh if the host has no controller now.
    pub controller_id: U16,
    /// 1 if the host holds the reservation (RCSTS).
    pub holder: u8,
    reserved3: [u8; 5],
    /// Its key (RKEY).
    pub key: U64,
    /// Host identifier (HOSTID).
    pub host_id: HostId,
    reserved32: [u8; 32],
}

impl ReservationKeys {
    /// Borrows the keys from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 16 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl ReservationStatus {
    /// Bytes before the first registrant in an extended report; those behind the structure are zero.
    pub const EXTENDED_LEN: usize = 64;

    /// Bytes before the first registrant in a plain report.
    pub const LEN: usize = 24;

    /// A status for this many registrants.
    pub fn new(generation: u32, kind: Option<ReservationType>, registrants: u16, persist: bool) -> Self {
        Self {
            generation: U32::new(generation),
            kind: kind.map_or(0, ReservationType::code),
            registrants: U16::new(registrants),
            persist: u8::from(persist),
            ..Self::default()
        }
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

impl Registrant {
    /// Bytes of the structure.
    pub const LEN: usize = 24;

    /// A registrant.
    pub fn new(controller_id: u16, holder: bool, host_id: [u8; 8], key: u64) -> Self {
        Self {
            controller_id: U16::new(controller_id),
            holder: u8::from(holder),
            host_id,
            key: U64::new(key),
            ..Self::default()
        }
    }

    /// The registrants in `bytes`; a last piece too short is left out.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(Self::LEN).filter_map(|chunk| Self::read_from_bytes(chunk).ok())
    }

    /// Writes the 24 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl ExtendedRegistrant {
    /// Bytes of the structure.
    pub const LEN: usize = 64;

    /// A registrant.
    pub fn new(controller_id: u16, holder: bool, host_id: HostId, key: u64) -> Self {
        let mut registrant = Self::new_zeroed();
        registrant.controller_id = U16::new(controller_id);
        registrant.holder = u8::from(holder);
        registrant.host_id = host_id;
        registrant.key = U64::new(key);
        registrant
    }

    /// The registrants in `bytes`; a last piece too short is left out.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(Self::LEN).filter_map(|chunk| Self::read_from_bytes(chunk).ok())
    }

    /// Writes the 64 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_report_survives_its_bytes() {
        assert_eq!(size_of::<ReservationStatus>(), ReservationStatus::LEN);
        assert_eq!(size_of::<Registrant>(), Registrant::LEN);
        assert_eq!(size_of::<ExtendedRegistrant>(), ExtendedRegistrant::LEN);
        let mut bytes = [0; 88];
        let status = ReservationStatus::new(3, Some(ReservationType::ExclusiveAccess), 1, true);
        status.encode(&mut bytes).unwrap();
        assert_eq!(bytes[..10], [3, 0, 0, 0, 2, 1, 0, 0, 0, 1]);
        let registrant = ExtendedRegistrant::new(5, true, [7; 16], 0xabcd);
        registrant.encode(&mut bytes[24..]).unwrap();
        assert_eq!(ExtendedRegistrant::all(&bytes[24..]).collect::<Vec<_>>(), [registrant]);
        assert_eq!(bytes[24 + 8..24 + 10], [0xcd, 0xab]);
        let short = Registrant::new(5, false, [8; 8], 1);
        assert_eq!(Registrant::all(short.as_bytes()).collect::<Vec<_>>(), [short]);
    }
}
