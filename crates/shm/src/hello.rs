//! Messages of a link: they carry no data, but say what the memory is that they bring.

use crate::config::{BYTES_MAX, RECORDS_MAX, RECORDS_MIN};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one end says to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// The first of each end, with its area.
    Hello(Hello),
    /// Published memory has this number from now on.
    Memory(u16),
    /// The memory with this number is gone.
    Forget(u16),
    /// There is something in the area.
    Bell,
}

/// Who an end is, and what its area is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    /// The device's address and port.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Records in its ring.
    pub(crate) records: u32,
    /// Bytes in its ring of bytes.
    pub(crate) bytes: u32,
}

impl Message {
    /// Its bytes; says how many.
    pub(crate) fn encode(&self, out: &mut [u8; LEN_MAX]) -> usize {
        *out = [0; LEN_MAX];
        match self {
            Self::Bell => {
                out[0] = BELL;
                1
            }
            Self::Memory(number) | Self::Forget(number) => {
                out[0] = if matches!(self, Self::Memory(_)) { MEMORY } else { FORGET };
                out[1..3].copy_from_slice(&number.to_le_bytes());
                3
            }
            Self::Hello(hello) => {
                out[0] = HELLO;
                out[1..9].copy_from_slice(&MAGIC);
                match hello.address {
                    IpAddr::V4(v4) => {
                        out[9] = 4;
                        out[10..14].copy_from_slice(&v4.octets());
                    }
                    IpAddr::V6(v6) => {
                        out[9] = 6;
                        out[10..26].copy_from_slice(&v6.octets());
                    }
                }
                out[26..28].copy_from_slice(&hello.port.to_le_bytes());
                out[28..32].copy_from_slice(&hello.records.to_le_bytes());
                out[32..36].copy_from_slice(&hello.bytes.to_le_bytes());
                LEN_MAX
            }
        }
    }

    /// What the bytes mean, if anything.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match (bytes.first()?, bytes.len()) {
            (&BELL, 1) => Some(Self::Bell),
            (&MEMORY, 3) => Some(Self::Memory(u16::from_le_bytes([bytes[1], bytes[2]]))),
            (&FORGET, 3) => Some(Self::Forget(u16::from_le_bytes([bytes[1], bytes[2]]))),
            (&HELLO, LEN_MAX) => Hello::decode(bytes).map(Self::Hello),
            _ => None,
        }
    }
}

impl Hello {
    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.get(1..9)? != MAGIC {
            return None;
        }
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let address = match bytes.get(9)? {
            4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(10..14)?).ok()?).into(),
            6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(10..26)?).ok()?).into(),
            _ => return None,
        };
        let port = u16::from_le_bytes(bytes.get(26..28)?.try_into().ok()?);
        let hello = Self { address, port, records: word(28)?, bytes: word(32)? };
        let is_sane = (RECORDS_MIN..=RECORDS_MAX).contains(&hello.records)
            && hello.records.is_power_of_two()
            && hello.bytes <= BYTES_MAX;
        is_sane.then_some(hello)
    }
}

const HELLO: u8 = 1;
const MEMORY: u8 = 2;
const FORGET: u8 = 3;
const BELL: u8 = 4;

/// What it is, and the version of all that follows.
const MAGIC: [u8; 8] = *b"weftshm\x01";

/// Bytes of the longest message.
pub(crate) const LEN_MAX: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_was_said() {
        let mut hello =
            Hello { address: Ipv4Addr::LOCALHOST.into(), port: 4791, records: 1024, bytes: 1 << 20 };
        let mut bytes = [0; LEN_MAX];
        for message in [Message::Bell, Message::Memory(300), Message::Forget(2), Message::Hello(hello)] {
            let len = message.encode(&mut bytes);
            assert_eq!(Message::decode(&bytes[..len]), Some(message));
            assert_eq!(Message::decode(&bytes[..len - 1]), None, "{message:?}");
        }
        hello.address = Ipv6Addr::LOCALHOST.into();
        Message::Hello(hello).encode(&mut bytes);
        assert_eq!(Message::decode(&bytes), Some(Message::Hello(hello)));
    }

    #[test]
    fn rings_have_sane_sizes() {
        let mut bytes = [0; LEN_MAX];
        for (records, ring) in [(8, 1), (24, 1), (1 << 17, 1), (1024, u32::MAX)] {
            let hello = Hello { address: Ipv4Addr::LOCALHOST.into(), port: 1, records, bytes: ring };
            Message::Hello(hello).encode(&mut bytes);
            assert_eq!(Message::decode(&bytes), None, "{hello:?}");
        }
        bytes[5] ^= 1;
        assert_eq!(Message::decode(&bytes), None);
    }
}
