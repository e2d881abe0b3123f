//! All headers of a datagram, and what they say about its length.

use thiserror::Error;

use super::{BTH_LEN, Bth, Extension, ICRC_LEN};
use crate::BufferTooSmall;

/// The headers of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// The base transport header.
    pub bth: Bth,
    /// What follows it.
    pub extension: Extension,
}

/// The datagram is none of RoCEv2, and is dropped without an answer (9.6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// It ends before its headers or its CRC do.
    #[error("the datagram is shorter than the {needed} bytes of its headers")]
    TooShort {
        /// Bytes of the headers.
        needed: usize,
    },
    /// No packet has this opcode.
    #[error("opcode {0:#04x} is not defined")]
    Opcode(u8),
    /// The header is of another version.
    #[error("transport header version {0} is not known")]
    Version(u8),
    /// The acknowledgement says nothing that is defined.
    #[error("syndrome {0:#04x} is reserved")]
    Syndrome(u8),
    /// Packets are multiples of four bytes long.
    #[error("the datagram's {0} bytes are no multiple of four")]
    Unaligned(usize),
    /// There are more bytes of padding than bytes between headers and CRC, or payload where there can be none.
    #[error("payload and padding do not fit the opcode")]
    Payload,
}

impl Headers {
    /// Reads the headers of a datagram of `datagram_len` bytes (headers, payload, padding, CRC) that begins with `front`,
    /// which need only hold the headers. The payload's length follows with [`Headers::payload_len`].
    pub fn decode(front: &[u8], datagram_len: usize) -> Result<Self, PacketError> {
        let bth = Bth::decode(front)?;
        let shape = bth.opcode.shape();
        let rest = front.get(BTH_LEN..).unwrap_or(&[]);
        let headers = Self { bth, extension: Extension::decode(shape, rest)? };
        let needed = headers.len() + ICRC_LEN;
        if datagram_len < needed {
            return Err(PacketError::TooShort { needed });
        }
        if !datagram_len.is_multiple_of(4) {
            return Err(PacketError::Unaligned(datagram_len));
        }
        let padded_len = datagram_len - needed;
        let is_fitting = usize::from(bth.pad_len) <= padded_len;
        if !is_fitting || padded_len > 0 && !bth.opcode.carries_payload() {
            return Err(PacketError::Payload);
        }
        Ok(headers)
    }

    /// Writes the headers to the front of `out`; returns their length. The extension must be the one that the opcode asks
    /// for.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        debug_assert_eq!(self.bth.opcode.shape(), self.extension.shape());
        let available = out.len();
        let too_small = |_| BufferTooSmall { needed: self.len(), available };
        let at = self.bth.encode(out).map_err(too_small)?;
        let rest = out.get_mut(at..).unwrap_or(&mut []);
        Ok(at + self.extension.encode(rest).map_err(too_small)?)
    }

    /// Bytes of the headers.
    pub const fn len(&self) -> usize {
        BTH_LEN + self.extension.shape().len()
    }

    /// Never: there is always a base transport header.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of payload in a datagram of `datagram_len` bytes with these headers.
    pub const fn payload_len(&self, datagram_len: usize) -> usize {
        datagram_len.saturating_sub(self.len() + self.bth.pad_len as usize + ICRC_LEN)
    }

    /// Bytes of a datagram with these headers and `payload_len` bytes of payload, padding and CRC included.
    pub const fn datagram_len(&self, payload_len: usize) -> usize {
        self.len() + payload_len + pad_len(payload_len) as usize + ICRC_LEN
    }
}

/// Bytes that fill a payload up to a multiple of four.
pub const fn pad_len(payload_len: usize) -> u8 {
    (payload_len.wrapping_neg() & 3) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roce::{HEADERS_LEN_MAX, Opcode, Psn, Shape};

    fn bth(opcode: Opcode, pad_len: u8) -> Bth {
        Bth {
            opcode,
            solicited: false,
            migrated: false,
            pad_len,
            partition_key: 0xffff,
            forward_congestion: false,
            backward_congestion: false,
            destination: 17,
            ack_requested: false,
            psn: Psn::new(5),
        }
    }

    fn sample(shape: Shape) -> Extension {
        let bytes: [u8; 28] = core::array::from_fn(|at| at as u8);
        Extension::decode(shape, &bytes).unwrap()
    }

    #[test]
    fn every_opcode_is_written_and_read() {
        for &opcode in Opcode::ALL {
            let headers = Headers { bth: bth(opcode, 0), extension: sample(opcode.shape()) };
            let mut out = [0; HEADERS_LEN_MAX];
            let len = headers.encode(&mut out).unwrap();
            assert_eq!(len, headers.len());
            assert_eq!(Headers::decode(&out[..len], len + 4), Ok(headers), "{opcode}");
            let longer = Headers::decode(&out[..len], len + 8);
            assert_eq!(longer.is_ok(), opcode.carries_payload(), "{opcode}");
            for short in 0..len {
                assert!(matches!(Headers::decode(&out[..short], len + 4), Err(PacketError::TooShort { .. })));
                assert_eq!(
                    headers.encode(&mut out[..short].to_vec()),
                    Err(BufferTooSmall { needed: len, available: short })
                );
            }
        }
    }

    #[test]
    fn lengths_must_fit() {
        let headers = Headers { bth: bth(Opcode::RcSendOnly, 3), extension: Extension::Plain };
        let mut out = [0; 12];
        headers.encode(&mut out).unwrap();
        assert_eq!(Headers::decode(&out, 15), Err(PacketError::TooShort { needed: 16 }));
        assert_eq!(Headers::decode(&out, 16), Err(PacketError::Payload));
        assert_eq!(Headers::decode(&out, 18), Err(PacketError::Unaligned(18)));
        assert_eq!(Headers::decode(&out, 20).map(|headers| headers.payload_len(20)), Ok(1));
        assert_eq!(headers.datagram_len(1), 20);
        assert_eq!([0, 1, 2, 3, 4].map(pad_len), [0, 3, 2, 1, 0]);
    }
}
