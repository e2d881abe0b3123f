//! Messages without bytes of the stream that wait for their turn.

use wire::sdp::{Advert, Body, Half, Mode, SinkAdvert};

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    /// So much of the oldest source advert was read.
    ReadDone(u32),
    /// So much was written to the oldest sink advert.
    WriteDone(u32),
    /// Adverts are not read: their bytes are to come in messages.
    SendSmall,
    /// Our source adverts are to be let go of.
    SourceCancel,
    /// Our sink adverts are to be let go of.
    SinkCancel,
    /// The peer's sink adverts are let go of.
    SinkCancelAck,
    /// Memory to write to, under the owner's name for it. What the peer is told of it is known when it is told.
    Sink(u32, Advert),
    /// The mode of a direction changes.
    Mode(Half, Mode),
    /// The peer's buffers should have so many bytes.
    Resize(u32),
    /// Ours have so many.
    ResizeAck(u32),
    /// The connection is to pause, and go on at another service.
    Suspend(u64),
}

impl Control {
    /// Its message, when so many messages of bytes have come that used no sink advert up.
    pub(super) const fn body(self, non_discards: u32) -> Body {
        match self {
            Self::ReadDone(len) => Body::RdmaReadCompletion(len),
            Self::WriteDone(len) => Body::RdmaWriteCompletion(len),
            Self::SendSmall => Body::SendSmall,
            Self::SourceCancel => Body::SourceCancel,
            Self::SinkCancel => Body::SinkCancel,
            Self::SinkCancelAck => Body::SinkCancelAck,
            Self::Sink(_, advert) => Body::SinkAvailable(SinkAdvert { advert, non_discards }),
            Self::Mode(half, mode) => Body::ModeChange(half, mode),
            Self::Resize(len) => Body::ChangeReceiveBuffer(len),
            Self::ResizeAck(len) => Body::ChangeReceiveBufferAck(len),
            Self::Suspend(service) => Body::Suspend(service),
        }
    }
}
