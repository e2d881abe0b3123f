//! What an initiator tells its owner.

/// Something happened to an initiator, whose failures are `F`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InitiatorEvent<F> {
    /// The target is ready for the first time; its disks have been told.
    Connected,
    /// There is a disk at this logical unit number.
    DiskAdded(u16),
    /// A disk is gone; its requests complete as gone.
    DiskRemoved(u16),
    /// A disk has another size.
    DiskResized {
        /// Logical unit number.
        lun: u16,
        /// The new size in blocks.
        blocks: u64,
    },
    /// The connection is lost; requests wait while it is made anew.
    ConnectionLost(F),
    /// It was made anew; requests go on.
    Reconnected,
    /// It is over for good; requests complete as gone.
    Failed(F),
}

/// What a look at the logical units found to be different.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UnitChange {
    /// A disk came.
    Added(u16),
    /// A disk went.
    Removed(u16),
    /// A disk has another size.
    Resized {
        /// Logical unit number.
        lun: u16,
        /// The new size in blocks.
        blocks: u64,
    },
}

impl<F> From<UnitChange> for InitiatorEvent<F> {
    fn from(change: UnitChange) -> Self {
        match change {
            UnitChange::Added(lun) => Self::DiskAdded(lun),
            UnitChange::Removed(lun) => Self::DiskRemoved(lun),
            UnitChange::Resized { lun, blocks } => Self::DiskResized { lun, blocks },
        }
    }
}
