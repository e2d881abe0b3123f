//! Memory that queue pairs reach (10.6).

use crate::{Key, PdId};
use stdx::mem::Span;

/// Who may do what with a region (10.6.3.1). Reading by its owner needs no right.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Access(u8);

impl Access {
    /// Its owner reads it, and nobody else does anything.
    pub const NONE: Self = Self(0);
    /// Its owner's receives, reads and atomics may write it.
    pub const LOCAL_WRITE: Self = Self(0x01);
    /// Peers may write it; needs [`Access::LOCAL_WRITE`].
    pub const REMOTE_WRITE: Self = Self(0x02);
    /// Peers may read it.
    pub const REMOTE_READ: Self = Self(0x04);
    /// Peers may do atomic operations in it; needs [`Access::LOCAL_WRITE`].
    pub const REMOTE_ATOMIC: Self = Self(0x08);
    /// Windows may be bound to it.
    pub const WINDOW_BIND: Self = Self(0x10);

    /// Everything that peers may do.
    pub const REMOTE: Self = Self::REMOTE_WRITE.with(Self::REMOTE_READ).with(Self::REMOTE_ATOMIC);

    /// True if all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if no right is there without the one it needs.
    pub const fn is_consistent(self) -> bool {
        let writes = self.0 & (Self::REMOTE_WRITE.0 | Self::REMOTE_ATOMIC.0) != 0;
        !writes || self.contains(Self::LOCAL_WRITE)
    }
}

/// Memory to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// The bytes, in the order of their addresses. They stay mapped until the region is destroyed.
    pub pieces: &'a [Span],
    /// The address that the first byte gets, in the region's own space: peers and gather lists use it.
    pub address: u64,
    /// Who may do what.
    pub access: Access,
}

/// Memory that was registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// What opens it.
    pub key: Key,
    /// The address of its first byte.
    pub address: u64,
    /// Bytes.
    pub len: u64,
}

/// A piece of a gather or scatter list (data segment, 11.4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sge {
    /// The region's key.
    pub key: Key,
    /// Where it begins, in the region's space.
    pub address: u64,
    /// Bytes.
    pub len: u32,
}

impl Registered {
    /// `len` bytes from `offset` on, for a gather or scatter list. Whether they lie within the region is found out when the
    /// request is done.
    pub const fn sge(&self, offset: u64, len: u32) -> Sge {
        Sge { key: self.key, address: self.address.wrapping_add(offset), len }
    }
}

/// How a window ends (10.6.7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowKind {
    /// Bound to one queue pair by its work requests; may be invalidated, also by its peer (type 2B).
    QueuePair,
    /// For every queue pair of its protection domain; a new binding ends the old (type 1).
    Domain,
}

/// A window's or region's owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Every queue pair of the domain.
    Domain(PdId),
    /// One queue pair.
    QueuePair(PdId, crate::QpId),
}
