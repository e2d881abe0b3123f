//! SRP_RSP (section 6.9): the end of a command or of a task management request.

use super::{Opcode, SOLICITED};
use crate::{BufferTooSmall, Truncated, view};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes before response data and sense data.
pub const RESPONSE_LEN: usize = 36;

bits! {
    /// Which parts of a response mean something.
    pub struct ResponseFlags: u8 {
        /// There is response data.
        RESPONSE_DATA = 0x01;
        /// There is sense data.
        SENSE = 0x02;
        /// More data-out was called for than the buffer has.
        DATA_OUT_OVERFLOW = 0x04;
        /// Less data-out was called for than the buffer has.
        DATA_OUT_UNDERFLOW = 0x08;
        /// There was more data-in than the buffer takes.
        DATA_IN_OVERFLOW = 0x10;
        /// There was less data-in than the buffer takes.
        DATA_IN_UNDERFLOW = 0x20;
    }
}

codes! {
    /// How a request ended outside of SCSI.
    pub enum ResponseCode: u8 {
        Complete = 0x00, "no failure, or the task management function is complete";
        InvalidFields = 0x02, "the fields of the request are invalid";
        NotSupported = 0x04, "the task management function is not supported";
        Failed = 0x05, "the task management function failed";
    }
}

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The request's tag.
    pub tag: u64,
    /// Requests given back, this one among them; less than zero takes some away.
    pub request_limit_delta: i32,
    /// The initiator asked for a solicited event.
    pub solicited: bool,
    /// Over- and underflow; the two flags that say what follows are set from what follows.
    pub flags: ResponseFlags,
    /// The SCSI status, where there is no response data.
    pub status: u8,
    /// By how many bytes data-out was too long or too short.
    pub data_out_residual: u32,
    /// By how many bytes data-in was too long or too short.
    pub data_in_residual: u32,
    /// How a task management request ended; for a command only where it failed outside of SCSI.
    pub code: Option<ResponseCode>,
    /// Sense data.
    pub sense: &'a [u8],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    solicited: u8,
    reserved_1: [u8; 2],
    request_limit_delta: U32,
    tag: U64,
    reserved_2: [u8; 2],
    flags: u8,
    status: u8,
    data_out_residual: U32,
    data_in_residual: U32,
    sense_len: U32,
    response_data_len: U32,
}

impl<'a> Response<'a> {
    /// Reads an IU of this type. Response data of an unknown code is read as a failure.
    ///
    /// # Errors
    /// It is shorter than it says.
    pub fn decode(iu: &'a [u8]) -> Result<Self, Truncated> {
        let layout: &Layout = view(iu)?;
        let flags = ResponseFlags(layout.flags);
        let rest = &iu[RESPONSE_LEN..];
        let has = |flag, len: U32| if flags.contains(flag) { len.get() as usize } else { 0 };
        let response_data_len = has(ResponseFlags::RESPONSE_DATA, layout.response_data_len);
        let sense_len = has(ResponseFlags::SENSE, layout.sense_len);
        let needed = response_data_len.saturating_add(sense_len);
        let truncated = Truncated { needed, available: rest.len() };
        let (response_data, rest) = rest.split_at_checked(response_data_len).ok_or(truncated)?;
        let sense = rest.get(..sense_len).ok_or(truncated)?;
        let code = match (flags.contains(ResponseFlags::RESPONSE_DATA), response_data) {
            (false, _) => None,
            (true, [_, _, _, code, ..]) => {
                Some(ResponseCode::from_code(*code).unwrap_or(ResponseCode::Failed))
            }
            (true, _) => return Err(Truncated { needed: RESPONSE_DATA_LEN, available: response_data_len }),
        };
        Ok(Self {
            tag: layout.tag.get(),
            request_limit_delta: layout.request_limit_delta.get().cast_signed(),
            solicited: layout.solicited & SOLICITED != 0,
            flags: flags.without(ResponseFlags::RESPONSE_DATA | ResponseFlags::SENSE),
            status: layout.status,
            data_out_residual: layout.data_out_residual.get(),
            data_in_residual: layout.data_in_residual.get(),
            code,
            sense,
        })
    }

    /// Bytes of the unit.
    pub const fn len(&self) -> usize {
        let response_data_len = if self.code.is_some() { RESPONSE_DATA_LEN } else { 0 };
        RESPONSE_LEN + response_data_len + self.sense.len()
    }

    /// Never: a response has a header.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the unit and returns its length.
    ///
    /// # Errors
    /// It does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let (needed, available) = (self.len(), out.len());
        let out = out.get_mut(..needed).ok_or(BufferTooSmall { needed, available })?;
        let (start, rest) = out.split_at_mut(RESPONSE_LEN);
        start.copy_from_slice(self.layout().as_bytes());
        let (response_data, sense) = rest.split_at_mut(rest.len() - self.sense.len());
        if let Some(code) = self.code {
            response_data.copy_from_slice(&[0, 0, 0, code.code()]);
        }
        sense.copy_from_slice(self.sense);
        Ok(needed)
    }

    fn layout(&self) -> Layout {
        let mut flags = self.flags.without(ResponseFlags::RESPONSE_DATA | ResponseFlags::SENSE);
        if self.code.is_some() {
            flags = flags | ResponseFlags::RESPONSE_DATA;
        }
        if !self.sense.is_empty() {
            flags = flags | ResponseFlags::SENSE;
        }
        let response_data_len = if self.code.is_some() { RESPONSE_DATA_LEN } else { 0 };
        Layout {
            opcode: Opcode::Response.code(),
            solicited: u8::from(self.solicited),
            reserved_1: [0; 2],
            request_limit_delta: U32::new(self.request_limit_delta.cast_unsigned()),
            tag: U64::new(self.tag),
            reserved_2: [0; 2],
            flags: flags.bits(),
            status: self.status,
            data_out_residual: U32::new(self.data_out_residual),
            data_in_residual: U32::new(self.data_in_residual),
            sense_len: U32::new(self.sense.len() as u32),
            response_data_len: U32::new(response_data_len as u32),
        }
    }
}

const RESPONSE_DATA_LEN: usize = 4;
