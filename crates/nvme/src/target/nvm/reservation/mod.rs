//! Reservations (Base 8.19): which hosts are registered with a namespace, which holds a reservation, and what the others
//! may do meanwhile.
//!
//! What it is: [`Reservations`], the state of one namespace, changed by [`change`] alone, without a look at anything else;
//! [`command`] carries the commands to it and the notifications away from it. A host is its host identifier, however many
//! controllers it has.
//!
//! Invariants: keys of registrants are not zero; a holder is registered; with an all-registrants type every registrant
//! holds, and there is at least one.

mod change;
mod command;
mod notification;
mod report;
mod storing;

pub(in super::super) use command::transfer;
pub(in super::super) use notification::NotificationLog;
pub(in super::super) use storing::Parked;

use wire::nvme::fabrics::HostId;
use wire::nvme::reservation::ReservationType;

/// What outlives a power loss if the namespace can persist, and what an owner shows (Base figure 415).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReservationState {
    /// Changes of registrations and preemptions.
    pub generation: u32,
    /// The hosts that are registered.
    pub registrants: Vec<Registrant>,
    /// The reservation's type and holder. The holder of an all-registrants reservation is whoever acquired it.
    pub reservation: Option<(ReservationType, HostId)>,
    /// It is to persist through power loss.
    pub persist: bool,
}

/// A host that is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registrant {
    /// The host.
    pub host: HostId,
    /// Its key.
    pub key: u64,
}

/// The reservations of a namespace.
#[derive(Debug)]
pub(in super::super) struct Reservations {
    state: ReservationState,
    can_persist: bool,
}

/// The groups of commands a reservation tells apart (Base figure 424).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Group {
    /// Reads and compares.
    Read,
    /// Writes, flushes, deallocates.
    Write,
}

impl Reservations {
    pub(in super::super) fn new(can_persist: bool) -> Self {
        Self { state: ReservationState::default(), can_persist }
    }

    /// The whole state.
    pub(in super::super) const fn state(&self) -> &ReservationState {
        &self.state
    }

    /// Takes over what persisted.
    pub(in super::super) fn restore(&mut self, state: ReservationState) {
        self.state = state;
    }

    /// True if reservations are to outlive a power loss.
    pub(in super::super) const fn persists(&self) -> bool {
        self.state.persist
    }

    /// True if the host may run commands of this group.
    pub(in super::super) fn permits(&self, host: &HostId, group: Group) -> bool {
        let Some((kind, holder)) = &self.state.reservation else { return true };
        match kind {
            ReservationType::WriteExclusive => group == Group::Read || holder == host,
            ReservationType::ExclusiveAccess => holder == host,
            ReservationType::WriteExclusiveRegistrantsOnly
            | ReservationType::WriteExclusiveAllRegistrants => {
                group == Group::Read || self.key_of(host).is_some()
            }
            ReservationType::ExclusiveAccessRegistrantsOnly
            | ReservationType::ExclusiveAccessAllRegistrants => self.key_of(host).is_some(),
        }
    }

    /// The key of a host that is registered.
    pub(super) fn key_of(&self, host: &HostId) -> Option<u64> {
        let found = self.state.registrants.iter().find(|registrant| registrant.host == *host);
        found.map(|registrant| registrant.key)
    }

    /// True if the host holds the reservation.
    pub(super) fn holds(&self, host: &HostId) -> bool {
        match &self.state.reservation {
            Some((kind, _)) if all_registrants(*kind) => self.key_of(host).is_some(),
            Some((_, holder)) => holder == host,
            None => false,
        }
    }
}

/// True for the types that every registrant holds.
const fn all_registrants(kind: ReservationType) -> bool {
    match kind {
        ReservationType::WriteExclusiveAllRegistrants | ReservationType::ExclusiveAccessAllRegistrants => {
            true
        }
        ReservationType::WriteExclusive
        | ReservationType::ExclusiveAccess
        | ReservationType::WriteExclusiveRegistrantsOnly
        | ReservationType::ExclusiveAccessRegistrantsOnly => false,
    }
}

/// True for the types whose release the registrants are told of (Base 8.19.5).
const fn release_is_told(kind: ReservationType) -> bool {
    match kind {
        ReservationType::WriteExclusive | ReservationType::ExclusiveAccess => false,
        ReservationType::WriteExclusiveRegistrantsOnly
        | ReservationType::ExclusiveAccessRegistrantsOnly
        | ReservationType::WriteExclusiveAllRegistrants
        | ReservationType::ExclusiveAccessAllRegistrants => true,
    }
}

/// Hosts that may be registered with one namespace.
const REGISTRANTS_MAX: usize = 256;

#[cfg(test)]
mod tests;
