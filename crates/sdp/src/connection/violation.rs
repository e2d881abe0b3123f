//! What a peer may not do. The connection ends.

use thiserror::Error;
use wire::sdp::{ControlError, Mode};

/// What a peer did that it may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Violation {
    /// A message that is none.
    #[error("a message contradicts itself")]
    Malformed(#[from] ControlError),
    /// A message of no known type.
    #[error("a message is of an unknown type")]
    UnknownType,
    /// A message is not as long as it says.
    #[error("a message of {received} bytes says that it has {said}")]
    Length {
        /// What it says.
        said: u32,
        /// What came.
        received: u32,
    },
    /// A message is longer than our receives were said to be.
    #[error("a message has {0} bytes, more than was allowed")]
    TooLong(u32),
    /// A message does not have the next number.
    #[error("message {received} came where {expected} was expected")]
    Sequence {
        /// The next number.
        expected: u32,
        /// What came.
        received: u32,
    },
    /// A message acknowledges what was not sent, or takes an acknowledgement back.
    #[error("message {received} is acknowledged, {sent} was sent last")]
    Acknowledgement {
        /// The last that was sent.
        sent: u32,
        /// What was acknowledged.
        received: u32,
    },
    /// A message came that there was no credit for.
    #[error("a message came without a credit")]
    CreditOverrun,
    /// Bytes came in a message while an advert was there.
    #[error("bytes of the stream came beside an advert")]
    DataBesideAdvert,
    /// An advert came that the direction's mode does not allow, or not with these bytes.
    #[error("an advert does not fit {0} mode")]
    AdvertInMode(Mode),
    /// An advert came after those before it were taken back, and before that was done.
    #[error("an advert came while others were being taken back")]
    AdvertWhileCancelling,
    /// More adverts came than we take.
    #[error("more adverts came than were allowed")]
    TooManyAdverts,
    /// An advert's memory goes past the end of the address space.
    #[error("an advert goes past the end of the address space")]
    AdvertUncovered,
    /// Memory to write to holds no message.
    #[error("memory of {0} bytes to write to holds no message")]
    SinkTooShort(u32),
    /// Something came for an advert that is not there.
    #[error("there is no such advert")]
    NoAdvert,
    /// More was read or written than advertised.
    #[error("more bytes were moved than the advert has")]
    TooMuchMoved,
    /// A mode was changed to one that cannot follow.
    #[error("a direction in {from} mode cannot change to {to} mode")]
    ModeChange {
        /// The mode it has.
        from: Mode,
        /// The mode asked for.
        to: Mode,
    },
    /// Something came of the stream after the peer closed it, or it closed it twice.
    #[error("the peer went on after it closed")]
    AfterClose,
    /// Something was answered that was not asked.
    #[error("an answer came to nothing that was asked")]
    Unasked,
    /// More came that wants an answer than a peer who awaits the answers asks for.
    #[error("the peer asks on without taking the answers")]
    TooManyAsked,
    /// The receives of the peer would hold nothing.
    #[error("receives of {0} bytes hold no message")]
    ReceiveTooShort(u32),
    /// The peer does not let go of adverts.
    #[error("the peer does not let go of adverts that were taken back")]
    CancelIgnored,
}
