//! The status of a task.

/// How a task ended (SAM-5, section 5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Good = 0x00,
    /// Sense data says what happened.
    CheckCondition = 0x02,
    /// Done, and what was asked for is so (PRE-FETCH: the blocks fit the cache).
    ConditionMet = 0x04,
    /// Not now; try again.
    Busy = 0x08,
    /// Another nexus holds a reservation.
    ReservationConflict = 0x18,
    /// The task set has no room.
    TaskSetFull = 0x28,
    /// An auto contingent allegiance is there.
    AcaActive = 0x30,
    /// Another nexus aborted the task.
    TaskAborted = 0x40,
}
