//! Reservations: the dwords of the four commands (Base 7.2 to 7.5, 8.19). Their data is in `data`.

mod data;

pub use data::{
    ExtendedRegistrant, RESERVATION_KEY_LEN, RESERVATION_KEYS_LEN, Registrant, ReservationKeys,
    ReservationStatus,
};

use super::command::SubmissionQueueEntry;

codes! {
    /// Types of reservations (RTYPE, Base figure 410).
    pub enum ReservationType: u8 {
        WriteExclusive = 1, "Write Exclusive";
        ExclusiveAccess = 2, "Exclusive Access";
        WriteExclusiveRegistrantsOnly = 3, "Write Exclusive - Registrants Only";
        ExclusiveAccessRegistrantsOnly = 4, "Exclusive Access - Registrants Only";
        WriteExclusiveAllRegistrants = 5, "Write Exclusive - All Registrants";
        ExclusiveAccessAllRegistrants = 6, "Exclusive Access - All Registrants";
    }
}

codes! {
    /// Reservation Register Action (RREGA).
    pub enum RegisterAction: u8 {
        Register = 0, "Register Reservation Key";
        Unregister = 1, "Unregister Reservation Key";
        Replace = 2, "Replace Reservation Key";
    }
}

codes! {
    /// Change Persist Through Power Loss State (CPTPL).
    pub enum PersistChange: u8 {
        NoChange = 0, "No change";
        Clear = 2, "Released and cleared at power on";
        Persist = 3, "Persist through power loss";
    }
}

codes! {
    /// Reservation Acquire Action (RACQA).
    pub enum AcquireAction: u8 {
        Acquire = 0, "Acquire";
        Preempt = 1, "Preempt";
        PreemptAndAbort = 2, "Preempt and Abort";
    }
}

codes! {
    /// Reservation Release Action (RRELA).
    pub enum ReleaseAction: u8 {
        Release = 0, "Release";
        Clear = 1, "Clear";
    }
}

/// A code in a reservation command that is reserved; the status is "Invalid Field in Command".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// The action.
    #[error("reservation action {0} is reserved")]
    Action(u8),
    /// The reservation type.
    #[error("reservation type {0} is reserved")]
    Type(u8),
    /// The change of the persistence.
    #[error("persistence change {0} is reserved")]
    Persist(u8),
}

/// Dword 10 of Reservation Register (Base 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What to do.
    pub action: RegisterAction,
    /// Whether the current key is not looked at (IEKEY).
    pub ignore_existing_key: bool,
    /// What to do about persistence.
    pub persist: PersistChange,
}

/// Dword 10 of Reservation Acquire (Base 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquire {
    /// What to do.
    pub action: AcquireAction,
    /// Reserved since revision 1.3 in spite of its name (IEKEY); set is an error.
    pub ignore_existing_key: bool,
    /// The type wanted.
    pub kind: ReservationType,
}

/// Dword 10 of Reservation Release (Base 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// What to do.
    pub action: ReleaseAction,
    /// Reserved since revision 1.3 in spite of its name (IEKEY); set is an error.
    pub ignore_existing_key: bool,
    /// The type held; only for the action release, `None` if the code is reserved.
    pub kind: Option<ReservationType>,
}

/// Dwords 10 and 11 of Reservation Report (Base 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Bytes wanted, a multiple of 4.
    pub length: u64,
    /// Whether host identifiers of 16 bytes are wanted (EDS).
    pub extended: bool,
}

impl Register {
    /// The meaning of a Reservation Register command.
    pub fn read(command: &SubmissionQueueEntry) -> Result<Self, ReservationError> {
        let [low, _, _, high] = command.cdw10.to_bytes();
        let (action, persist) = (low & 7, high >> 6);
        Ok(Self {
            action: RegisterAction::from_code(action).ok_or(ReservationError::Action(action))?,
            ignore_existing_key: low & IGNORE_EXISTING_KEY != 0,
            persist: PersistChange::from_code(persist).ok_or(ReservationError::Persist(persist))?,
        })
    }

    /// Dword 10.
    pub const fn dword10(&self) -> u32 {
        self.action.code() as u32 | ignore(self.ignore_existing_key) | (self.persist.code() as u32) << 30
    }
}

impl Acquire {
    /// The meaning of a Reservation Acquire command.
    pub fn read(command: &SubmissionQueueEntry) -> Result<Self, ReservationError> {
        let [low, kind, _, _] = command.cdw10.to_bytes();
        let action = low & 7;
        Ok(Self {
            action: AcquireAction::from_code(action).ok_or(ReservationError::Action(action))?,
            ignore_existing_key: low & IGNORE_EXISTING_KEY != 0,
            kind: ReservationType::from_code(kind).ok_or(ReservationError::Type(kind))?,
        })
    }

    /// Dword 10.
    pub const fn dword10(&self) -> u32 {
        self.action.code() as u32 | ignore(self.ignore_existing_key) | (self.kind.code() as u32) << 8
    }
}

impl Release {
    /// The meaning of a Reservation Release command.
    pub fn read(command: &SubmissionQueueEntry) -> Result<Self, ReservationError> {
        let [low, kind, _, _] = command.cdw10.to_bytes();
        let action = low & 7;
        Ok(Self {
            action: ReleaseAction::from_code(action).ok_or(ReservationError::Action(action))?,
            ignore_existing_key: low & IGNORE_EXISTING_KEY != 0,
            kind: ReservationType::from_code(kind),
        })
    }

    /// Dword 10.
    pub const fn dword10(&self) -> u32 {
        let kind = match self.kind {
            Some(kind) => kind.code() as u32,
            None => 0,
        };
        self.action.code() as u32 | ignore(self.ignore_existing_key) | kind << 8
    }
}

impl Report {
    /// The meaning of a Reservation Report command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        Self { length: (u64::from(command.cdw10.get()) + 1) * 4, extended: command.cdw11.get() & 1 != 0 }
    }

    /// Dwords 10 and 11. The length is rounded up to dwords and counts at least one.
    pub fn dwords(&self) -> (u32, u32) {
        ((self.length.div_ceil(4).clamp(1, 1 << 32) - 1) as u32, u32::from(self.extended))
    }
}

const fn ignore(set: bool) -> u32 {
    if set { IGNORE_EXISTING_KEY as u32 } else { 0 }
}

const IGNORE_EXISTING_KEY: u8 = 0x08;

#[cfg(test)]
mod tests {
    use zerocopy::little_endian::U32;

    use super::*;

    fn with_dword10(dword: u32) -> SubmissionQueueEntry {
        SubmissionQueueEntry { cdw10: U32::new(dword), ..SubmissionQueueEntry::default() }
    }

    #[test]
    fn commands_survive_their_dwords() {
        let register = Register {
            action: RegisterAction::Replace,
            ignore_existing_key: true,
            persist: PersistChange::Persist,
        };
        assert_eq!(register.dword10(), 0xc000_000a);
        assert_eq!(Register::read(&with_dword10(register.dword10())), Ok(register));
        for kind in ReservationType::ALL {
            let acquire = Acquire { action: AcquireAction::Preempt, ignore_existing_key: false, kind: *kind };
            assert_eq!(Acquire::read(&with_dword10(acquire.dword10())), Ok(acquire));
            let release =
                Release { action: ReleaseAction::Release, ignore_existing_key: true, kind: Some(*kind) };
            assert_eq!(Release::read(&with_dword10(release.dword10())), Ok(release));
        }
        let report = Report { length: 4096, extended: true };
        let (dword10, dword11) = report.dwords();
        let command = SubmissionQueueEntry { cdw11: U32::new(dword11), ..with_dword10(dword10) };
        assert_eq!(Report::read(&command), report);
    }

    #[test]
    fn reserved_codes_are_errors() {
        assert_eq!(Register::read(&with_dword10(3)), Err(ReservationError::Action(3)));
        assert_eq!(Register::read(&with_dword10(0x4000_0000)), Err(ReservationError::Persist(1)));
        assert_eq!(Acquire::read(&with_dword10(0)), Err(ReservationError::Type(0)));
        assert_eq!(Acquire::read(&with_dword10(0x0000_0703)), Err(ReservationError::Action(3)));
        assert_eq!(Release::read(&with_dword10(0x0000_0702)), Err(ReservationError::Action(2)));
    }
}
