//! TransportID: an initiator port's name, as persistent reservations write it.

use core::fmt;

/// An initiator port's name as a TransportID (SPC-4, section 7.6.4): protocol identifier, format and name, padded to a
/// multiple of four bytes. Two are the same port if their bytes are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId {
    len: u16,
    bytes: [u8; TransportId::LEN_MAX],
}

impl TransportId {
    /// The longest there is: an iSCSI name of 223 bytes, separator, session identifier and end, padded.
    pub const LEN_MAX: usize = 4 + 244;

    /// The port of an iSCSI initiator that opened a session with this identifier (ISID). The name is cut to what an
    /// iSCSI name can have, and made lower case, as RFC 3722 has it already.
    pub fn iscsi(name: &str, isid: [u8; 6]) -> Self {
        let mut id = Self { len: 4, bytes: [0; Self::LEN_MAX] };
        id.bytes[0] = FORMAT_WITH_ISID | PROTOCOL_ISCSI;
        id.append(name.as_bytes().get(..ISCSI_NAME_MAX).unwrap_or(name.as_bytes()));
        id.bytes[4..].make_ascii_lowercase();
        id.append(b",i,0x");
        for byte in isid {
            id.append(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        // At least one NUL ends the name.
        id.len = (id.len + 1).next_multiple_of(4);
        let additional = id.len - 4;
        id.bytes[2..4].copy_from_slice(&additional.to_be_bytes());
        id
    }

    /// An SRP initiator port.
    pub fn srp(port: [u8; 16]) -> Self {
        let mut id = Self { len: 24, bytes: [0; Self::LEN_MAX] };
        id.bytes[0] = PROTOCOL_SRP;
        id.bytes[8..24].copy_from_slice(&port);
        id
    }

    /// The TransportID at the start of `data`, if it is one of these formats: as long as it says, and no longer than one
    /// can be.
    pub fn read(data: &[u8]) -> Option<Self> {
        let &[first, _, high, low, ..] = data else { return None };
        let len = match first & 0x0f {
            PROTOCOL_ISCSI => 4 + usize::from(u16::from_be_bytes([high, low])),
            PROTOCOL_SRP => 24,
            _ => return None,
        };
        let whole = data.get(..len).filter(|_| len <= Self::LEN_MAX && len.is_multiple_of(4))?;
        let mut id = Self { len: len as u16, bytes: [0; Self::LEN_MAX] };
        id.bytes[..len].copy_from_slice(whole);
        Some(id)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn append(&mut self, part: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + part.len()].copy_from_slice(part);
        self.len += part.len() as u16;
    }
}

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportId({})", self.as_bytes()[4..].escape_ascii())
    }
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Protocol identifiers (SPC-4, table 436).
const PROTOCOL_SRP: u8 = 0x4;
const PROTOCOL_ISCSI: u8 = 0x5;
/// FORMAT CODE of an iSCSI TransportID with a session identifier.
const FORMAT_WITH_ISID: u8 = 0x40;
/// RFC 7143, section 4.2.7.1.
const ISCSI_NAME_MAX: usize = 223;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iscsi_port() {
        let id = TransportId::iscsi("iqn.2007-10.com.github:x", [0x80, 1, 2, 3, 0xab, 0xcd]);
        let mut bytes = b"\x45\0\0\x2ciqn.2007-10.com.github:x,i,0x80010203abcd".to_vec();
        bytes.resize(48, 0);
        assert_eq!(id.as_bytes(), bytes);
        assert_eq!(TransportId::read(&bytes), Some(id));
        assert_eq!(TransportId::read(&bytes[..47]), None);
        let long = TransportId::iscsi(&"x".repeat(300), [0; 6]);
        assert_eq!(long.as_bytes().len(), TransportId::LEN_MAX);
    }

    #[test]
    fn an_srp_port() {
        let id = TransportId::srp([7; 16]);
        assert_eq!((id.as_bytes().len(), &id.as_bytes()[8..]), (24, &[7; 16][..]));
    }

    #[test]
    fn names_end() {
        for len in 0..60 {
            let id = TransportId::iscsi(&"n".repeat(len), [1; 6]);
            assert!(id.as_bytes().len().is_multiple_of(4));
            assert_eq!(id.as_bytes().last(), Some(&0));
        }
    }
}
