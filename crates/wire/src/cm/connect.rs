//! The messages that make a connection: REQ, MRA, REJ, REP and RTU (12.6.5 to 12.6.9).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::path::PathLayout;
use super::{BODY_LEN, Path, Rejected, Service, ServiceId};
use crate::roce::Psn;

/// REQ: asks for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// What is asked for.
    pub service_id: ServiceId,
    /// The sender's adapter.
    pub ca_guid: u64,
    /// The sender's Q_Key, for datagrams.
    pub queue_key: u32,
    /// The sender's queue pair, below 2^24.
    pub qpn: u32,
    /// How many reads and atomics the sender answers at once.
    pub responder_resources: u8,
    /// How many reads and atomics the sender wants to have under way at once.
    pub initiator_depth: u8,
    /// How long the receiver may take to answer a message: 4.096 microseconds times two to this power.
    pub remote_response_timeout: u8,
    /// What the connection is to be.
    pub service: Service,
    /// The sender counts credits.
    pub flow_control: bool,
    /// The number that the receiver of this message is to begin with (12.7.31).
    pub starting_psn: Psn,
    /// How long the sender may take to answer a message, coded as above.
    pub local_response_timeout: u8,
    /// How often a request is sent again for want of an answer, 0 to 7.
    pub retry_count: u8,
    /// The partition.
    pub partition_key: u16,
    /// Payload of a packet: 1 for 256 bytes to 5 for 4096.
    pub path_mtu: u8,
    /// A reliable datagram channel exists.
    pub has_datagram_channel: bool,
    /// How often a request is sent again for want of a receive, 0 to 7; 7 is for ever.
    pub rnr_retry_count: u8,
    /// How often a message of communication management is sent again, 0 to 15.
    pub cm_retries_max: u8,
    /// The sender's queue pair shares its receives.
    pub shared_receives: bool,
    /// Which extended transport, if the service is one.
    pub extended_transport: u8,
    /// The path to use.
    pub primary: Path,
    /// The path to use when that fails; all zero for none.
    pub alternate: Path,
    /// The consumer's bytes.
    pub private_data: [u8; 92],
}

/// MRA: an answer will take longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageReceiptAck {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// Which message has come.
    pub message: Rejected,
    /// How much longer the answer may take: 4.096 microseconds times two to this power.
    pub service_timeout: u8,
    /// The consumer's bytes.
    pub private_data: [u8; 222],
}

/// REJ: there will be no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// Which message is refused.
    pub message: Rejected,
    /// How many bytes of the additional information mean something: at most 72, whatever the sender claims.
    pub information_len: u8,
    /// Why: see [`RejectReason`](super::RejectReason).
    pub reason: u16,
    /// What would have been accepted.
    pub information: [u8; 72],
    /// The consumer's bytes.
    pub private_data: [u8; 148],
}

/// REP: accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectReply {
    /// The sender's name for the connection.
    pub local_id: u32,
    /// The receiver's name for it.
    pub remote_id: u32,
    /// The sender's Q_Key, for datagrams.
    pub queue_key: u32,
    /// The sender's queue pair, below 2^24.
    pub qpn: u32,
    /// The number that the receiver of this message is to begin with (12.7.31).
    pub starting_psn: Psn,
    /// How many reads and atomics the sender answers at once.
    pub responder_resources: u8,
    /// How many reads and atomics the sender wants to have under way at once.
    pub initiator_depth: u8,
    /// How long an acknowledgement takes: 4.096 microseconds times two to this power.
    pub ack_delay: u8,
    /// What became of the alternate path: 0 is accepted.
    pub failover: u8,
    /// The sender counts credits.
    pub flow_control: bool,
    /// How often a request is sent again for want of a receive, 0 to 7; 7 is for ever.
    pub rnr_retry_count: u8,
    /// The sender's queue pair shares its receives.
    pub shared_receives: bool,
    /// The sender's adapter.
    pub ca_guid: u64,
    /// The consumer's bytes.
    pub private_data: [u8; 196],
}

/// RTU: the connection is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyToUse {
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
    reserved: U32,
    service_id: U64,
    ca_guid: U64,
    reserved_too: U32,
    queue_key: U32,
    qpn_and_resources: U32,
    eecn_and_depth: U32,
    remote_eecn: [u8; 3],
    remote_timeout: u8,
    psn: U32,
    partition_key: U16,
    mtu: u8,
    retries: u8,
    primary: PathLayout,
    alternate: PathLayout,
    private_data: [u8; 92],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReceiptLayout {
    local_id: U32,
    remote_id: U32,
    message: u8,
    timeout: u8,
    private_data: [u8; 222],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RejectLayout {
    local_id: U32,
    remote_id: U32,
    message: u8,
    information_len: u8,
    reason: U16,
    information: [u8; 72],
    private_data: [u8; 148],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReplyLayout {
    local_id: U32,
    remote_id: U32,
    queue_key: U32,
    qpn: U32,
    eecn: U32,
    psn: U32,
    responder_resources: u8,
    initiator_depth: u8,
    delay: u8,
    retries: u8,
    ca_guid: U64,
    private_data: [u8; 196],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReadyLayout {
    local_id: U32,
    remote_id: U32,
    private_data: [u8; 224],
}

impl ConnectRequest {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Option<Self> {
        let layout: RequestLayout = zerocopy::transmute!(*body);
        Some(Self {
            local_id: layout.local_id.get(),
            service_id: ServiceId(layout.service_id.get()),
            ca_guid: layout.ca_guid.get(),
            queue_key: layout.queue_key.get(),
            qpn: layout.qpn_and_resources.get() >> 8,
            responder_resources: layout.qpn_and_resources.get() as u8,
            initiator_depth: layout.eecn_and_depth.get() as u8,
            remote_response_timeout: layout.remote_timeout >> 3,
            service: Service::from_code(layout.remote_timeout >> 1 & 3)?,
            flow_control: layout.remote_timeout & 1 != 0,
            starting_psn: Psn::new(layout.psn.get() >> 8),
            local_response_timeout: layout.psn.get() as u8 >> 3,
            retry_count: layout.psn.get() as u8 & 7,
            partition_key: layout.partition_key.get(),
            path_mtu: layout.mtu >> 4,
            has_datagram_channel: layout.mtu & 8 != 0,
            rnr_retry_count: layout.mtu & 7,
            cm_retries_max: layout.retries >> 4,
            shared_receives: layout.retries & 8 != 0,
            extended_transport: layout.retries & 7,
            primary: layout.primary.meaning(),
            alternate: layout.alternate.meaning(),
            private_data: layout.private_data,
        })
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = RequestLayout {
            local_id: U32::new(self.local_id),
            reserved: U32::ZERO,
            service_id: U64::new(self.service_id.0),
            ca_guid: U64::new(self.ca_guid),
            reserved_too: U32::ZERO,
            queue_key: U32::new(self.queue_key),
            qpn_and_resources: U32::new(self.qpn << 8 | u32::from(self.responder_resources)),
            eecn_and_depth: U32::new(u32::from(self.initiator_depth)),
            remote_eecn: [0; 3],
            remote_timeout: self.remote_response_timeout << 3
                | self.service.code() << 1
                | u8::from(self.flow_control),
            psn: U32::new(
                self.starting_psn.value() << 8
                    | u32::from(self.local_response_timeout << 3 | self.retry_count & 7),
            ),
            partition_key: U16::new(self.partition_key),
            mtu: self.path_mtu << 4 | u8::from(self.has_datagram_channel) << 3 | self.rnr_retry_count & 7,
            retries: self.cm_retries_max << 4
                | u8::from(self.shared_receives) << 3
                | self.extended_transport & 7,
            primary: PathLayout::new(&self.primary),
            alternate: PathLayout::new(&self.alternate),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl MessageReceiptAck {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Option<Self> {
        let layout: ReceiptLayout = zerocopy::transmute!(*body);
        Some(Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            message: Rejected::from_code(layout.message >> 6)?,
            service_timeout: layout.timeout >> 3,
            private_data: layout.private_data,
        })
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ReceiptLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            message: self.message.code() << 6,
            timeout: self.service_timeout << 3,
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl Reject {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Option<Self> {
        let layout: RejectLayout = zerocopy::transmute!(*body);
        Some(Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            message: Rejected::from_code(layout.message >> 6)?,
            information_len: (layout.information_len >> 1).min(layout.information.len() as u8),
            reason: layout.reason.get(),
            information: layout.information,
            private_data: layout.private_data,
        })
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = RejectLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            message: self.message.code() << 6,
            information_len: self.information_len.min(self.information.len() as u8) << 1,
            reason: U16::new(self.reason),
            information: self.information,
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl ConnectReply {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: ReplyLayout = zerocopy::transmute!(*body);
        Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            queue_key: layout.queue_key.get(),
            qpn: layout.qpn.get() >> 8,
            starting_psn: Psn::new(layout.psn.get() >> 8),
            responder_resources: layout.responder_resources,
            initiator_depth: layout.initiator_depth,
            ack_delay: layout.delay >> 3,
            failover: layout.delay >> 1 & 3,
            flow_control: layout.delay & 1 != 0,
            rnr_retry_count: layout.retries >> 5,
            shared_receives: layout.retries & 0x10 != 0,
            ca_guid: layout.ca_guid.get(),
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ReplyLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            queue_key: U32::new(self.queue_key),
            qpn: U32::new(self.qpn << 8),
            eecn: U32::ZERO,
            psn: U32::new(self.starting_psn.value() << 8),
            responder_resources: self.responder_resources,
            initiator_depth: self.initiator_depth,
            delay: self.ack_delay << 3 | (self.failover & 3) << 1 | u8::from(self.flow_control),
            retries: self.rnr_retry_count << 5 | u8::from(self.shared_receives) << 4,
            ca_guid: U64::new(self.ca_guid),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}

impl ReadyToUse {
    pub(super) fn decode(body: &[u8; BODY_LEN]) -> Self {
        let layout: ReadyLayout = zerocopy::transmute!(*body);
        Self {
            local_id: layout.local_id.get(),
            remote_id: layout.remote_id.get(),
            private_data: layout.private_data,
        }
    }

    pub(super) fn encode(&self) -> [u8; BODY_LEN] {
        let layout = ReadyLayout {
            local_id: U32::new(self.local_id),
            remote_id: U32::new(self.remote_id),
            private_data: self.private_data,
        };
        zerocopy::transmute!(layout)
    }
}
