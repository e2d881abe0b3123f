//! The base header ("BSDH", A4.3.1).

use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the base header.
pub const BASE_LEN: usize = 16;

codes! {
    /// What a message is.
    pub enum MessageId: u8 {
        Hello = 0x00, "Hello";
        HelloAck = 0x01, "HelloAck";
        Disconnect = 0x02, "DisConn";
        Abort = 0x03, "AbortConn";
        SendSmall = 0x04, "SendSm";
        RdmaWriteCompletion = 0x05, "RdmaWrCompl";
        RdmaReadCompletion = 0x06, "RdmaRdCompl";
        ModeChange = 0x07, "ModeChange";
        SourceCancel = 0x08, "SrcAvailCancel";
        SinkCancel = 0x09, "SinkAvailCancel";
        SinkCancelAck = 0x0a, "SinkCancelAck";
        ChangeReceiveBuffer = 0x0b, "ChRcvBuf";
        ChangeReceiveBufferAck = 0x0c, "ChRcvBufAck";
        Suspend = 0x0d, "SuspComm";
        SuspendAck = 0x0e, "SuspCommAck";
        SinkAvailable = 0xfd, "SinkAvail";
        SourceAvailable = 0xfe, "SrcAvail";
        Data = 0xff, "Data";
    }
}

bits! {
    /// Flags of the base header.
    pub struct Flags: u8 {
        /// The last byte of this message is urgent.
        OUT_OF_BAND_PRESENT = 0x01;
        /// Urgent data is on its way.
        OUT_OF_BAND_PENDING = 0x02;
        /// The sender asks for pipelined mode.
        REQUEST_PIPELINED = 0x04;
    }
}

/// The base header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What the message is.
    pub id: MessageId,
    /// Its flags.
    pub flags: Flags,
    /// Receive buffers the sender has posted.
    pub buffers: u16,
    /// Bytes of the whole message, this header among them.
    pub len: u32,
    /// The message's number; each message has the next.
    pub sequence: u32,
    /// The number of the last message received.
    pub acknowledged: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    id: u8,
    flags: u8,
    buffers: U16,
    len: U32,
    sequence: U32,
    acknowledged: U32,
}

impl Base {
    /// Reads the header at the front of a message.
    ///
    /// # Errors
    /// It is too short. Of an unknown type it is `None`.
    pub fn decode(message: &[u8]) -> Result<Option<Self>, Truncated> {
        let layout: &Layout = view(message)?;
        Ok(MessageId::from_code(layout.id).map(|id| Self {
            id,
            flags: Flags(layout.flags),
            buffers: layout.buffers.get(),
            len: layout.len.get(),
            sequence: layout.sequence.get(),
            acknowledged: layout.acknowledged.get(),
        }))
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; BASE_LEN] {
        zerocopy::transmute!(Layout {
            id: self.id.code(),
            flags: self.flags.bits(),
            buffers: U16::new(self.buffers),
            len: U32::new(self.len),
            sequence: U32::new(self.sequence),
            acknowledged: U32::new(self.acknowledged),
        })
    }
}
