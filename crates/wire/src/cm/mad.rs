//! The management datagram around a message (13.4.3), and the choice among the messages.

use thiserror::Error;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    AlternatePathResponse, BODY_LEN, ConnectReply, ConnectRequest, DisconnectReply, DisconnectRequest,
    LoadAlternatePath, MAD_LEN, MessageReceiptAck, ReadyToUse, Reject, ResolutionReply, ResolutionRequest,
};

codes! {
    /// The messages of communication management (12.6, table 100).
    pub enum Attribute: u16 {
        ConnectRequest = 0x0010, "REQ";
        MessageReceiptAck = 0x0011, "MRA";
        Reject = 0x0012, "REJ";
        ConnectReply = 0x0013, "REP";
        ReadyToUse = 0x0014, "RTU";
        DisconnectRequest = 0x0015, "DREQ";
        DisconnectReply = 0x0016, "DREP";
        ResolutionRequest = 0x0017, "SIDR_REQ";
        ResolutionReply = 0x0018, "SIDR_REP";
        LoadAlternatePath = 0x0019, "LAP";
        AlternatePathResponse = 0x001a, "APR";
    }
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// REQ.
    ConnectRequest(ConnectRequest),
    /// MRA.
    MessageReceiptAck(MessageReceiptAck),
    /// REJ.
    Reject(Reject),
    /// REP.
    ConnectReply(ConnectReply),
    /// RTU.
    ReadyToUse(ReadyToUse),
    /// DREQ.
    DisconnectRequest(DisconnectRequest),
    /// DREP.
    DisconnectReply(DisconnectReply),
    /// SIDR_REQ.
    ResolutionRequest(ResolutionRequest),
    /// SIDR_REP.
    ResolutionReply(ResolutionReply),
    /// LAP.
    LoadAlternatePath(LoadAlternatePath),
    /// APR.
    AlternatePathResponse(AlternatePathResponse),
}

/// The datagram is no message of communication management, and is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MadError {
    /// Management datagrams have 256 bytes.
    #[error("a management datagram has 256 bytes, not {0}")]
    Length(usize),
    /// It is of another class, version or method.
    #[error("class {class:#04x}, version {version}, method {method:#04x} is not communication management")]
    Class {
        /// Management class.
        class: u8,
        /// Class version.
        version: u8,
        /// Method.
        method: u8,
    },
    /// No message has this number.
    #[error("attribute {0:#06x} is not defined")]
    Attribute(u16),
    /// A field has a value that is not defined.
    #[error("a field of {0} has a value that is not defined")]
    Field(Attribute),
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    base_version: u8,
    class: u8,
    class_version: u8,
    method: u8,
    status: U16,
    class_specific: U16,
    transaction: U64,
    attribute: U16,
    reserved: U16,
    modifier: U32,
    body: [u8; BODY_LEN],
}

impl Message {
    /// Reads a datagram's message, and the number of its transaction.
    pub fn decode(bytes: &[u8]) -> Result<(u64, Self), MadError> {
        let mad = Layout::ref_from_bytes(bytes).map_err(|_| MadError::Length(bytes.len()))?;
        if (mad.base_version, mad.class, mad.class_version, mad.method)
            != (BASE_VERSION, CLASS, CLASS_VERSION, SEND)
        {
            return Err(MadError::Class { class: mad.class, version: mad.class_version, method: mad.method });
        }
        let number = mad.attribute.get();
        let attribute = Attribute::from_code(number).ok_or(MadError::Attribute(number))?;
        let message = Self::decode_body(attribute, &mad.body).ok_or(MadError::Field(attribute))?;
        Ok((mad.transaction.get(), message))
    }

    /// The datagram.
    pub fn encode(&self, transaction: u64) -> [u8; MAD_LEN] {
        let layout = Layout {
            base_version: BASE_VERSION,
            class: CLASS,
            class_version: CLASS_VERSION,
            method: SEND,
            status: U16::ZERO,
            class_specific: U16::ZERO,
            transaction: U64::new(transaction),
            attribute: U16::new(self.attribute().code()),
            reserved: U16::ZERO,
            modifier: U32::ZERO,
            body: self.encode_body(),
        };
        zerocopy::transmute!(layout)
    }

    /// Which message it is.
    pub const fn attribute(&self) -> Attribute {
        match self {
            Self::ConnectRequest(_) => Attribute::ConnectRequest,
            Self::MessageReceiptAck(_) => Attribute::MessageReceiptAck,
            Self::Reject(_) => Attribute::Reject,
            Self::ConnectReply(_) => Attribute::ConnectReply,
            Self::ReadyToUse(_) => Attribute::ReadyToUse,
            Self::DisconnectRequest(_) => Attribute::DisconnectRequest,
            Self::DisconnectReply(_) => Attribute::DisconnectReply,
            Self::ResolutionRequest(_) => Attribute::ResolutionRequest,
            Self::ResolutionReply(_) => Attribute::ResolutionReply,
            Self::LoadAlternatePath(_) => Attribute::LoadAlternatePath,
            Self::AlternatePathResponse(_) => Attribute::AlternatePathResponse,
        }
    }

    fn decode_body(attribute: Attribute, body: &[u8; BODY_LEN]) -> Option<Self> {
        Some(match attribute {
            Attribute::ConnectRequest => Self::ConnectRequest(ConnectRequest::decode(body)?),
            Attribute::MessageReceiptAck => Self::MessageReceiptAck(MessageReceiptAck::decode(body)?),
            Attribute::Reject => Self::Reject(Reject::decode(body)?),
            Attribute::ConnectReply => Self::ConnectReply(ConnectReply::decode(body)),
            Attribute::ReadyToUse => Self::ReadyToUse(ReadyToUse::decode(body)),
            Attribute::DisconnectRequest => Self::DisconnectRequest(DisconnectRequest::decode(body)),
            Attribute::DisconnectReply => Self::DisconnectReply(DisconnectReply::decode(body)),
            Attribute::ResolutionRequest => Self::ResolutionRequest(ResolutionRequest::decode(body)),
            Attribute::ResolutionReply => Self::ResolutionReply(ResolutionReply::decode(body)?),
            Attribute::LoadAlternatePath => Self::LoadAlternatePath(LoadAlternatePath::decode(body)),
            Attribute::AlternatePathResponse => {
                Self::AlternatePathResponse(AlternatePathResponse::decode(body)?)
            }
        })
    }

    fn encode_body(&self) -> [u8; BODY_LEN] {
        match self {
            Self::ConnectRequest(message) => message.encode(),
            Self::MessageReceiptAck(message) => message.encode(),
            Self::Reject(message) => message.encode(),
            Self::ConnectReply(message) => message.encode(),
            Self::ReadyToUse(message) => message.encode(),
            Self::DisconnectRequest(message) => message.encode(),
            Self::DisconnectReply(message) => message.encode(),
            Self::ResolutionRequest(message) => message.encode(),
            Self::ResolutionReply(message) => message.encode(),
            Self::LoadAlternatePath(message) => message.encode(),
            Self::AlternatePathResponse(message) => message.encode(),
        }
    }
}

pub(super) const HEADER_LEN: usize = 24;
const BASE_VERSION: u8 = 1;
/// The management class.
pub const CLASS: u8 = 0x07;
const CLASS_VERSION: u8 = 2;
const SEND: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_survives_being_written() {
        for &attribute in Attribute::ALL {
            let message = Message::decode_body(attribute, &[0; BODY_LEN]).unwrap();
            assert_eq!(message.attribute(), attribute);
            let bytes = message.encode(0x0102_0304_0506_0708);
            assert_eq!(Message::decode(&bytes), Ok((0x0102_0304_0506_0708, message)), "{attribute}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let mut bytes = Message::decode_body(Attribute::ReadyToUse, &[0; BODY_LEN]).unwrap().encode(1);
        assert_eq!(Message::decode(&bytes[..255]), Err(MadError::Length(255)));
        bytes[17] = 0x0f;
        assert_eq!(Message::decode(&bytes), Err(MadError::Attribute(0x0f)));
        bytes[3] = 0x81;
        assert_eq!(Message::decode(&bytes), Err(MadError::Class { class: 7, version: 2, method: 0x81 }));
    }
}
