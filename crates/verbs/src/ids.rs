//! Names of a provider's objects. An id of a destroyed object never finds its successor.

/// Declares ids that are keys of a slab.
macro_rules! ids {
    ($( $(#[$meta:meta])* $name:ident; )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub stdx::slab::Key);
    )+};
}

ids! {
    /// A protection domain: queue pairs reach the memory of their own alone (10.2.3).
    PdId;
    /// A completion queue (10.2.6).
    CqId;
    /// A queue pair (10.2.4).
    QpId;
    /// A shared receive queue (10.2.9).
    SrqId;
}

/// What opens a memory region or window: the same number for local and for remote use (L_Key and R_Key, 10.6.3).
///
/// 24 bits say which region, eight bits which of its lives: a region that is registered again by a work request may get
/// another last byte, so that an old key opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub u32);

impl Key {
    /// The key of a place in a table, and of one of its lives.
    pub const fn new(index: u32, life: u8) -> Self {
        Self(index << 8 | life as u32)
    }

    /// The place in the table.
    pub const fn index(self) -> usize {
        (self.0 >> 8) as usize
    }

    /// Which life.
    pub const fn life(self) -> u8 {
        self.0 as u8
    }

    /// The same region in another life, for [`Work::Register`](crate::Work::Register) and
    /// [`Work::Bind`](crate::Work::Bind).
    #[must_use]
    pub const fn with_life(self, life: u8) -> Self {
        Self::new(self.0 >> 8, life)
    }
}

/// Anything that can be destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// A protection domain, once nothing is in it.
    Pd(PdId),
    /// A memory region or window, by any of its keys.
    Memory(Key),
    /// A completion queue, once no queue pair uses it.
    Cq(CqId),
    /// A shared receive queue, once no queue pair uses it.
    Srq(SrqId),
    /// A queue pair. Its completions that were not polled yet stay.
    Qp(QpId),
}
