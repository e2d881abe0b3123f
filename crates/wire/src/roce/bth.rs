//! The base transport header, with which every packet begins (9.2).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Opcode, PacketError, Psn, read_u24, write_u24};
use crate::{BufferTooSmall, Truncated};

/// The base transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bth {
    /// What the packet is.
    pub opcode: Opcode,
    /// The receiver's completion should wake whoever waits for solicited events alone (SE).
    pub solicited: bool,
    /// The state of path migration (MigReq).
    pub migrated: bool,
    /// How many bytes between payload and CRC only fill it up to a multiple of four: 0 to 3 (PadCnt).
    pub pad_len: u8,
    /// The partition (P_KEY).
    pub partition_key: u16,
    /// The packet met congestion on its way (FECN).
    pub forward_congestion: bool,
    /// Packets the other way met congestion (BECN).
    pub backward_congestion: bool,
    /// The queue pair the packet is for (DestQP), below 2^24.
    pub destination: u32,
    /// The responder is to acknowledge now (A).
    pub ack_requested: bool,
    /// Its number.
    pub psn: Psn,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    flags: u8,
    partition_key: U16,
    congestion: u8,
    destination: [u8; 3],
    acknowledge: u8,
    psn: [u8; 3],
}

impl Bth {
    /// Reads the header at the front of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let layout: &Layout =
            crate::view(bytes).map_err(|Truncated { needed, .. }| PacketError::TooShort { needed })?;
        let opcode = Opcode::from_code(layout.opcode).ok_or(PacketError::Opcode(layout.opcode))?;
        let version = layout.flags & VERSION;
        if version != 0 {
            return Err(PacketError::Version(version));
        }
        Ok(Self {
            opcode,
            solicited: layout.flags & SOLICITED != 0,
            migrated: layout.flags & MIGRATED != 0,
            pad_len: layout.flags >> PAD_SHIFT & 3,
            partition_key: layout.partition_key.get(),
            forward_congestion: layout.congestion & FORWARD != 0,
            backward_congestion: layout.congestion & BACKWARD != 0,
            destination: read_u24(layout.destination),
            ack_requested: layout.acknowledge & ACKNOWLEDGE != 0,
            psn: Psn::new(read_u24(layout.psn)),
        })
    }

    /// Writes the header to the front of `out`; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let layout = Layout {
            opcode: self.opcode.code(),
            flags: flag(self.solicited, SOLICITED)
                | flag(self.migrated, MIGRATED)
                | (self.pad_len & 3) << PAD_SHIFT,
            partition_key: U16::new(self.partition_key),
            congestion: flag(self.forward_congestion, FORWARD) | flag(self.backward_congestion, BACKWARD),
            destination: write_u24(self.destination),
            acknowledge: flag(self.ack_requested, ACKNOWLEDGE),
            psn: write_u24(self.psn.value()),
        };
        crate::put(&layout, out)
    }
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

const SOLICITED: u8 = 0x80;
const MIGRATED: u8 = 0x40;
const PAD_SHIFT: u32 = 4;
const VERSION: u8 = 0x0f;
const FORWARD: u8 = 0x80;
const BACKWARD: u8 = 0x40;
const ACKNOWLEDGE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let bth = Bth {
            opcode: Opcode::RcSendLastImmediate,
            solicited: true,
            migrated: false,
            pad_len: 3,
            partition_key: 0x8001,
            forward_congestion: true,
            backward_congestion: false,
            destination: 0x01_0203,
            ack_requested: true,
            psn: Psn::new(0xff_fffe),
        };
        let mut out = [0; 12];
        assert_eq!(bth.encode(&mut out), Ok(12));
        assert_eq!(out, [0x03, 0xb0, 0x80, 0x01, 0x80, 1, 2, 3, 0x80, 0xff, 0xff, 0xfe]);
        assert_eq!(Bth::decode(&out), Ok(bth));
        let reversed = Bth {
            solicited: false,
            migrated: true,
            forward_congestion: false,
            backward_congestion: true,
            ack_requested: false,
            ..bth
        };
        reversed.encode(&mut out).unwrap();
        assert_eq!((out[1], out[4], out[8]), (0x70, 0x40, 0));
        assert_eq!(Bth::decode(&out), Ok(reversed));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let mut bytes = [0; 12];
        assert_eq!(Bth::decode(&bytes[..11]), Err(PacketError::TooShort { needed: 12 }));
        bytes[0] = 0x15;
        assert_eq!(Bth::decode(&bytes), Err(PacketError::Opcode(0x15)));
        bytes[0] = 0x04;
        bytes[1] = 0x01;
        assert_eq!(Bth::decode(&bytes), Err(PacketError::Version(1)));
    }
}
