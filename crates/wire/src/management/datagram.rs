//! The header that all management datagrams have (13.4.2, figure 144), and what follows it.

use thiserror::Error;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cm::MAD_LEN;

codes! {
    /// What is to be done with an attribute, or was (13.4.5, table 114).
    pub enum Method: u8 {
        Get = 0x01, "Get";
        Set = 0x02, "Set";
        Send = 0x03, "Send";
        Trap = 0x05, "Trap";
        Report = 0x06, "Report";
        TrapRepress = 0x07, "TrapRepress";
        GetResponse = 0x81, "GetResp";
        ReportResponse = 0x86, "ReportResp";
    }
}

/// A datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Management class (13.4.4).
    pub class: u8,
    /// The class's version.
    pub class_version: u8,
    /// See [`Method`]; classes have more of their own. Of a response the bit [`RESPONSE`] is set.
    pub method: u8,
    /// How it went (13.4.7); of a request 0.
    pub status: u16,
    /// Sixteen bits of the class's own.
    pub class_specific: u16,
    /// Who asks chooses it, who answers repeats it.
    pub transaction: u64,
    /// Which attribute of the class.
    pub attribute: u16,
    /// Which one of several, or which part.
    pub modifier: u32,
    /// The rest.
    pub data: [u8; DATA_LEN],
}

/// Bytes that are no management datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DatagramError {
    /// Management datagrams have 256 bytes.
    #[error("a management datagram has 256 bytes, not {0}")]
    Length(usize),
    /// The header is of another version.
    #[error("management datagrams of version {0} are not known")]
    Version(u8),
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    base_version: u8,
    class: u8,
    class_version: u8,
    method: u8,
    status: U16,
    class_specific: U16,
    transaction: U64,
    attribute: U16,
    reserved: U16,
    modifier: U32,
    data: [u8; DATA_LEN],
}

impl Datagram {
    /// Reads a datagram.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let layout = Layout::ref_from_bytes(bytes).map_err(|_| DatagramError::Length(bytes.len()))?;
        if layout.base_version != BASE_VERSION {
            return Err(DatagramError::Version(layout.base_version));
        }
        Ok(Self {
            class: layout.class,
            class_version: layout.class_version,
            method: layout.method,
            status: layout.status.get(),
            class_specific: layout.class_specific.get(),
            transaction: layout.transaction.get(),
            attribute: layout.attribute.get(),
            modifier: layout.modifier.get(),
            data: layout.data,
        })
    }

    /// The datagram's bytes.
    pub fn encode(&self) -> [u8; MAD_LEN] {
        zerocopy::transmute!(Layout {
            base_version: BASE_VERSION,
            class: self.class,
            class_version: self.class_version,
            method: self.method,
            status: U16::new(self.status),
            class_specific: U16::new(self.class_specific),
            transaction: U64::new(self.transaction),
            attribute: U16::new(self.attribute),
            reserved: U16::ZERO,
            modifier: U32::new(self.modifier),
            data: self.data,
        })
    }

    /// Whether it answers another.
    pub const fn is_response(&self) -> bool {
        self.method & RESPONSE != 0
    }
}

/// The class of a datagram, if there is enough of it to tell.
pub fn class_of(bytes: &[u8]) -> Option<u8> {
    bytes.get(1).copied()
}

/// Bytes after the header.
pub const DATA_LEN: usize = MAD_LEN - 24;
/// Set in the methods of responses.
pub const RESPONSE: u8 = 0x80;
const BASE_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cm::{Message, ReadyToUse};

    #[test]
    fn communication_management_has_the_same_header() {
        let ready = ReadyToUse { local_id: 1, remote_id: 2, private_data: [7; 224] };
        let bytes = Message::ReadyToUse(ready).encode(0x0102_0304_0506_0708);
        let datagram = Datagram::decode(&bytes).unwrap();
        assert_eq!((datagram.class, datagram.class_version, datagram.method), (7, 2, Method::Send.code()));
        assert_eq!((datagram.transaction, datagram.attribute), (0x0102_0304_0506_0708, 0x14));
        assert_eq!(datagram.encode(), bytes);
    }

    #[test]
    fn what_is_no_datagram_is_refused() {
        let mut bytes = [0; MAD_LEN];
        assert_eq!(Datagram::decode(&bytes), Err(DatagramError::Version(0)));
        assert_eq!(Datagram::decode(&bytes[1..]), Err(DatagramError::Length(255)));
        bytes[0] = 1;
        assert!(Datagram::decode(&bytes).is_ok_and(|datagram| !datagram.is_response()));
        assert_eq!((class_of(&bytes), class_of(&bytes[..1])), (Some(0), None));
    }
}
