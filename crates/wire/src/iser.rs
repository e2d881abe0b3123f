//! iSER: what stands before an iSCSI header when it travels over RDMA (RFC 7145, section 9.2), and the private data with which
//! two ends on InfiniBand or RoCE open a connection in place of Hello messages (InfiniBand annex A15).
//!
//! A message is an iSER header, an iSCSI basic header, its additional headers and immediate data; digests and padding are
//! not there. A SCSI command's header advertises the memory that its data comes from (write) or goes to (read).

use crate::iscsi::BHS_LEN;
use crate::{Truncated, view};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the iSER header.
pub const HEADER_LEN: usize = 28;

/// Bytes of the iSER header and the basic header: no message is shorter.
pub const MESSAGE_LEN_MIN: usize = HEADER_LEN + BHS_LEN;

/// Bytes of the private data.
pub const PRIVATE_DATA_LEN: usize = 4;

/// Memory of the initiator that the target may reach while the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertised {
    /// Its key ("STag").
    pub key: u32,
    /// Where in it the data begins ("Base Offset"; an address unless zero-based addressing was agreed on).
    pub offset: u64,
}

/// The header of a message that carries an iSCSI PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Where the target reads a write's data.
    pub write: Option<Advertised>,
    /// Where the target writes a read's data.
    pub read: Option<Advertised>,
}

/// Why a message is none: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is shorter than its headers.
    #[error("the message is shorter than {MESSAGE_LEN_MIN} bytes")]
    TooShort,
    /// It is no control message: a Hello, which InfiniBand does not have, or of no meaning.
    #[error("iSER opcode {0:#x} is not expected")]
    Opcode(u8),
}

/// What an end cannot do, said in the private data of REQ and REP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrivateData {
    /// Zero-based virtual addresses are not used: base offsets are addresses.
    pub no_zero_based: bool,
    /// Send with invalidate is not used.
    pub no_remote_invalidate: bool,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    flags: u8,
    reserved: [u8; 3],
    write_key: U32,
    write_offset: U64,
    read_key: U32,
    read_offset: U64,
}

impl Header {
    /// Reads the header at the front of a message.
    ///
    /// # Errors
    /// The message is shorter than its headers, or no control message.
    pub fn decode(message: &[u8]) -> Result<Self, HeaderError> {
        if message.len() < MESSAGE_LEN_MIN {
            return Err(HeaderError::TooShort);
        }
        let layout: &Layout = view(message).map_err(|Truncated { .. }| HeaderError::TooShort)?;
        if layout.flags & OPCODE != CONTROL {
            return Err(HeaderError::Opcode(layout.flags >> 4));
        }
        let advertised = |bit, key: U32, offset: U64| {
            (layout.flags & bit != 0).then(|| Advertised { key: key.get(), offset: offset.get() })
        };
        Ok(Self {
            write: advertised(WRITE_VALID, layout.write_key, layout.write_offset),
            read: advertised(READ_VALID, layout.read_key, layout.read_offset),
        })
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let key = |side: Option<Advertised>| U32::new(side.map_or(0, |advertised| advertised.key));
        let offset = |side: Option<Advertised>| U64::new(side.map_or(0, |advertised| advertised.offset));
        let valid = |side: Option<Advertised>, bit| if side.is_some() { bit } else { 0 };
        zerocopy::transmute!(Layout {
            flags: CONTROL | valid(self.write, WRITE_VALID) | valid(self.read, READ_VALID),
            reserved: [0; 3],
            write_key: key(self.write),
            write_offset: offset(self.write),
            read_key: key(self.read),
            read_offset: offset(self.read),
        })
    }
}

impl PrivateData {
    /// Reads private data; none at all says that everything can be done.
    pub fn decode(bytes: &[u8]) -> Self {
        let flags = bytes.first().copied().unwrap_or(0);
        Self {
            no_zero_based: flags & NO_ZERO_BASED != 0,
            no_remote_invalidate: flags & NO_REMOTE_INVALIDATE != 0,
        }
    }

    /// The private data.
    pub fn encode(&self) -> [u8; PRIVATE_DATA_LEN] {
        let zero_based = if self.no_zero_based { NO_ZERO_BASED } else { 0 };
        let invalidate = if self.no_remote_invalidate { NO_REMOTE_INVALIDATE } else { 0 };
        [zero_based | invalidate, 0, 0, 0]
    }
}

const OPCODE: u8 = 0xf0;
const CONTROL: u8 = 0x10;
const WRITE_VALID: u8 = 0x08;
const READ_VALID: u8 = 0x04;
const NO_ZERO_BASED: u8 = 0x80;
const NO_REMOTE_INVALIDATE: u8 = 0x40;
