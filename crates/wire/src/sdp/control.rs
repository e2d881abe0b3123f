//! The headers behind the base header (A4.3.3 to A4.3.11).

use super::{BASE_LEN, MessageId};
use crate::{BufferTooSmall, Truncated, put, view};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Memory that the peer may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advert {
    /// Bytes of the stream, those that follow in the message among them.
    pub len: u32,
    /// The key.
    pub key: u32,
    /// Where the memory begins.
    pub address: u64,
}

/// Memory that the peer may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkAdvert {
    /// The memory.
    pub advert: Advert,
    /// How many messages of data the sender of the advert had received: an advert that is older than data on its way is
    /// stale, and dropped.
    pub non_discards: u32,
}

codes! {
    /// How bytes of one direction flow (A4.5).
    pub enum Mode: u8 {
        Buffered = 0, "buffered";
        Combined = 1, "combined";
        Pipelined = 2, "pipelined";
    }
}

/// One direction, as the receiver of the message sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What the receiver of the message receives.
    Receive,
    /// What the receiver of the message sends.
    Send,
}

/// What a message says behind its base header. What follows of its length are bytes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Bytes of the stream; without any the message only gives credits.
    Data,
    /// The sender will send no more bytes.
    Disconnect,
    /// The connection ends at once.
    Abort,
    /// The bytes of the oldest source advert are to be sent as data.
    SendSmall,
    /// So many bytes were written to the oldest sink advert.
    RdmaWriteCompletion(u32),
    /// So many bytes were read of the oldest source advert.
    RdmaReadCompletion(u32),
    /// A direction's mode changes.
    ModeChange(Half, Mode),
    /// The sender takes its source adverts back.
    SourceCancel,
    /// The sender takes its sink adverts back.
    SinkCancel,
    /// The sender lets go of all sink adverts.
    SinkCancelAck,
    /// The peer's buffers should have so many bytes.
    ChangeReceiveBuffer(u32),
    /// The sender's buffers have so many bytes from now on.
    ChangeReceiveBufferAck(u32),
    /// The connection pauses while it moves to another service.
    Suspend(u64),
    /// It pauses.
    SuspendAck,
    /// Memory to write to; bytes of the stream may follow.
    SinkAvailable(SinkAdvert),
    /// Memory to read; bytes of the stream may follow, which the memory begins with.
    SourceAvailable(Advert),
}

/// A message that is none: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// It ends before its header does.
    #[error("the message is shorter than its header")]
    TooShort,
    /// Bytes follow where there can be none.
    #[error("a {0} message has no bytes of the stream")]
    Payload(MessageId),
    /// The mode is of no meaning.
    #[error("flow control mode {0} is not defined")]
    Mode(u8),
    /// A greeting after the connection was made.
    #[error("a {0} message belongs into the connection's set-up")]
    Greeting(MessageId),
    /// More bytes follow an advert than it advertises.
    #[error("an advert carries more bytes than it advertises")]
    AdvertShorterThanPayload,
}

/// Adverts of more bytes than an address space has are not covered by any memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the advert's memory goes past the end of the address space")]
pub struct Uncovered;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AdvertLayout {
    len: U32,
    key: U32,
    address: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SinkLayout {
    advert: AdvertLayout,
    non_discards: U32,
}

impl Advert {
    /// The address just behind the memory.
    ///
    /// # Errors
    /// There is no such address.
    pub fn end(&self) -> Result<u64, Uncovered> {
        self.address.checked_add(self.len.into()).ok_or(Uncovered)
    }

    fn read(layout: &AdvertLayout) -> Self {
        Self { len: layout.len.get(), key: layout.key.get(), address: layout.address.get() }
    }

    fn layout(&self) -> AdvertLayout {
        AdvertLayout { len: U32::new(self.len), key: U32::new(self.key), address: U64::new(self.address) }
    }
}

impl Body {
    /// Reads what follows the base header of a message of this type; gives it with the bytes of the stream.
    ///
    /// # Errors
    /// The message contradicts itself.
    pub fn decode(id: MessageId, rest: &[u8]) -> Result<(Self, &[u8]), ControlError> {
        let word =
            || view::<U32>(rest).map(|word| word.get()).map_err(|Truncated { .. }| ControlError::TooShort);
        let body = match id {
            MessageId::Hello | MessageId::HelloAck => return Err(ControlError::Greeting(id)),
            MessageId::Data => Self::Data,
            MessageId::Disconnect => Self::Disconnect,
            MessageId::Abort => Self::Abort,
            MessageId::SendSmall => Self::SendSmall,
            MessageId::RdmaWriteCompletion => Self::RdmaWriteCompletion(word()?),
            MessageId::RdmaReadCompletion => Self::RdmaReadCompletion(word()?),
            MessageId::ModeChange => mode_change(word()?.to_be_bytes()[0])?,
            MessageId::SourceCancel => Self::SourceCancel,
            MessageId::SinkCancel => Self::SinkCancel,
            MessageId::SinkCancelAck => Self::SinkCancelAck,
            MessageId::ChangeReceiveBuffer => Self::ChangeReceiveBuffer(word()?),
            MessageId::ChangeReceiveBufferAck => Self::ChangeReceiveBufferAck(word()?),
            MessageId::Suspend => Self::Suspend(take::<U64>(rest)?.get()),
            MessageId::SuspendAck => Self::SuspendAck,
            MessageId::SinkAvailable => {
                let layout: &SinkLayout = take(rest)?;
                let advert = Advert::read(&layout.advert);
                Self::SinkAvailable(SinkAdvert { advert, non_discards: layout.non_discards.get() })
            }
            MessageId::SourceAvailable => Self::SourceAvailable(Advert::read(take(rest)?)),
        };
        let payload = &rest[body.len()..];
        match body {
            Self::Data | Self::SinkAvailable(_) => Ok((body, payload)),
            Self::SourceAvailable(advert) if payload.len() <= advert.len as usize => Ok((body, payload)),
            Self::SourceAvailable(_) => Err(ControlError::AdvertShorterThanPayload),
            _ if payload.is_empty() => Ok((body, payload)),
            _ => Err(ControlError::Payload(id)),
        }
    }

    /// The type of the message.
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Data => MessageId::Data,
            Self::Disconnect => MessageId::Disconnect,
            Self::Abort => MessageId::Abort,
            Self::SendSmall => MessageId::SendSmall,
            Self::RdmaWriteCompletion(_) => MessageId::RdmaWriteCompletion,
            Self::RdmaReadCompletion(_) => MessageId::RdmaReadCompletion,
            Self::ModeChange(..) => MessageId::ModeChange,
            Self::SourceCancel => MessageId::SourceCancel,
            Self::SinkCancel => MessageId::SinkCancel,
            Self::SinkCancelAck => MessageId::SinkCancelAck,
            Self::ChangeReceiveBuffer(_) => MessageId::ChangeReceiveBuffer,
            Self::ChangeReceiveBufferAck(_) => MessageId::ChangeReceiveBufferAck,
            Self::Suspend(_) => MessageId::Suspend,
            Self::SuspendAck => MessageId::SuspendAck,
            Self::SinkAvailable(_) => MessageId::SinkAvailable,
            Self::SourceAvailable(_) => MessageId::SourceAvailable,
        }
    }

    /// Bytes between the base header and the bytes of the stream.
    pub const fn len(&self) -> usize {
        match self {
            Self::Data
            | Self::Disconnect
            | Self::Abort
            | Self::SendSmall
            | Self::SourceCancel
            | Self::SinkCancel
            | Self::SinkCancelAck
            | Self::SuspendAck => 0,
            Self::RdmaWriteCompletion(_)
            | Self::RdmaReadCompletion(_)
            | Self::ModeChange(..)
            | Self::ChangeReceiveBuffer(_)
            | Self::ChangeReceiveBufferAck(_) => 4,
            Self::Suspend(_) => 8,
            Self::SourceAvailable(_) => size_of::<AdvertLayout>(),
            Self::SinkAvailable(_) => size_of::<SinkLayout>(),
        }
    }

    /// True for a message of the base header alone, but for bytes of the stream.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of a message with so many bytes of the stream.
    pub const fn message_len(&self, payload_len: usize) -> usize {
        BASE_LEN + self.len() + payload_len
    }

    /// Writes what follows the base header to the front of `out` and returns its length.
    ///
    /// # Errors
    /// It does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        match *self {
            Self::RdmaWriteCompletion(word)
            | Self::RdmaReadCompletion(word)
            | Self::ChangeReceiveBuffer(word)
            | Self::ChangeReceiveBufferAck(word) => put(&U32::new(word), out),
            Self::ModeChange(half, mode) => put(&[half.bit() | mode.code() << MODE_SHIFT, 0, 0, 0], out),
            Self::Suspend(service) => put(&U64::new(service), out),
            Self::SourceAvailable(advert) => put(&advert.layout(), out),
            Self::SinkAvailable(SinkAdvert { advert, non_discards }) => {
                put(&SinkLayout { advert: advert.layout(), non_discards: U32::new(non_discards) }, out)
            }
            Self::Data
            | Self::Disconnect
            | Self::Abort
            | Self::SendSmall
            | Self::SourceCancel
            | Self::SinkCancel
            | Self::SinkCancelAck
            | Self::SuspendAck => Ok(0),
        }
    }
}

impl Half {
    const fn bit(self) -> u8 {
        match self {
            Self::Receive => 0,
            Self::Send => SEND_HALF,
        }
    }
}

fn mode_change(byte: u8) -> Result<Body, ControlError> {
    let code = byte >> MODE_SHIFT & 0x7;
    let half = if byte & SEND_HALF != 0 { Half::Send } else { Half::Receive };
    Ok(Body::ModeChange(half, Mode::from_code(code).ok_or(ControlError::Mode(code))?))
}

fn take<T>(rest: &[u8]) -> Result<&T, ControlError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    view(rest).map_err(|Truncated { .. }| ControlError::TooShort)
}

const SEND_HALF: u8 = 0x80;
const MODE_SHIFT: u8 = 4;
