//! Memory held in place for someone else.

use super::Span;

/// Bytes of a shared region that stay mapped, and where they are, until they come back to
/// [`Memory::unpin`](super::Memory::unpin). Only [`Memory::pin`](super::Memory::pin) makes one, so whoever has it may let
/// the kernel read and write these bytes. One that never comes back holds its region for ever, which is a leak and no
/// danger: not unmapping the region, not growing it, nor exchanging or dropping the memory moves pinned bytes.
#[derive(Debug)]
#[must_use = "a pin that is not given back holds its region for ever"]
pub struct Pinned {
    pub(super) address: *mut u8,
    pub(super) span: Span,
    pub(super) memory: u64,
}

// SAFETY: a pin is a claim on a mapping, and the mapping is tied to no thread. The address is used only in unsafe code.
unsafe impl Send for Pinned {}

impl Pinned {
    /// Where the bytes begin.
    pub const fn address(&self) -> *mut u8 {
        self.address
    }

    /// How many they are.
    pub const fn len(&self) -> usize {
        self.span.len()
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.span.is_empty()
    }
}
