//! The messages that end a connection: DREQ and DREP (12.6.10, 12.6.11).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::BODY_LEN;

/// DREQ: ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisconnectRequest {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// The receiver's queue pair, below 2^24: a message about another is none about this connection.
    pub remote_qpn: u32,
    /// The consumer's bytes.
    pub private_data: [u8; 220],
}

/// DREP: the connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisconnectReply {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// The consumer's bytes.
    pub private_data: [u8; 224],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestLayout {
    local_id: U32,
    remote_id: U32,
    remote_qpn: U32,
    private_data: [u8; 220],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReplyLayout {
    local_id: U32,
    remote_id: U32,
    private_data: [u8; 224],
}

impl DisconnectRequest {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: RequestLayout = zerocopy::transmute!(*body);
        Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            remote_qpn: layout.remote_qpn.get() >> 8,
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = RequestLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            remote_qpn: U32::new(self.remote_qpn << 8),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl DisconnectReply {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: ReplyLayout = zerocopy::transmute!(*body);
        Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ReplyLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}
