//! What a connection has to say.

use super::SENSE_BYTES_MAX;
use stdx::mem::Span;
use wire::iscsi::{
    AsyncEvent, Bhs, DataInStatus, LoginResponse, LogoutResult, RESERVED_TAG, RejectReason, Residual, Serial,
    ServiceResponse, TaskResult,
};
use wire::iser::Advertised;
use wire::scsi::{Lun, Sense, Status};

/// Something to say.
#[derive(Clone, Debug)]
pub(in super::super) enum Item {
    /// Read data, and the status if it needs no response of its own.
    Read(Reading),
    /// A command has ended.
    Response(Response),
    /// Data is asked for.
    R2t { lun: Lun, tag: u32, transfer_tag: u32, r2t_sn: Serial, offset: u32, length: u32 },
    /// A ping, or its answer with this data.
    Nop { lun: Lun, tag: u32, transfer_tag: u32, data: Span },
    /// Task management is done.
    Task { tag: u32, result: TaskResult },
    /// A logout is done.
    Logout { tag: u32, result: LogoutResult, time_to_wait_s: u16, time_to_retain_s: u16 },
    /// Text.
    Text { tag: u32, transfer_tag: u32, is_final: bool, continues: bool, data: Span },
    /// A step of a login. Its numbers are put in when it is said.
    Login { response: LoginResponse, data: Span },
    /// A PDU is not taken.
    Reject { reason: RejectReason, header: Bhs, data_sn: Serial },
    /// Something of our own accord; with sense data if it is about a logical unit.
    Message { lun: Lun, event: AsyncEvent, sense: Option<Sense> },
    /// The answer of this StatSN, once more.
    Again(Serial),
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response {
    /// Its tag.
    pub tag: u32,
    /// Whether the target could deal with it.
    pub response: ServiceResponse,
    /// Its status.
    pub status: Status,
    /// The difference in data.
    pub residual: Residual,
    /// How many Data-In or R2T PDUs it had.
    pub exp_data_sn: Serial,
    /// Why it failed.
    pub sense: Option<Sense>,
    /// Bytes of Data-In before it.
    pub read_bytes: u32,
    /// Memory of the initiator that its message closes, where messages carry it.
    pub invalidate: Option<u32>,
}

/// Read data on its way.
#[derive(Clone, Debug)]
pub(in super::super) struct Reading {
    /// Its command's tag.
    pub tag: u32,
    /// What is still to be said; not empty.
    pub data: Span,
    /// Whose memory it is.
    pub owner: Owner,
    /// Where the data to be said begins in the command's data.
    pub offset: u32,
    /// Where all data of the command ends.
    pub end: u32,
    /// The number of the next PDU.
    pub data_sn: Serial,
    /// The status that goes with the last.
    pub status: Option<DataInStatus>,
    /// The initiator's memory that it goes to, where messages carry the connection.
    pub memory: Option<Advertised>,
}

/// Whose memory read data lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Owner {
    /// The volume's, until the next call.
    Lent,
    /// This buffer, to be given back when all is sent.
    Buffer(Span),
    /// What is kept until the initiator acknowledges the status.
    Kept,
}

impl Item {
    /// Whether it takes a StatSN (RFC 7143, section 4.2.2.2).
    pub(super) const fn counts(&self) -> bool {
        match self {
            Self::Response { .. }
            | Self::Task { .. }
            | Self::Logout { .. }
            | Self::Text { .. }
            | Self::Login { .. }
            | Self::Reject { .. }
            | Self::Message { .. } => true,
            Self::Nop { tag, .. } => *tag != RESERVED_TAG,
            Self::Read(_) | Self::R2t { .. } | Self::Again(_) => false,
        }
    }

    /// The buffer it holds.
    pub(in super::super) fn buffer(&self) -> Span {
        match self {
            Self::Read(Reading { owner: Owner::Buffer(buffer), .. }) => *buffer,
            Self::Nop { data, .. } | Self::Text { data, .. } | Self::Login { data, .. } => *data,
            Self::Read(_)
            | Self::Response { .. }
            | Self::R2t { .. }
            | Self::Task { .. }
            | Self::Logout { .. }
            | Self::Reject { .. }
            | Self::Message { .. }
            | Self::Again(_) => Span::EMPTY,
        }
    }

    /// Bytes of read data.
    pub(super) fn read_bytes(&self) -> usize {
        if let Self::Read(reading) = self { reading.data.len() } else { 0 }
    }
}

/// The data segment of a PDU with sense data: its length in two bytes, and the sense data.
pub(super) fn write_sense(sense: &Sense, out: &mut [u8; SENSE_BYTES_MAX]) -> usize {
    let mut bytes = [0; Sense::LEN_MAX];
    let len = sense.write(&mut bytes);
    out[..2].copy_from_slice(&(len as u16).to_be_bytes());
    out[2..2 + len].copy_from_slice(&bytes[..len]);
    2 + len
}
