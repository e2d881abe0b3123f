//! PERSISTENT RESERVE IN and OUT (SPC-4, sections 6.14 and 6.15): codes, parameter lists, reports.

mod input;
mod output;

pub use input::{Capabilities, FullStatus, HeldReservation, RESERVE_IN_HEADER_LEN, ReserveInHeader};
pub use output::{MoveParameters, RegisteredPorts, ReserveOutError, ReserveOutFlags, ReserveOutParameters};

codes! {
    /// Types of persistent reservations (SPC-4, table 223).
    pub enum PersistentType: u8 {
        WriteExclusive = 1, "Write Exclusive";
        ExclusiveAccess = 3, "Exclusive Access";
        WriteExclusiveRegistrantsOnly = 5, "Write Exclusive - Registrants Only";
        ExclusiveAccessRegistrantsOnly = 6, "Exclusive Access - Registrants Only";
        WriteExclusiveAllRegistrants = 7, "Write Exclusive - All Registrants";
        ExclusiveAccessAllRegistrants = 8, "Exclusive Access - All Registrants";
    }
}

codes! {
    /// Service actions of PERSISTENT RESERVE IN (SPC-4, table 214).
    pub enum ReserveInAction: u8 {
        ReadKeys = 0, "READ KEYS";
        ReadReservation = 1, "READ RESERVATION";
        ReportCapabilities = 2, "REPORT CAPABILITIES";
        ReadFullStatus = 3, "READ FULL STATUS";
    }
}

codes! {
    /// Service actions of PERSISTENT RESERVE OUT (SPC-4, table 225).
    pub enum ReserveOutAction: u8 {
        Register = 0, "REGISTER";
        Reserve = 1, "RESERVE";
        Release = 2, "RELEASE";
        Clear = 3, "CLEAR";
        Preempt = 4, "PREEMPT";
        PreemptAndAbort = 5, "PREEMPT AND ABORT";
        RegisterAndIgnoreExistingKey = 6, "REGISTER AND IGNORE EXISTING KEY";
        RegisterAndMove = 7, "REGISTER AND MOVE";
    }
}

impl PersistentType {
    /// True for the types that every registrant holds.
    pub const fn all_registrants(self) -> bool {
        match self {
            Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants => true,
            Self::WriteExclusive
            | Self::ExclusiveAccess
            | Self::WriteExclusiveRegistrantsOnly
            | Self::ExclusiveAccessRegistrantsOnly => false,
        }
    }

    /// True for the types that let every registrant in, whoever holds them.
    pub const fn admits_registrants(self) -> bool {
        match self {
            Self::WriteExclusive | Self::ExclusiveAccess => false,
            Self::WriteExclusiveRegistrantsOnly
            | Self::ExclusiveAccessRegistrantsOnly
            | Self::WriteExclusiveAllRegistrants
            | Self::ExclusiveAccessAllRegistrants => true,
        }
    }

    /// True for the types that let everybody read.
    pub const fn admits_readers(self) -> bool {
        match self {
            Self::WriteExclusive
            | Self::WriteExclusiveRegistrantsOnly
            | Self::WriteExclusiveAllRegistrants => true,
            Self::ExclusiveAccess
            | Self::ExclusiveAccessRegistrantsOnly
            | Self::ExclusiveAccessAllRegistrants => false,
        }
    }
}

/// Scope, the upper half of the byte with the type: the logical unit, the only one there is.
pub const SCOPE_LOGICAL_UNIT: u8 = 0;
