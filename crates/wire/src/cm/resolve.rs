//! The messages that find a service's datagram queue pair: SIDR_REQ and SIDR_REP (12.11).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BODY_LEN, ResolutionStatus, ServiceId};

/// SIDR_REQ: asks for a service's queue pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolutionRequest {
    /// The sender's name for the question.
    pub request_id: u32,
    /// The partition.
    pub partition_key: u16,
    /// The service.
    pub service_id: ServiceId,
    /// The consumer's bytes.
    pub private_data: [u8; 216],
}

/// SIDR_REP: the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolutionReply {
    /// The asker's name for the question.
    pub request_id: u32,
    /// Whether there is such a queue pair.
    pub status: ResolutionStatus,
    /// How many bytes of the additional information mean something: at most 72, whatever the sender claims.
    pub information_len: u8,
    /// The queue pair, below 2^24.
    pub qpn: u32,
    /// The service.
    pub service_id: ServiceId,
    /// The key that the queue pair asks for.
    pub queue_key: u32,
    /// Where to ask instead.
    pub information: [u8; 72],
    /// The consumer's bytes.
    pub private_data: [u8; 136],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestLayout {
    request_id: U32,
    partition_key: U16,
    reserved: U16,
    service_id: U64,
    private_data: [u8; 216],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReplyLayout {
    request_id: U32,
    status: u8,
    information_len: u8,
    reserved: U16,
    qpn: U32,
    service_id: U64,
    queue_key: U32,
    information: [u8; 72],
    private_data: [u8; 136],
}

impl ResolutionRequest {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: RequestLayout = zerocopy::transmute!(*body);
        Self {
            request_id: layout.request_id.get(),
            partition_key: layout.partition_key.get(),
            service_id: ServiceId(layout.service_id.get()),
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = RequestLayout {
            request_id: U32::new(self.request_id),
            partition_key: U16::new(self.partition_key),
            reserved: U16::ZERO,
            service_id: U64::new(self.service_id.0),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl ResolutionReply {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Option<Self> {
        let layout: ReplyLayout = zerocopy::transmute!(*body);
        Some(Self {
            request_id: layout.request_id.get(),
            status: ResolutionStatus::from_code(layout.status)?,
            information_len: layout.information_len.min(layout.information.len() as u8),
            qpn: layout.qpn.get() >> 8,
            service_id: ServiceId(layout.service_id.get()),
            queue_key: layout.queue_key.get(),
            information: layout.information,
            private_data: layout.private_data,
        })
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ReplyLayout {
            request_id: U32::new(self.request_id),
            status: self.status.code(),
            information_len: self.information_len.min(self.information.len() as u8),
            reserved: U16::ZERO,
            qpn: U32::new(self.qpn << 8),
            service_id: U64::new(self.service_id.0),
            queue_key: U32::new(self.queue_key),
            information: self.information,
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}
