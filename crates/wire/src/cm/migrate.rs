//! The messages about a second path: LAP and APR (12.8).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::path::AlternateLayout;
use super::{BODY_LEN, Path, PathStatus};

/// LAP: proposes an alternate path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadAlternatePath {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// The receiver's queue pair, below 2^24.
    pub remote_qpn: u32,
    /// How long the receiver may take to answer: 4.096 microseconds times two to this power.
    pub remote_response_timeout: u8,
    /// The path.
    pub alternate: Path,
    /// The consumer's bytes.
    pub private_data: [u8; 168],
}

/// APR: what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlternatePathResponse {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// How many bytes of the additional information mean something: at most 72, whatever the sender claims.
    pub information_len: u8,
    /// Whether the path is loaded.
    pub status: PathStatus,
    /// What would have been accepted.
    pub information: [u8; 72],
    /// The consumer's bytes.
    pub private_data: [u8; 148],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LoadLayout {
    local_id: U32,
    remote_id: U32,
    reserved: U32,
    qpn_and_timeout: U32,
    reserved_too: U32,
    alternate: AlternateLayout,
    private_data: [u8; 168],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ResponseLayout {
    local_id: U32,
    remote_id: U32,
    information_len: u8,
    status: u8,
    reserved: [u8; 2],
    information: [u8; 72],
    private_data: [u8; 148],
}

impl LoadAlternatePath {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: LoadLayout = zerocopy::transmute!(*body);
        Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            remote_qpn: layout.qpn_and_timeout.get() >> 8,
            remote_response_timeout: layout.qpn_and_timeout.get() as u8 >> 3,
            alternate: layout.alternate.meaning(),
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = LoadLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            reserved: U32::ZERO,
            qpn_and_timeout: U32::new(self.remote_qpn << 8 | u32::from(self.remote_response_timeout << 3)),
            reserved_too: U32::ZERO,
            alternate: AlternateLayout::new(&self.alternate),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl AlternatePathResponse {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Option<Self> {
        let layout: ResponseLayout = zerocopy::transmute!(*body);
        Some(Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            information_len: layout.information_len.min(layout.information.len() as u8),
            status: PathStatus::from_code(layout.status)?,
            information: layout.information,
            private_data: layout.private_data,
        })
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ResponseLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            information_len: self.information_len.min(self.information.len() as u8),
            status: self.status.code(),
            reserved: [0; 2],
            information: self.information,
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}
