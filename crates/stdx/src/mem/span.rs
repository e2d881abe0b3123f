//! Names for bytes.

/// A region of a shard's [`Memory`](super::Memory).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegionId(pub(super) u32);

/// `len` bytes at `offset` in `region`. Sixteen bytes, `Copy`: cores pass spans, never slices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// The region the bytes are in.
    pub region: RegionId,
    /// How many bytes.
    pub len: u32,
    /// Where they begin, in bytes from the region's start.
    pub offset: u64,
}

impl Span {
    /// No bytes at all.
    pub const EMPTY: Self = Self { region: RegionId(u32::MAX), len: 0, offset: 0 };

    /// True if there are no bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// `len` as the size it is.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// `len` bytes from `start` of this span on. Panics if they are not within it: callers have checked.
    #[must_use]
    pub fn slice(self, start: usize, len: usize) -> Self {
        assert!(start <= self.len() && len <= self.len() - start, "slice {start}+{len} of {self:?}");
        Self { region: self.region, len: len as u32, offset: self.offset + start as u64 }
    }

    /// All from `start` on.
    #[must_use]
    pub fn from(self, start: usize) -> Self {
        self.slice(start, self.len() - start)
    }

    /// The first `len` bytes.
    #[must_use]
    pub fn first(self, len: usize) -> Self {
        self.slice(0, len)
    }
}
