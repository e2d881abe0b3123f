//! TransportIDs: what an initiator port is called (SPC-4, section 7.6.4).

use core::{fmt, str};

/// The name of an initiator port, in the bytes by which PERSISTENT RESERVE commands name it. Held by value; equal names
/// have equal bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId {
    // Zero behind `len`, so that derived comparisons see the name alone.
    len: u16,
    bytes: [u8; TransportId::LEN_MAX],
}

/// Why bytes are no TransportID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportIdError {
    /// They end before the TransportID does.
    #[error("the TransportID is cut off")]
    Truncated,
    /// A transport that carries nothing here.
    #[error("protocol identifier {0:#x} is not supported")]
    Protocol(u8),
    /// A form the transport does not have.
    #[error("TransportID format {0} is reserved")]
    Format(u8),
    /// An iSCSI name that is too long, not terminated, not text, or without the part its form asks for.
    #[error("the iSCSI name in the TransportID is malformed")]
    Name,
}

impl TransportId {
    /// The longest there is: an iSCSI name of 223 bytes, separator, session identifier and end, padded.
    pub const LEN_MAX: usize = 4 + (ISCSI_NAME_LEN_MAX + ISID_TEXT_LEN + 1).next_multiple_of(4);

    /// The port of an iSCSI initiator that opened a session with this identifier (ISID; SPC-4, table 508). The name is cut
    /// to what an iSCSI name can have, and made lower case, as RFC 3722 has it already.
    pub fn iscsi(name: &str, isid: [u8; 6]) -> Self {
        let name = name.as_bytes();
        let name = name.get(..ISCSI_NAME_LEN_MAX).unwrap_or(name);
        let mut text = [0; ISCSI_NAME_LEN_MAX + ISID_TEXT_LEN];
        let text = &mut text[..name.len() + ISID_TEXT_LEN];
        let (front, rest) = text.split_at_mut(name.len());
        front.copy_from_slice(name);
        let (separator, digits) = rest.split_at_mut(ISID_SEPARATOR.len());
        separator.copy_from_slice(ISID_SEPARATOR);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(isid) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 0xf)];
        }
        Self::hold_iscsi(FORMAT_PORT, text)
    }

    /// An SRP initiator port (SPC-4, table 509).
    pub fn srp(identifier: [u8; 16]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        bytes[0] = PROTOCOL_SRP;
        bytes[8..24].copy_from_slice(&identifier);
        Self { len: FIXED_LEN as u16, bytes }
    }

    /// Reads the TransportID at the front of `bytes`, and says how many bytes it took.
    ///
    /// An iSCSI name is brought into the form that [`TransportId::iscsi`] gives, so that padding or the case of the
    /// ISID's digits make no difference.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), TransportIdError> {
        let fixed = bytes.get(..FIXED_LEN).ok_or(TransportIdError::Truncated)?;
        match (fixed[0] & 0x0f, fixed[0] >> 6) {
            (PROTOCOL_SRP, 0) => {
                let mut identifier = [0; 16];
                identifier.copy_from_slice(&fixed[8..24]);
                Ok((Self::srp(identifier), FIXED_LEN))
            }
            (PROTOCOL_ISCSI, format @ (FORMAT_DEVICE | FORMAT_PORT)) => {
                let len = 4 + usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
                let text = bytes.get(4..len).ok_or(TransportIdError::Truncated)?;
                if len < FIXED_LEN || len % 4 != 0 {
                    return Err(TransportIdError::Name);
                }
                Ok((Self::read_iscsi(format, text)?, len))
            }
            (PROTOCOL_SRP | PROTOCOL_ISCSI, format) => Err(TransportIdError::Format(format)),
            (protocol, _) => Err(TransportIdError::Protocol(protocol)),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The iSCSI name, if this is an iSCSI TransportID.
    pub fn iscsi_name(&self) -> Option<&str> {
        let (name, _) = self.iscsi_text()?;
        Some(name)
    }

    /// True if this names a whole iSCSI initiator device, which stands for all of its ports that are known.
    pub fn is_device(&self) -> bool {
        self.bytes[0] & 0x0f == PROTOCOL_ISCSI && self.bytes[0] >> 6 == FORMAT_DEVICE
    }

    /// True if `port` is the same port, or one of the device that this names.
    pub fn covers(&self, port: &Self) -> bool {
        if self.is_device() { self.iscsi_name() == port.iscsi_name() } else { self == port }
    }

    /// The name and what follows it, of an iSCSI TransportID.
    fn iscsi_text(&self) -> Option<(&str, &str)> {
        if self.bytes[0] & 0x0f != PROTOCOL_ISCSI {
            return None;
        }
        let text = self.as_bytes().get(4..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        let text = str::from_utf8(&text[..end]).ok()?;
        Some(text.split_once(',').unwrap_or((text, "")))
    }

    fn read_iscsi(format: u8, text: &[u8]) -> Result<Self, TransportIdError> {
        let end = text.iter().position(|byte| *byte == 0).ok_or(TransportIdError::Name)?;
        let text = str::from_utf8(&text[..end]).map_err(|_| TransportIdError::Name)?;
        if format == FORMAT_DEVICE {
            let fits = !text.is_empty() && text.len() <= ISCSI_NAME_LEN_MAX && !text.contains(',');
            return if fits {
                Ok(Self::hold_iscsi(format, text.as_bytes()))
            } else {
                Err(TransportIdError::Name)
            };
        }
        let (name, digits) = text.split_once(",i,0x").ok_or(TransportIdError::Name)?;
        if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(TransportIdError::Name);
        }
        let isid = u64::from_str_radix(digits, 16).map_err(|_| TransportIdError::Name)?;
        let [_, _, isid @ ..] = isid.to_be_bytes();
        let fits = !name.is_empty() && name.len() <= ISCSI_NAME_LEN_MAX;
        if fits { Ok(Self::iscsi(name, isid)) } else { Err(TransportIdError::Name) }
    }

    /// `text` is at most a name and an ISID.
    fn hold_iscsi(format: u8, text: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        // A zero at least follows the name.
        let padded = (text.len() + 1).next_multiple_of(4).max(FIXED_LEN - 4);
        bytes[0] = format << 6 | PROTOCOL_ISCSI;
        bytes[2..4].copy_from_slice(&(padded as u16).to_be_bytes());
        bytes[4..4 + text.len()].copy_from_slice(text);
        bytes[4..].make_ascii_lowercase();
        Self { len: (4 + padded) as u16, bytes }
    }
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.iscsi_text() {
            Some((name, "")) => f.write_str(name),
            Some((name, port)) => write!(f, "{name},{port}"),
            None => {
                f.write_str("srp.")?;
                self.bytes[8..24].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportId({self})")
    }
}

/// Bytes of the shortest, and of all that are not iSCSI's.
const FIXED_LEN: usize = 24;
/// Bytes of an iSCSI name (RFC 7143, section 4.2.7.1).
const ISCSI_NAME_LEN_MAX: usize = 223;
const ISID_SEPARATOR: &[u8] = b",i,0x";
const ISID_TEXT_LEN: usize = ISID_SEPARATOR.len() + 12;
const HEX: &[u8; 16] = b"0123456789abcdef";
const PROTOCOL_SRP: u8 = 4;
const PROTOCOL_ISCSI: u8 = 5;
/// TPID format: the initiator device.
const FORMAT_DEVICE: u8 = 0;
/// TPID format: the initiator port.
const FORMAT_PORT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec;

    const NAME: &str = "iqn.2026-01.org.example:a";

    #[test]
    fn an_iscsi_port_reads_back() {
        let id = TransportId::iscsi(NAME, [0x80, 0, 0, 0xab, 0, 1]);
        assert_eq!(id.to_string(), "iqn.2026-01.org.example:a,i,0x800000ab0001");
        assert_eq!(id.as_bytes()[..4], [0x45, 0, 0, 44]);
        assert_eq!(TransportId::read(id.as_bytes()), Ok((id, 48)));
        let shouted = id.as_bytes().iter().map(|byte| if *byte == b'b' { b'B' } else { *byte });
        let mut shouted: vec::Vec<u8> = shouted.collect();
        shouted[3] += 4;
        shouted.extend([0; 4]);
        assert_eq!(TransportId::read(&shouted), Ok((id, 52)));
        let longest = TransportId::iscsi(&"n".repeat(223), [0; 6]);
        assert_eq!(longest.as_bytes().len(), TransportId::LEN_MAX);
        assert_eq!(TransportId::iscsi(&"n".repeat(300), [0; 6]), longest);
        for len in 1..60 {
            let id = TransportId::iscsi(&"N".repeat(len), [1; 6]);
            assert_eq!(TransportId::read(id.as_bytes()), Ok((id, id.as_bytes().len())));
            assert_eq!(id.iscsi_name(), Some(&*"n".repeat(len)));
        }
    }

    #[test]
    fn a_device_covers_its_ports() {
        let mut bytes = [0; 32];
        bytes[0] = 5;
        bytes[3] = 28;
        bytes[4..4 + NAME.len()].copy_from_slice(NAME.as_bytes());
        let (device, 32) = TransportId::read(&bytes).unwrap() else { panic!() };
        let port = TransportId::iscsi(NAME, [1; 6]);
        let other = TransportId::iscsi("iqn.2026-01.org.example:b", [1; 6]);
        assert!(device.covers(&port) && !device.covers(&other) && !port.covers(&device));
        assert!(device.is_device() && !port.is_device());
    }

    #[test]
    fn an_srp_port_reads_back() {
        let id = TransportId::srp([0xa5; 16]);
        assert_eq!(TransportId::read(id.as_bytes()), Ok((id, 24)));
        assert_eq!(id.to_string(), "srp.a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
    }

    #[test]
    fn odd_bytes_are_refused() {
        let id = TransportId::iscsi(NAME, [1; 6]);
        let good = id.as_bytes();
        let with = |at: usize, value: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            TransportId::read(&bytes).map(|_| ())
        };
        assert_eq!(TransportId::read(&good[..23]), Err(TransportIdError::Truncated));
        assert_eq!(TransportId::read(&good[..47]), Err(TransportIdError::Truncated));
        assert_eq!(with(0, 0xc5), Err(TransportIdError::Format(3)));
        assert_eq!(with(0, 0x46), Err(TransportIdError::Protocol(6)));
        assert_eq!(with(3, 43), Err(TransportIdError::Name), "not a multiple of four");
        assert_eq!(with(5, 0xff), Err(TransportIdError::Name), "no text");
        assert_eq!(with(40, b'g'), Err(TransportIdError::Name), "no digit");
        assert_eq!(with(0, 0x05), Err(TransportIdError::Name), "a device with a port");
    }
}
