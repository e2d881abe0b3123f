//! Reservations of a logical unit (SPC-4, section 5.13): which I_T nexuses are registered, who holds a persistent
//! reservation, who reserved by RESERVE, and what the others may do meanwhile.
//!
//! What it is: [`Reservations`], the state of one logical unit, changed by [`change`] alone, without a look at anything
//! else; [`report`] is how PERSISTENT RESERVE IN tells it. The commands themselves are in `spc`.
//!
//! Invariants: keys of registrants are not zero; each nexus is registered once; a holder is registered; with an all
//! registrants type there is at least one registrant, and each of them holds.

mod change;
mod report;

pub(super) use change::{Effects, Move, Registration, ReservationError};

use wire::scsi::TransportId;
use wire::scsi::reservation::PersistentType;

/// What an I_T nexus is called, whether it is there now or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NexusName {
    /// The initiator port.
    pub initiator: TransportId,
    /// The target port, by its relative identifier.
    pub target_port: u16,
}

/// What outlives a power loss if the registrants ask for it, and what an owner shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReservationState {
    /// Changes of registrations and preemptions (PRGENERATION). It does not persist: a restored state begins at zero
    /// (SPC-4, section 5.13.5).
    pub generation: u32,
    /// The nexuses that are registered, oldest first.
    pub registrants: Vec<Registrant>,
    /// The reservation's type and holder. The holder of an all registrants reservation is one of the registrants.
    pub reservation: Option<(PersistentType, NexusName)>,
    /// It is to persist through power loss (APTPL of the last registration).
    pub persist: bool,
}

/// A nexus that is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registrant {
    /// The nexus.
    pub nexus: NexusName,
    /// Its key, not zero.
    pub key: u64,
}

/// How a command with this CDB is held against reservations (SPC-4, table 66; SBC-3, table 14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AccessKind {
    /// Every reservation lets it through, or it decides itself.
    Always,
    /// Every persistent reservation lets it through, but none by RESERVE.
    Persistent,
    /// It reads the medium or the settings.
    Read,
    /// It may change them.
    Write,
}

/// The reservations of a logical unit.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    state: ReservationState,
    /// Who reserved by RESERVE. Not there together with a registrant.
    reserved: Option<NexusName>,
}

impl Reservations {
    /// The whole persistent state.
    pub(super) const fn state(&self) -> &ReservationState {
        &self.state
    }

    /// Takes over what persisted.
    pub(super) fn restore(&mut self, state: ReservationState) {
        self.state = ReservationState { generation: 0, ..state };
        self.reserved = None;
    }

    /// True if no reservation holds anybody back: what every command asks first.
    pub(super) const fn is_open(&self) -> bool {
        self.state.reservation.is_none() && self.reserved.is_none()
    }

    /// True if the nexus may run commands of this kind.
    pub(super) fn permits(&self, nexus: &NexusName, access: AccessKind) -> bool {
        if access == AccessKind::Always {
            return true;
        }
        if let Some(holder) = &self.reserved {
            return holder == nexus;
        }
        let Some((kind, holder)) = &self.state.reservation else { return true };
        let reads = match access {
            AccessKind::Always | AccessKind::Persistent => return true,
            AccessKind::Read => true,
            AccessKind::Write => false,
        };
        holder == nexus
            || reads && kind.admits_readers()
            || kind.admits_registrants() && self.key_of(nexus).is_some()
    }

    /// The key of a nexus that is registered.
    fn key_of(&self, nexus: &NexusName) -> Option<u64> {
        let found = self.state.registrants.iter().find(|registrant| registrant.nexus == *nexus);
        found.map(|registrant| registrant.key)
    }

    /// True if the nexus holds the persistent reservation.
    fn holds(&self, nexus: &NexusName) -> bool {
        match &self.state.reservation {
            Some((kind, _)) if kind.all_registrants() => self.key_of(nexus).is_some(),
            Some((_, holder)) => holder == nexus,
            None => false,
        }
    }
}

/// RESERVE and RELEASE (SPC-2, sections 7.20 and 7.24), as far as they go together with persistent reservations (CRH;
/// SPC-4, section 5.13.3).
impl Reservations {
    /// RESERVE: true if the nexus has the logical unit for itself, or has what comes to that.
    pub(super) fn reserve_unit(&mut self, nexus: &NexusName) -> bool {
        if let Some(holder) = &self.reserved {
            return holder == nexus;
        }
        if !self.state.registrants.is_empty() {
            return self.coexists(nexus);
        }
        self.reserved = Some(*nexus);
        true
    }

    /// RELEASE: false is a conflict. Releasing what another holds does nothing.
    pub(super) fn release_unit(&mut self, nexus: &NexusName) -> bool {
        if !self.state.registrants.is_empty() {
            return self.coexists(nexus);
        }
        if self.reserved == Some(*nexus) {
            self.reserved = None;
        }
        true
    }

    /// The nexus is gone, and what it reserved by RESERVE is free.
    pub(super) fn lose(&mut self, nexus: &NexusName) {
        if self.reserved == Some(*nexus) {
            self.reserved = None;
        }
    }

    /// The logical unit was reset: persistent reservations stay.
    pub(super) const fn reset(&mut self) {
        self.reserved = None;
    }

    /// True while somebody has the logical unit by RESERVE: PERSISTENT RESERVE commands conflict.
    pub(super) const fn reserved_by_unit(&self) -> bool {
        self.reserved.is_some()
    }

    /// The nexus has by its registration what RESERVE would give it.
    fn coexists(&self, nexus: &NexusName) -> bool {
        match &self.state.reservation {
            Some((kind, _)) if kind.admits_registrants() => self.key_of(nexus).is_some(),
            Some(_) => self.holds(nexus),
            None => false,
        }
    }
}

/// Nexuses that may be registered with one logical unit.
pub(super) const REGISTRANTS_MAX: usize = 512;

#[cfg(test)]
mod tests;
