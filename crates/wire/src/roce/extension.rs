//! The extended transport headers (9.3 to 9.5): what follows the base transport header, as its opcode says.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Acknowledge, PacketError, Shape, Syndrome, read_u24, write_u24};
use crate::{BufferTooSmall, Truncated};

/// Memory of the responder (RETH).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reth {
    /// Where it begins.
    pub address: u64,
    /// The key that allows it (R_Key).
    pub key: u32,
    /// Bytes of the whole message.
    pub len: u32,
}

/// An atomic operation on eight bytes (AtomicETH).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AtomicEth {
    /// Where they are.
    pub address: u64,
    /// The key that allows it (R_Key).
    pub key: u32,
    /// What to put there, or to add.
    pub swap_add: u64,
    /// What must be there for a swap.
    pub compare: u64,
}

/// Where a datagram comes from (DETH).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deth {
    /// The key that the receiving queue pair asks for (Q_Key).
    pub queue_key: u32,
    /// The queue pair that sent it, below 2^24.
    pub source: u32,
}

/// The headers between the base transport header and the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// None.
    Plain,
    /// Four bytes for the receiver's completion (ImmDt).
    Immediate(u32),
    /// A key of the receiver's that is to open nothing any more (IETH).
    Invalidate(u32),
    /// Memory of the responder.
    Remote(Reth),
    /// Memory of the responder, and four bytes for its completion.
    RemoteImmediate(Reth, u32),
    /// An atomic operation.
    Atomic(AtomicEth),
    /// An acknowledgement.
    Acknowledge(Acknowledge),
    /// An acknowledgement, and what was in the eight bytes before.
    AtomicAcknowledge(Acknowledge, u64),
    /// Where it comes from.
    Datagram(Deth),
    /// Where it comes from, and four bytes for the receiver's completion.
    DatagramImmediate(Deth, u32),
    /// Sixteen reserved bytes.
    Notification,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RethLayout {
    address: U64,
    key: U32,
    len: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AtomicLayout {
    address: U64,
    key: U32,
    swap_add: U64,
    compare: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AethLayout {
    syndrome: u8,
    message_number: [u8; 3],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DethLayout {
    queue_key: U32,
    reserved: u8,
    source: [u8; 3],
}

/// Two headers, one after the other.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Pair<A, B> {
    first: A,
    second: B,
}

impl Extension {
    /// Which headers these are.
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Plain => Shape::Plain,
            Self::Immediate(_) => Shape::Immediate,
            Self::Invalidate(_) => Shape::Invalidate,
            Self::Remote(_) => Shape::Remote,
            Self::RemoteImmediate(..) => Shape::RemoteImmediate,
            Self::Atomic(_) => Shape::Atomic,
            Self::Acknowledge(_) => Shape::Acknowledge,
            Self::AtomicAcknowledge(..) => Shape::AtomicAcknowledge,
            Self::Datagram(_) => Shape::Datagram,
            Self::DatagramImmediate(..) => Shape::DatagramImmediate,
            Self::Notification => Shape::Notification,
        }
    }

    /// Reads headers of this shape at the front of `bytes`.
    pub fn decode(shape: Shape, bytes: &[u8]) -> Result<Self, PacketError> {
        Ok(match shape {
            Shape::Plain => Self::Plain,
            Shape::Immediate => Self::Immediate(view::<U32>(bytes)?.get()),
            Shape::Invalidate => Self::Invalidate(view::<U32>(bytes)?.get()),
            Shape::Remote => Self::Remote(view::<RethLayout>(bytes)?.meaning()),
            Shape::RemoteImmediate => {
                let pair: &Pair<RethLayout, U32> = view(bytes)?;
                Self::RemoteImmediate(pair.first.meaning(), pair.second.get())
            }
            Shape::Atomic => Self::Atomic(view::<AtomicLayout>(bytes)?.meaning()),
            Shape::Acknowledge => Self::Acknowledge(view::<AethLayout>(bytes)?.meaning()?),
            Shape::AtomicAcknowledge => {
                let pair: &Pair<AethLayout, U64> = view(bytes)?;
                Self::AtomicAcknowledge(pair.first.meaning()?, pair.second.get())
            }
            Shape::Datagram => Self::Datagram(view::<DethLayout>(bytes)?.meaning()),
            Shape::DatagramImmediate => {
                let pair: &Pair<DethLayout, U32> = view(bytes)?;
                Self::DatagramImmediate(pair.first.meaning(), pair.second.get())
            }
            Shape::Notification => {
                view::<[u8; 16]>(bytes)?;
                Self::Notification
            }
        })
    }

    /// Writes the headers to the front of `out`; returns their length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        match *self {
            Self::Plain => Ok(0),
            Self::Immediate(value) | Self::Invalidate(value) => crate::put(&U32::new(value), out),
            Self::Remote(reth) => crate::put(&RethLayout::new(reth), out),
            Self::RemoteImmediate(reth, immediate) => {
                crate::put(&Pair { first: RethLayout::new(reth), second: U32::new(immediate) }, out)
            }
            Self::Atomic(atomic) => crate::put(&AtomicLayout::new(atomic), out),
            Self::Acknowledge(acknowledge) => crate::put(&AethLayout::new(acknowledge), out),
            Self::AtomicAcknowledge(acknowledge, original) => {
                crate::put(&Pair { first: AethLayout::new(acknowledge), second: U64::new(original) }, out)
            }
            Self::Datagram(deth) => crate::put(&DethLayout::new(deth), out),
            Self::DatagramImmediate(deth, immediate) => {
                crate::put(&Pair { first: DethLayout::new(deth), second: U32::new(immediate) }, out)
            }
            Self::Notification => crate::put(&[0u8; 16], out),
        }
    }
}

impl RethLayout {
    fn new(reth: Reth) -> Self {
        Self { address: U64::new(reth.address), key: U32::new(reth.key), len: U32::new(reth.len) }
    }

    fn meaning(&self) -> Reth {
        Reth { address: self.address.get(), key: self.key.get(), len: self.len.get() }
    }
}

impl AtomicLayout {
    fn new(atomic: AtomicEth) -> Self {
        Self {
            address: U64::new(atomic.address),
            key: U32::new(atomic.key),
            swap_add: U64::new(atomic.swap_add),
            compare: U64::new(atomic.compare),
        }
    }

    fn meaning(&self) -> AtomicEth {
        AtomicEth {
            address: self.address.get(),
            key: self.key.get(),
            swap_add: self.swap_add.get(),
            compare: self.compare.get(),
        }
    }
}

impl AethLayout {
    fn new(acknowledge: Acknowledge) -> Self {
        Self { syndrome: acknowledge.syndrome.code(), message_number: write_u24(acknowledge.message_number) }
    }

    fn meaning(&self) -> Result<Acknowledge, PacketError> {
        let syndrome = Syndrome::from_code(self.syndrome).ok_or(PacketError::Syndrome(self.syndrome))?;
        Ok(Acknowledge { syndrome, message_number: read_u24(self.message_number) })
    }
}

impl DethLayout {
    fn new(deth: Deth) -> Self {
        Self { queue_key: U32::new(deth.queue_key), reserved: 0, source: write_u24(deth.source) }
    }

    fn meaning(&self) -> Deth {
        Deth { queue_key: self.queue_key.get(), source: read_u24(self.source) }
    }
}

fn view<T>(bytes: &[u8]) -> Result<&T, PacketError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    crate::view(bytes)
        .map_err(|Truncated { needed, .. }| PacketError::TooShort { needed: super::BTH_LEN + needed })
}
