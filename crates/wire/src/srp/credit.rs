//! SRP_CRED_REQ, SRP_AER_REQ and their answers (sections 6.10 to 6.13): what a target says unasked.

use super::{IU_LEN_MIN, Opcode, SOLICITED};
use crate::scsi::Lun;
use crate::{BufferTooSmall, Truncated, view};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The target changes the request limit outside of any response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditRequest {
    /// Requests given; less than zero takes some back.
    pub request_limit_delta: i32,
    /// The initiator asked for a solicited event.
    pub solicited: bool,
    /// The target's name for the request.
    pub tag: u64,
}

/// The target reports an event of a logical unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsynchronousEvent<'a> {
    /// Requests given; less than zero takes some back.
    pub request_limit_delta: i32,
    /// The initiator asked for a solicited event.
    pub solicited: bool,
    /// The target's name for the request.
    pub tag: u64,
    /// The logical unit.
    pub lun: Lun,
    /// What happened, as sense data.
    pub sense: &'a [u8],
}

/// An initiator's answer to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// [`Opcode::CreditResponse`] or [`Opcode::AsynchronousEventResponse`].
    pub opcode: Opcode,
    /// The request's tag.
    pub tag: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    solicited: u8,
    reserved: [u8; 2],
    request_limit_delta: U32,
    tag: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EventLayout {
    start: Layout,
    reserved_1: [u8; 4],
    lun: [u8; 8],
    sense_len: U32,
    reserved_2: [u8; 4],
}

impl Layout {
    fn new(opcode: Opcode, solicited: bool, delta: i32, tag: u64) -> Self {
        Self {
            opcode: opcode.code(),
            solicited: u8::from(solicited),
            reserved: [0; 2],
            request_limit_delta: U32::new(delta.cast_unsigned()),
            tag: U64::new(tag),
        }
    }
}

impl CreditRequest {
    /// Reads an IU of this type.
    ///
    /// # Errors
    /// It is too short.
    pub fn decode(iu: &[u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(iu)?;
        Ok(Self {
            request_limit_delta: layout.request_limit_delta.get().cast_signed(),
            solicited: layout.solicited & SOLICITED != 0,
            tag: layout.tag.get(),
        })
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; IU_LEN_MIN] {
        let opcode = Opcode::CreditRequest;
        zerocopy::transmute!(Layout::new(opcode, self.solicited, self.request_limit_delta, self.tag))
    }
}

impl<'a> AsynchronousEvent<'a> {
    /// Reads an IU of this type.
    ///
    /// # Errors
    /// It is shorter than it says.
    pub fn decode(iu: &'a [u8]) -> Result<Self, Truncated> {
        let layout: &EventLayout = view(iu)?;
        let rest = &iu[size_of::<EventLayout>()..];
        let sense_len = layout.sense_len.get() as usize;
        let sense = rest.get(..sense_len).ok_or(Truncated { needed: sense_len, available: rest.len() })?;
        Ok(Self {
            request_limit_delta: layout.start.request_limit_delta.get().cast_signed(),
            solicited: layout.start.solicited & SOLICITED != 0,
            tag: layout.start.tag.get(),
            lun: Lun(layout.lun),
            sense,
        })
    }

    /// Writes the unit and returns its length.
    ///
    /// # Errors
    /// It does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let opcode = Opcode::AsynchronousEventRequest;
        let layout = EventLayout {
            start: Layout::new(opcode, self.solicited, self.request_limit_delta, self.tag),
            reserved_1: [0; 4],
            lun: self.lun.0,
            sense_len: U32::new(self.sense.len() as u32),
            reserved_2: [0; 4],
        };
        let needed = size_of::<EventLayout>() + self.sense.len();
        let available = out.len();
        let out = out.get_mut(..needed).ok_or(BufferTooSmall { needed, available })?;
        let (start, sense) = out.split_at_mut(size_of::<EventLayout>());
        start.copy_from_slice(layout.as_bytes());
        sense.copy_from_slice(self.sense);
        Ok(needed)
    }
}

impl Reply {
    /// Reads an IU of either type.
    ///
    /// # Errors
    /// It is too short. Of another type it is `None`.
    pub fn decode(iu: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &Layout = view(iu)?;
        let opcode = match Opcode::from_code(layout.opcode) {
            Some(opcode @ (Opcode::CreditResponse | Opcode::AsynchronousEventResponse)) => opcode,
            _ => return Ok(None),
        };
        Ok(Some(Self { opcode, tag: layout.tag.get() }))
    }

    /// The bytes of the unit.
    pub fn encode(&self) -> [u8; IU_LEN_MIN] {
        zerocopy::transmute!(Layout::new(self.opcode, false, 0, self.tag))
    }
}
