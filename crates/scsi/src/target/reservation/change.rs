//! The service actions of PERSISTENT RESERVE OUT (SPC-4, sections 5.13.7 to 5.13.11): what they change, and whom that
//! concerns.

use super::{NexusName, REGISTRANTS_MAX, Registrant, Reservations};
use crate::target::Attention;
use wire::scsi::reservation::PersistentType;

/// What a change means for nexuses other than the one that made it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Effects {
    /// What is to be told, and to whom.
    pub(in super::super) attentions: Vec<(NexusName, Attention)>,
    /// Nexuses that lost their registration, whose tasks are to be aborted.
    pub(in super::super) aborted: Vec<NexusName>,
}

/// Why a service action changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(in super::super) enum ReservationError {
    /// RESERVATION CONFLICT.
    #[error("the nexus is not registered with that key, or another holds the reservation")]
    Conflict,
    /// INVALID FIELD IN PARAMETER LIST: the service action key.
    #[error("the service action reservation key cannot be that")]
    ActionKey,
    /// INVALID FIELD IN PARAMETER LIST: the nexus to move to.
    #[error("the reservation cannot be moved to that nexus")]
    Destination,
    /// INVALID FIELD IN PARAMETER LIST: SPEC_I_PT.
    #[error("other initiator ports cannot be registered by this")]
    InitiatorPorts,
    /// INVALID FIELD IN CDB: REGISTER AND MOVE without a reservation.
    #[error("there is no reservation to move")]
    NothingToMove,
    /// INVALID RELEASE OF PERSISTENT RESERVATION.
    #[error("the reservation is of another type")]
    Release,
    /// INSUFFICIENT REGISTRATION RESOURCES.
    #[error("there is no room for more registrations")]
    Full,
}

/// REGISTER, or REGISTER AND IGNORE EXISTING KEY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Registration<'a> {
    /// The key the nexus claims to have; `None` if it does not matter.
    pub(in super::super) key: Option<u64>,
    /// The key it will have; 0 for none.
    pub(in super::super) new_key: u64,
    /// APTPL.
    pub(in super::super) persist: bool,
    /// Other nexuses to register: those of SPEC_I_PT, and the other target ports of ALL_TG_PT.
    pub(in super::super) others: &'a [NexusName],
    /// SPEC_I_PT was set.
    pub(in super::super) names_initiators: bool,
}

/// REGISTER AND MOVE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Move {
    /// The key the nexus claims to have.
    pub(in super::super) key: u64,
    /// The key the other nexus will have.
    pub(in super::super) new_key: u64,
    /// Where the reservation goes.
    pub(in super::super) to: NexusName,
    /// UNREG.
    pub(in super::super) unregister: bool,
    /// APTPL.
    pub(in super::super) persist: bool,
}

impl Reservations {
    /// REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4, table 68 and 69).
    pub(in super::super) fn register(
        &mut self,
        nexus: &NexusName,
        registration: &Registration<'_>,
    ) -> Result<Effects, ReservationError> {
        let mine = self.key_of(nexus);
        let &Registration { key, new_key, persist, others, names_initiators } = registration;
        if key.is_some_and(|key| key != mine.unwrap_or(0)) {
            return Err(ReservationError::Conflict);
        }
        if names_initiators && (mine.is_some() || key.is_none()) {
            return Err(ReservationError::InitiatorPorts);
        }
        let mut effects = Effects::default();
        if new_key == 0 {
            for nexus in core::iter::once(nexus).chain(others) {
                self.unregister(nexus, &mut effects);
            }
        } else {
            let all = core::iter::once(nexus).chain(others);
            let new = all.clone().filter(|nexus| self.key_of(nexus).is_none()).count();
            if self.state.registrants.len() + new > REGISTRANTS_MAX {
                return Err(ReservationError::Full);
            }
            all.for_each(|nexus| self.set_key(nexus, new_key));
        }
        self.state.persist = persist;
        self.next_generation();
        Ok(effects)
    }

    /// RESERVE (SPC-4, section 5.13.9).
    pub(in super::super) fn reserve(
        &mut self,
        nexus: &NexusName,
        key: u64,
        kind: PersistentType,
    ) -> Result<(), ReservationError> {
        self.check_key(nexus, key)?;
        match self.state.reservation {
            None => self.state.reservation = Some((kind, *nexus)),
            Some((held, _)) if held == kind && self.holds(nexus) => {}
            Some(_) => return Err(ReservationError::Conflict),
        }
        Ok(())
    }

    /// RELEASE (SPC-4, section 5.13.11.2).
    pub(in super::super) fn release(
        &mut self,
        nexus: &NexusName,
        key: u64,
        kind: PersistentType,
    ) -> Result<Effects, ReservationError> {
        self.check_key(nexus, key)?;
        let mut effects = Effects::default();
        // Releasing what one does not hold does nothing.
        if self.holds(nexus) {
            if self.state.reservation.is_some_and(|(held, _)| held != kind) {
                return Err(ReservationError::Release);
            }
            self.drop_reservation(nexus, &mut effects);
        }
        Ok(effects)
    }

    /// CLEAR (SPC-4, section 5.13.11.6).
    pub(in super::super) fn clear(
        &mut self,
        nexus: &NexusName,
        key: u64,
    ) -> Result<Effects, ReservationError> {
        self.check_key(nexus, key)?;
        let told = self.others(nexus).map(|other| (other, Attention::ReservationsPreempted));
        let effects = Effects { attentions: told.collect(), aborted: Vec::new() };
        self.state.registrants.clear();
        self.state.reservation = None;
        self.next_generation();
        Ok(effects)
    }

    /// PREEMPT and PREEMPT AND ABORT (SPC-4, sections 5.13.11.4 and 5.13.11.5): removes registrations by key, and takes the
    /// reservation over where that was the holder's. Whether tasks are aborted is the caller's business.
    pub(in super::super) fn preempt(
        &mut self,
        nexus: &NexusName,
        key: u64,
        victim: u64,
        kind: PersistentType,
    ) -> Result<Effects, ReservationError> {
        self.check_key(nexus, key)?;
        let held = self.state.reservation;
        let all = held.is_some_and(|(held, _)| held.all_registrants());
        if victim == 0 && !all {
            return Err(ReservationError::ActionKey);
        }
        let takes_over = match held {
            Some(_) if all => victim == 0,
            Some((_, holder)) => self.key_of(&holder) == Some(victim),
            None => false,
        };
        let preempted = |registrant: &&Registrant| {
            let itself = takes_over && registrant.nexus == *nexus;
            !itself && (victim == 0 || registrant.key == victim)
        };
        let removed = self.state.registrants.iter().filter(preempted);
        let removed: Vec<NexusName> = removed.map(|registrant| registrant.nexus).collect();
        if removed.is_empty() && !takes_over {
            return Err(ReservationError::Conflict);
        }
        self.state.registrants.retain(|registrant| !removed.contains(&registrant.nexus));
        let mut effects = Effects::default();
        if takes_over {
            let old = self.state.reservation.replace((kind, *nexus));
            if old.is_some_and(|(old, _)| old != kind && old.admits_registrants()) {
                self.tell_others(nexus, Attention::ReservationsReleased, &mut effects);
            }
        } else {
            self.find_heir();
        }
        let told = removed.iter().filter(|other| *other != nexus);
        effects.attentions.extend(told.map(|other| (*other, Attention::RegistrationsPreempted)));
        effects.aborted = removed;
        self.next_generation();
        Ok(effects)
    }

    /// REGISTER AND MOVE (SPC-4, section 5.13.8).
    pub(in super::super) fn register_and_move(
        &mut self,
        nexus: &NexusName,
        request: &Move,
    ) -> Result<(), ReservationError> {
        let &Move { key, new_key, to, unregister, persist } = request;
        self.check_key(nexus, key)?;
        let Some((kind, _)) = self.state.reservation else { return Err(ReservationError::NothingToMove) };
        if kind.all_registrants() || !self.holds(nexus) {
            return Err(ReservationError::Conflict);
        }
        if new_key == 0 {
            return Err(ReservationError::ActionKey);
        }
        if to == *nexus || to.initiator.is_device() {
            return Err(ReservationError::Destination);
        }
        let room = unregister || self.state.registrants.len() < REGISTRANTS_MAX;
        if !room && self.key_of(&to).is_none() {
            return Err(ReservationError::Full);
        }
        if unregister {
            self.state.registrants.retain(|registrant| registrant.nexus != *nexus);
        }
        self.set_key(&to, new_key);
        self.state.reservation = Some((kind, to));
        self.state.persist = persist;
        self.next_generation();
        Ok(())
    }

    /// The nexus is registered with this key, or there is a conflict.
    fn check_key(&self, nexus: &NexusName, key: u64) -> Result<(), ReservationError> {
        if self.key_of(nexus) == Some(key) { Ok(()) } else { Err(ReservationError::Conflict) }
    }

    fn set_key(&mut self, nexus: &NexusName, key: u64) {
        let known = self.state.registrants.iter_mut().find(|registrant| registrant.nexus == *nexus);
        match known {
            Some(registrant) => registrant.key = key,
            None => self.state.registrants.push(Registrant { nexus: *nexus, key }),
        }
    }

    /// A nexus gives its registration up, and with it the reservation if it alone held that.
    fn unregister(&mut self, nexus: &NexusName, effects: &mut Effects) {
        let alone = self.holds(nexus) && !self.all_hold();
        self.state.registrants.retain(|registrant| registrant.nexus != *nexus);
        if alone {
            self.drop_reservation(nexus, effects);
        } else {
            self.find_heir();
        }
    }

    fn all_hold(&self) -> bool {
        self.state.reservation.is_some_and(|(kind, _)| kind.all_registrants())
    }

    /// Keeps the holder of an all registrants reservation among the registrants; without any, the reservation ends.
    fn find_heir(&mut self) {
        let Some((kind, holder)) = self.state.reservation else { return };
        if kind.all_registrants() && self.key_of(&holder).is_none() {
            self.state.reservation = self.state.registrants.first().map(|heir| (kind, heir.nexus));
        }
    }

    /// The registrants are told of the release of the types that they had a part in (SPC-4, section 5.13.11.2).
    fn drop_reservation(&mut self, nexus: &NexusName, effects: &mut Effects) {
        if self.state.reservation.take().is_some_and(|(kind, _)| kind.admits_registrants()) {
            self.tell_others(nexus, Attention::ReservationsReleased, effects);
        }
    }

    fn tell_others(&self, nexus: &NexusName, attention: Attention, effects: &mut Effects) {
        effects.attentions.extend(self.others(nexus).map(|other| (other, attention)));
    }

    fn others(&self, nexus: &NexusName) -> impl Iterator<Item = NexusName> {
        let registered = self.state.registrants.iter().map(|registrant| registrant.nexus);
        registered.filter(move |other| other != nexus)
    }

    const fn next_generation(&mut self) {
        self.state.generation = self.state.generation.wrapping_add(1);
    }
}
