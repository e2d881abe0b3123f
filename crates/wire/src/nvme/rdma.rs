//! How a queue of NVMe over RDMA is opened: the private data of the connection manager's messages (RDMA Transport 1.0,
//! section 3.2, figures 5 to 9).

use crate::{Truncated, view};
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the private data of a REQ and of a REP.
pub const PRIVATE_DATA_LEN: usize = 32;

/// Bytes of the private data of a REJ.
pub const REJECT_LEN: usize = 4;

/// A host asks for a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueRequest {
    /// The queue's identifier: 0 is the Admin Queue.
    pub queue_id: u16,
    /// Entries of the host's RDMA receive queue (HRQSIZE).
    pub host_receive_size: u16,
    /// Entries of the host's RDMA send queue, less one (HSQSIZE): what the submission queue's size will be.
    pub host_send_size_zero_based: u16,
    /// The controller an I/O queue belongs to, where the host says so (CNTLID).
    pub controller_id: u16,
}

/// The controller has a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueAccept {
    /// Entries of the controller's RDMA receive queue (CRQSIZE).
    pub controller_receive_size: u16,
}

codes! {
    /// Why a queue is refused.
    pub enum RejectStatus: u16 {
        PrivateDataLength = 1, "invalid private data length";
        RecordFormat = 2, "invalid RECFMT";
        QueueId = 3, "invalid QID";
        HostSendSize = 4, "invalid HSQSIZE";
        HostReceiveSize = 5, "invalid HRQSIZE";
        NoResources = 6, "no resources";
        InboundReadDepth = 7, "invalid IRD";
        OutboundReadDepth = 8, "invalid ORD";
        ControllerId = 9, "invalid CNTLID";
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestLayout {
    format: U16,
    queue_id: U16,
    host_receive_size: U16,
    host_send_size: U16,
    controller_id: U16,
    reserved: [u8; 22],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AcceptLayout {
    format: U16,
    controller_receive_size: U16,
    reserved: [u8; 28],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RejectLayout {
    format: U16,
    status: U16,
}

impl QueueRequest {
    /// Reads private data. What the sizes must be is for the controller to judge.
    ///
    /// # Errors
    /// The status to reject it with: too short, or of an unknown format.
    pub fn decode(bytes: &[u8]) -> Result<Self, RejectStatus> {
        let layout: &RequestLayout =
            view(bytes).map_err(|Truncated { .. }| RejectStatus::PrivateDataLength)?;
        if layout.format.get() != FORMAT {
            return Err(RejectStatus::RecordFormat);
        }
        Ok(Self {
            queue_id: layout.queue_id.get(),
            host_receive_size: layout.host_receive_size.get(),
            host_send_size_zero_based: layout.host_send_size.get(),
            controller_id: layout.controller_id.get(),
        })
    }

    /// The private data.
    pub fn encode(&self) -> [u8; PRIVATE_DATA_LEN] {
        zerocopy::transmute!(RequestLayout {
            format: U16::new(FORMAT),
            queue_id: U16::new(self.queue_id),
            host_receive_size: U16::new(self.host_receive_size),
            host_send_size: U16::new(self.host_send_size_zero_based),
            controller_id: U16::new(self.controller_id),
            reserved: [0; 22],
        })
    }
}

impl QueueAccept {
    /// Reads private data.
    ///
    /// # Errors
    /// It is too short. Of an unknown format it is `None`.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &AcceptLayout = view(bytes)?;
        Ok((layout.format.get() == FORMAT)
            .then(|| Self { controller_receive_size: layout.controller_receive_size.get() }))
    }

    /// The private data.
    pub fn encode(&self) -> [u8; PRIVATE_DATA_LEN] {
        zerocopy::transmute!(AcceptLayout {
            format: U16::new(FORMAT),
            controller_receive_size: U16::new(self.controller_receive_size),
            reserved: [0; 28],
        })
    }
}

impl RejectStatus {
    /// Reads private data.
    ///
    /// # Errors
    /// It is too short. Of an unknown format or code it is `None`.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &RejectLayout = view(bytes)?;
        Ok(Self::from_code(layout.status.get()).filter(|_| layout.format.get() == FORMAT))
    }

    /// The private data.
    pub fn encode(self) -> [u8; REJECT_LEN] {
        zerocopy::transmute!(RejectLayout { format: U16::new(FORMAT), status: U16::new(self.code()) })
    }
}

/// The only record format (RECFMT) there is.
const FORMAT: u16 = 0;
