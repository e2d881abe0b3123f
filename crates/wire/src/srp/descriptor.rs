//! Data buffer descriptors (section 5.4): where in the initiator's memory a command's data lies.

use super::CommandError;
use super::command::Side;
use crate::{BufferTooSmall, put};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a memory descriptor.
pub const DESCRIPTOR_LEN: usize = 16;

/// Bytes of an indirect descriptor before its table.
pub const INDIRECT_LEN: usize = 20;

/// A piece of registered memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryDescriptor {
    /// Where it begins.
    pub address: u64,
    /// Its key.
    pub key: u32,
    /// Bytes.
    pub len: u32,
}

/// Where one direction's data lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor<'a> {
    /// There is none.
    None,
    /// One piece of memory.
    Direct(MemoryDescriptor),
    /// A table of pieces of memory.
    Indirect {
        /// Where the whole table lies in the initiator's memory.
        table: MemoryDescriptor,
        /// Bytes of all pieces together.
        len: u32,
        /// The first of the table's descriptors, perhaps all.
        first: DescriptorTable<'a>,
    },
    /// So many bytes in the unit itself (SRP-2), where the login said that they begin.
    Immediate {
        /// Bytes.
        len: u32,
    },
}

/// Memory descriptors one after another, as they are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DescriptorTable<'a>(&'a [u8]);

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    address: U64,
    key: U32,
    len: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct IndirectLayout {
    table: Layout,
    len: U32,
}

impl MemoryDescriptor {
    /// Reads the bytes of one.
    pub fn decode(bytes: &[u8; DESCRIPTOR_LEN]) -> Self {
        let layout: Layout = zerocopy::transmute!(*bytes);
        Self::read(layout)
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; DESCRIPTOR_LEN] {
        zerocopy::transmute!(self.layout())
    }

    fn read(layout: Layout) -> Self {
        Self { address: layout.address.get(), key: layout.key.get(), len: layout.len.get() }
    }

    fn layout(&self) -> Layout {
        Layout { address: U64::new(self.address), key: U32::new(self.key), len: U32::new(self.len) }
    }
}

impl<'a> DescriptorTable<'a> {
    /// A table of bytes; what is left after the last whole descriptor is not part of it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(&bytes[..bytes.len() / DESCRIPTOR_LEN * DESCRIPTOR_LEN])
    }

    /// How many descriptors.
    pub const fn count(self) -> usize {
        self.0.len() / DESCRIPTOR_LEN
    }

    /// The bytes.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The descriptors in order.
    pub fn iter(self) -> impl Iterator<Item = MemoryDescriptor> + 'a {
        let (whole, _) = self.0.as_chunks();
        whole.iter().map(MemoryDescriptor::decode)
    }
}

impl<'a> Descriptor<'a> {
    /// Bytes of data that the descriptor is for.
    pub const fn data_len(&self) -> u32 {
        match *self {
            Self::None => 0,
            Self::Direct(memory) => memory.len,
            Self::Indirect { len, .. } | Self::Immediate { len } => len,
        }
    }

    /// The code of its format.
    pub(super) const fn format(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Direct(_) => 1,
            Self::Indirect { .. } => 2,
            Self::Immediate { .. } => 3,
        }
    }

    /// How many descriptors of its table are in the unit.
    pub(super) const fn count(&self) -> usize {
        match *self {
            Self::Indirect { first, .. } => first.count(),
            Self::None | Self::Direct(_) | Self::Immediate { .. } => 0,
        }
    }

    /// Takes the descriptor of a format off the front of `bytes`.
    pub(super) fn take(
        side: Side,
        format: u8,
        count: u8,
        bytes: &mut &'a [u8],
    ) -> Result<Self, CommandError> {
        match format {
            0 => Ok(Self::None),
            1 => Ok(Self::Direct(MemoryDescriptor::read(take(bytes)?))),
            2 => {
                let indirect: IndirectLayout = take(bytes)?;
                let table = MemoryDescriptor::read(indirect.table);
                let len = usize::from(count) * DESCRIPTOR_LEN;
                if len > table.len as usize || !(table.len as usize).is_multiple_of(DESCRIPTOR_LEN) {
                    return Err(side.count_error());
                }
                let (first, rest) = bytes.split_at_checked(len).ok_or(side.count_error())?;
                *bytes = rest;
                Ok(Self::Indirect { table, len: indirect.len.get(), first: DescriptorTable(first) })
            }
            3 if side == Side::Out => {
                let len: U32 = take(bytes)?;
                Ok(Self::Immediate { len: len.get() })
            }
            _ => Err(side.format_error()),
        }
    }

    /// Writes the descriptor to the front of `out` and returns its length.
    pub(super) fn put(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        match *self {
            Self::None => Ok(0),
            Self::Direct(memory) => put(&memory.layout(), out),
            Self::Indirect { table, len, first } => {
                let start = put(&IndirectLayout { table: table.layout(), len: U32::new(len) }, out)?;
                let (needed, available) = (start + first.0.len(), out.len());
                let rest = out.get_mut(start..needed).ok_or(BufferTooSmall { needed, available })?;
                rest.copy_from_slice(first.0);
                Ok(needed)
            }
            Self::Immediate { len } => put(&U32::new(len), out),
        }
    }
}

fn take<T>(bytes: &mut &[u8]) -> Result<T, CommandError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned + Copy,
{
    let (value, rest) = T::read_from_prefix(bytes).map_err(|_| CommandError::Truncated)?;
    *bytes = rest;
    Ok(value)
}
