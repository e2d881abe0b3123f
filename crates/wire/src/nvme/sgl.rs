//! SGL descriptors: where the data of a command lies (Base 4.1.2, figures 101 to 108).
//!
//! Over Fabrics a command carries exactly one descriptor. Over TCP it is either a data block at an offset in the
//! capsule or a transport data block; over RDMA also a keyed data block.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 16 bytes of a descriptor as they are on the wire.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SglDescriptor {
    /// Address, or offset in the capsule, or reserved.
    pub address: U64,
    /// Length in bytes; a keyed descriptor has only the low 24 bits of it.
    pub length: U32,
    /// Reserved, or the key's upper three bytes.
    pub key_high: [u8; 3],
    /// Descriptor type in bits 7:4, sub type in bits 3:0.
    pub identifier: u8,
}

/// What a descriptor means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sgl {
    /// Memory of the host at an address; on message transports never legal in a capsule.
    DataBlock {
        /// Host address.
        address: u64,
        /// Bytes.
        length: u32,
    },
    /// Data in the command capsule.
    InCapsule {
        /// Bytes from the start of the in-capsule data.
        offset: u64,
        /// Bytes.
        length: u32,
    },
    /// Data the transport moves with its own messages (TCP: R2T, H2CData, C2HData).
    Transport {
        /// Bytes.
        length: u32,
    },
    /// Memory of the host that RDMA reaches with a key.
    Keyed {
        /// Host address.
        address: u64,
        /// Bytes, at most 2^24 - 1.
        length: u32,
        /// Remote key.
        key: u32,
        /// Whether the host asks that the key be invalidated with the response.
        invalidate: bool,
    },
    /// Bytes of a read that the host does not want.
    BitBucket {
        /// Bytes.
        length: u32,
    },
    /// More descriptors follow, at an address or at an offset in the capsule.
    Segment {
        /// Address of the segment, or its offset in the capsule.
        address: u64,
        /// Bytes of the segment, a multiple of 16.
        length: u32,
        /// Whether `address` is an offset in the capsule.
        in_capsule: bool,
        /// Whether no further segment follows this one.
        last: bool,
    },
}

/// A descriptor this crate has no meaning for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SglError {
    /// Type and sub type name nothing; status "SGL Descriptor Type Invalid" is the answer.
    #[error("SGL descriptor type {0:#x}, sub type {1:#x} is not defined")]
    Type(u8, u8),
    /// A segment whose length is no multiple of 16, or zero.
    #[error("an SGL segment of {0} bytes holds no whole number of descriptors")]
    SegmentLength(u32),
}

impl SglDescriptor {
    /// The meaning of these bytes.
    pub fn decode(&self) -> Result<Sgl, SglError> {
        let address = self.address.get();
        let length = self.length.get();
        let (kind, subtype) = (self.identifier >> 4, self.identifier & 0xf);
        match (kind, subtype) {
            (TYPE_DATA_BLOCK, SUBTYPE_ADDRESS) => Ok(Sgl::DataBlock { address, length }),
            (TYPE_DATA_BLOCK, SUBTYPE_OFFSET) => Ok(Sgl::InCapsule { offset: address, length }),
            (TYPE_BIT_BUCKET, SUBTYPE_ADDRESS) => Ok(Sgl::BitBucket { length }),
            (TYPE_TRANSPORT, SUBTYPE_TRANSPORT) => Ok(Sgl::Transport { length }),
            (TYPE_KEYED, SUBTYPE_ADDRESS | SUBTYPE_INVALIDATE) => {
                let [low0, low1, low2, key0] = length.to_le_bytes();
                let [key1, key2, key3] = self.key_high;
                Ok(Sgl::Keyed {
                    address,
                    length: u32::from_le_bytes([low0, low1, low2, 0]),
                    key: u32::from_le_bytes([key0, key1, key2, key3]),
                    invalidate: subtype == SUBTYPE_INVALIDATE,
                })
            }
            (TYPE_SEGMENT | TYPE_LAST_SEGMENT, SUBTYPE_ADDRESS | SUBTYPE_OFFSET) => {
                if length == 0 || !length.is_multiple_of(16) {
                    return Err(SglError::SegmentLength(length));
                }
                Ok(Sgl::Segment {
                    address,
                    length,
                    in_capsule: subtype == SUBTYPE_OFFSET,
                    last: kind == TYPE_LAST_SEGMENT,
                })
            }
            _ => Err(SglError::Type(kind, subtype)),
        }
    }

    const fn unkeyed(kind: u8, subtype: u8, address: u64, length: u32) -> Self {
        Self {
            address: U64::new(address),
            length: U32::new(length),
            key_high: [0; 3],
            identifier: kind << 4 | subtype,
        }
    }
}

impl Sgl {
    /// The bytes of this descriptor. A keyed length keeps its low 24 bits, all the layout has.
    pub const fn encode(self) -> SglDescriptor {
        match self {
            Self::DataBlock { address, length } => {
                SglDescriptor::unkeyed(TYPE_DATA_BLOCK, SUBTYPE_ADDRESS, address, length)
            }
            Self::InCapsule { offset, length } => {
                SglDescriptor::unkeyed(TYPE_DATA_BLOCK, SUBTYPE_OFFSET, offset, length)
            }
            Self::Transport { length } => {
                SglDescriptor::unkeyed(TYPE_TRANSPORT, SUBTYPE_TRANSPORT, 0, length)
            }
            Self::BitBucket { length } => SglDescriptor::unkeyed(TYPE_BIT_BUCKET, SUBTYPE_ADDRESS, 0, length),
            Self::Segment { address, length, in_capsule, last } => {
                let kind = if last { TYPE_LAST_SEGMENT } else { TYPE_SEGMENT };
                let subtype = if in_capsule { SUBTYPE_OFFSET } else { SUBTYPE_ADDRESS };
                SglDescriptor::unkeyed(kind, subtype, address, length)
            }
            Self::Keyed { address, length, key, invalidate } => {
                let [len0, len1, len2, _] = length.to_le_bytes();
                let [key0, key1, key2, key3] = key.to_le_bytes();
                let subtype = if invalidate { SUBTYPE_INVALIDATE } else { SUBTYPE_ADDRESS };
                SglDescriptor {
                    address: U64::new(address),
                    length: U32::new(u32::from_le_bytes([len0, len1, len2, key0])),
                    key_high: [key1, key2, key3],
                    identifier: TYPE_KEYED << 4 | subtype,
                }
            }
        }
    }

    /// Bytes of data the descriptor names; a segment names descriptors and counts as none.
    pub const fn data_length(self) -> u32 {
        match self {
            Self::DataBlock { length, .. }
            | Self::InCapsule { length, .. }
            | Self::Transport { length }
            | Self::Keyed { length, .. }
            | Self::BitBucket { length } => length,
            Self::Segment { .. } => 0,
        }
    }
}

const TYPE_DATA_BLOCK: u8 = 0x0;
const TYPE_BIT_BUCKET: u8 = 0x1;
const TYPE_SEGMENT: u8 = 0x2;
const TYPE_LAST_SEGMENT: u8 = 0x3;
const TYPE_KEYED: u8 = 0x4;
const TYPE_TRANSPORT: u8 = 0x5;

const SUBTYPE_ADDRESS: u8 = 0x0;
const SUBTYPE_OFFSET: u8 = 0x1;
const SUBTYPE_TRANSPORT: u8 = 0xa;
const SUBTYPE_INVALIDATE: u8 = 0xf;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_bytes() {
        let all = [
            Sgl::DataBlock { address: 0x1122_3344_5566_7788, length: 4096 },
            Sgl::InCapsule { offset: 16, length: 8192 },
            Sgl::Transport { length: u32::MAX },
            Sgl::BitBucket { length: 512 },
            Sgl::Keyed { address: 7, length: 0xff_ffff, key: 0xdead_beef, invalidate: false },
            Sgl::Keyed { address: 7, length: 1, key: 1, invalidate: true },
            Sgl::Segment { address: 0, length: 32, in_capsule: true, last: true },
            Sgl::Segment { address: 1, length: 16, in_capsule: false, last: false },
        ];
        for sgl in all {
            assert_eq!(sgl.encode().decode(), Ok(sgl));
        }
    }

    #[test]
    fn undefined_types_and_ragged_segments_are_refused() {
        let mut raw = Sgl::Transport { length: 1 }.encode();
        raw.identifier = 0x60;
        assert_eq!(raw.decode(), Err(SglError::Type(6, 0)));
        raw.identifier = 0x50;
        assert_eq!(raw.decode(), Err(SglError::Type(5, 0)));
        let ragged = Sgl::Segment { address: 0, length: 17, in_capsule: true, last: true }.encode();
        assert_eq!(ragged.decode(), Err(SglError::SegmentLength(17)));
    }
}
