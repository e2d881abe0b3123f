//! The services of an I/O controller (ServiceEntries, 16.3.3.5), and what SRP calls its own (T10 SRP, annex B.7, table B.8).

use crate::{Truncated, view};
use zerocopy::big_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A service: what it is called, and what to ask the connection manager for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceEntry {
    /// Its name.
    pub name: ServiceName,
    /// Its service id.
    pub id: u64,
}

/// The name of a service: text, zeros behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceName(pub [u8; 40]);

/// Four services: those that a request named, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceEntries(pub [ServiceEntry; SERVICES_AT_ONCE]);

/// Services of one attribute.
pub const SERVICES_AT_ONCE: usize = 4;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    name: [u8; 40],
    id: U64,
}

impl ServiceName {
    /// The name of an SRP target port's service: which extension of its controller's identifier it has.
    pub fn srp(extension: u64) -> Self {
        let mut bytes = [0; 40];
        for (place, byte) in bytes.iter_mut().zip(PREFIX) {
            *place = *byte;
        }
        for (at, place) in bytes.iter_mut().skip(PREFIX.len()).take(DIGITS).enumerate() {
            let digit = (extension >> (60 - 4 * at)) as u8 & 0xf;
            *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        Self(bytes)
    }

    /// The extension of an SRP target port's identifier, if it is one's name.
    pub fn srp_extension(&self) -> Option<u64> {
        let digits = self.0.strip_prefix(PREFIX)?.get(..DIGITS)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
    }
}

impl Default for ServiceName {
    fn default() -> Self {
        Self([0; 40])
    }
}

impl ServiceEntries {
    /// Bytes of the attribute.
    pub const LEN: usize = size_of::<[Layout; SERVICES_AT_ONCE]>();

    /// Reads the attribute.
    pub fn decode(bytes: &[u8]) -> Result<Self, Truncated> {
        let layouts: &[Layout; SERVICES_AT_ONCE] = view(bytes)?;
        Ok(Self(layouts.map(|Layout { name, id }| ServiceEntry { name: ServiceName(name), id: id.get() })))
    }

    /// The attribute.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let layout = |entry: ServiceEntry| Layout { name: entry.name.0, id: U64::new(entry.id) };
        zerocopy::transmute!(self.0.map(layout))
    }
}

const PREFIX: &[u8] = b"SRP.T10:";
const DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srp_services_are_named_after_their_extension() {
        let name = ServiceName::srp(0x5054_00ff_fe77_000b);
        assert_eq!(&name.0[..25], b"SRP.T10:505400fffe77000b\0");
        assert_eq!(name.srp_extension(), Some(0x5054_00ff_fe77_000b));
        let mut other = name;
        other.0[8] = b'+';
        assert_eq!(other.srp_extension(), None);
        other.0[8] = b'A';
        assert_eq!(other.srp_extension(), Some(0xa054_00ff_fe77_000b));
        assert_eq!(ServiceName::default().srp_extension(), None);
    }

    #[test]
    fn four_entries_fill_the_attribute() {
        let mut entries = ServiceEntries::default();
        entries.0[1] = ServiceEntry { name: ServiceName::srp(1), id: 0x0102_0304_0506_0708 };
        let bytes = entries.encode();
        assert_eq!(
            (bytes.len(), &bytes[88..96]),
            (super::super::ATTRIBUTE_LEN, &[1, 2, 3, 4, 5, 6, 7, 8][..])
        );
        assert_eq!(ServiceEntries::decode(&bytes), Ok(entries));
    }
}
