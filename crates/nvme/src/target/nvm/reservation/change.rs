//! Register, acquire, release: the changes of the state (Base 7.2 to 7.4, 8.19.3 to 8.19.8), and whom they concern.

use super::{REGISTRANTS_MAX, Registrant, Reservations, all_registrants, release_is_told};
use wire::nvme::Status;
use wire::nvme::fabrics::HostId;
use wire::nvme::log::ReservationNotificationType as Notice;
use wire::nvme::reservation::{
    Acquire, AcquireAction, PersistChange, Register, RegisterAction, Release, ReleaseAction, ReservationKeys,
    ReservationType,
};

/// What a change means for other hosts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Effects {
    /// Hosts to be told, and of what.
    pub(super) notices: Vec<(HostId, Notice)>,
    /// Hosts that lost their registration, whose commands are to be aborted.
    pub(super) aborted: Vec<HostId>,
}

impl Reservations {
    /// The feature Reservation Persistence, which Register can change, too.
    pub(in super::super::super) fn set_persistence(&mut self, on: bool) -> Result<(), Status> {
        if on && !self.can_persist {
            return Err(Status::INVALID_FIELD);
        }
        self.state.persist = on;
        Ok(())
    }

    /// Reservation Register (Base 7.3).
    pub(super) fn register(
        &mut self,
        host: &HostId,
        register: &Register,
        keys: &ReservationKeys,
    ) -> Result<Effects, Status> {
        if register.persist == PersistChange::Persist && !self.can_persist {
            return Err(Status::INVALID_FIELD);
        }
        let mine = self.key_of(host);
        let matches = mine.is_some_and(|key| register.ignore_existing_key || key == keys.current.get());
        let new = keys.other.get();
        let mut effects = Effects::default();
        match register.action {
            RegisterAction::Register if new == 0 => return Err(Status::INVALID_FIELD),
            RegisterAction::Register => match mine {
                Some(key) if key != new => return Err(Status::RESERVATION_CONFLICT),
                Some(_) => {}
                None => self.add(host, new)?,
            },
            RegisterAction::Unregister | RegisterAction::Replace if !matches => {
                return Err(Status::RESERVATION_CONFLICT);
            }
            RegisterAction::Replace if new == 0 => return Err(Status::INVALID_FIELD),
            RegisterAction::Replace => self.replace_key(host, new),
            RegisterAction::Unregister => self.unregister(host, &mut effects),
        }
        match register.persist {
            PersistChange::NoChange => {}
            PersistChange::Clear => self.state.persist = false,
            PersistChange::Persist => self.state.persist = true,
        }
        self.next_generation();
        Ok(effects)
    }

    /// Reservation Acquire (Base 7.2).
    pub(super) fn acquire(
        &mut self,
        host: &HostId,
        acquire: &Acquire,
        keys: &ReservationKeys,
    ) -> Result<Effects, Status> {
        if acquire.ignore_existing_key {
            return Err(Status::INVALID_FIELD);
        }
        if self.key_of(host) != Some(keys.current.get()) {
            return Err(Status::RESERVATION_CONFLICT);
        }
        match acquire.action {
            AcquireAction::Acquire => self.take(host, acquire.kind),
            AcquireAction::Preempt => {
                let mut effects = self.preempt(host, acquire.kind, keys.other.get())?;
                effects.aborted.clear();
                Ok(effects)
            }
            AcquireAction::PreemptAndAbort => self.preempt(host, acquire.kind, keys.other.get()),
        }
    }

    /// Reservation Release (Base 7.4).
    pub(super) fn release(
        &mut self,
        host: &HostId,
        release: &Release,
        current: u64,
    ) -> Result<Effects, Status> {
        if release.ignore_existing_key {
            return Err(Status::INVALID_FIELD);
        }
        if self.key_of(host) != Some(current) {
            return Err(Status::RESERVATION_CONFLICT);
        }
        let mut effects = Effects::default();
        match release.action {
            ReleaseAction::Release if self.holds(host) => {
                let held = self.state.reservation.map(|(kind, _)| kind);
                if held != release.kind {
                    return Err(Status::INVALID_FIELD);
                }
                self.drop_reservation(host, &mut effects);
            }
            // Releasing what one does not hold does nothing (Base 8.19.5).
            ReleaseAction::Release => {}
            ReleaseAction::Clear => {
                let others = self.others(host);
                effects.notices.extend(others.map(|other| (other, Notice::ReservationPreempted)));
                self.state.reservation = None;
                self.state.registrants.clear();
                self.next_generation();
            }
        }
        Ok(effects)
    }

    fn take(&mut self, host: &HostId, kind: ReservationType) -> Result<Effects, Status> {
        match self.state.reservation {
            None => self.state.reservation = Some((kind, *host)),
            Some((held, _)) if held == kind && self.holds(host) => {}
            Some(_) => return Err(Status::RESERVATION_CONFLICT),
        }
        Ok(Effects::default())
    }

    /// Removes registrations by key, and takes the reservation over where that was the holder's (Base 8.19.7).
    fn preempt(&mut self, host: &HostId, kind: ReservationType, key: u64) -> Result<Effects, Status> {
        let mut effects = Effects::default();
        let held = self.state.reservation;
        let all = held.is_some_and(|(held, _)| all_registrants(held));
        if key == 0 && !all {
            return Err(Status::INVALID_FIELD);
        }
        let takes_over = match held {
            Some(_) if all => key == 0,
            Some((_, holder)) => self.key_of(&holder) == Some(key),
            None => false,
        };
        let of_key = |registrant: &&Registrant| {
            if takes_over && registrant.host == *host {
                return false;
            }
            key == 0 || registrant.key == key
        };
        let removed: Vec<HostId> =
            self.state.registrants.iter().filter(of_key).map(|registrant| registrant.host).collect();
        if removed.is_empty() && !takes_over {
            return Err(Status::RESERVATION_CONFLICT);
        }
        self.state.registrants.retain(|registrant| !removed.contains(&registrant.host));
        if takes_over {
            self.take_over(host, kind, &removed, &mut effects);
        } else if all && self.state.registrants.is_empty() {
            self.state.reservation = None;
        }
        let told = removed.iter().filter(|other| *other != host);
        effects.notices.extend(told.map(|other| (*other, Notice::RegistrationPreempted)));
        effects.aborted = removed;
        self.next_generation();
        Ok(effects)
    }

    /// The requester holds the reservation now. If its type changed, the registrants that stay are told that the old one
    /// was released.
    fn take_over(&mut self, host: &HostId, kind: ReservationType, removed: &[HostId], effects: &mut Effects) {
        let old = self.state.reservation.replace((kind, *host));
        if old.is_some_and(|(old, _)| old != kind && release_is_told(old)) {
            let stay = self.others(host).filter(|other| !removed.contains(other));
            effects.notices.extend(stay.map(|other| (other, Notice::ReservationReleased)));
        }
    }

    fn add(&mut self, host: &HostId, key: u64) -> Result<(), Status> {
        if self.state.registrants.len() >= REGISTRANTS_MAX {
            return Err(Status::INTERNAL_ERROR);
        }
        self.state.registrants.push(Registrant { host: *host, key });
        Ok(())
    }

    fn replace_key(&mut self, host: &HostId, key: u64) {
        let mine = self.state.registrants.iter_mut().find(|registrant| registrant.host == *host);
        if let Some(registrant) = mine {
            registrant.key = key;
        }
    }

    /// A host gives its registration up, and with it the reservation if it alone held that.
    fn unregister(&mut self, host: &HostId, effects: &mut Effects) {
        let held = self.holds(host);
        self.state.registrants.retain(|registrant| registrant.host != *host);
        let Some((kind, holder)) = self.state.reservation else { return };
        if all_registrants(kind) {
            match self.state.registrants.first() {
                Some(heir) if holder == *host => self.state.reservation = Some((kind, heir.host)),
                Some(_) => {}
                None => self.state.reservation = None,
            }
        } else if held {
            self.drop_reservation(host, effects);
        }
    }

    fn drop_reservation(&mut self, host: &HostId, effects: &mut Effects) {
        let Some((kind, _)) = self.state.reservation.take() else { return };
        if release_is_told(kind) {
            effects.notices.extend(self.others(host).map(|other| (other, Notice::ReservationReleased)));
        }
    }

    fn others(&self, host: &HostId) -> impl Iterator<Item = HostId> {
        let host = *host;
        self.state.registrants.iter().map(|registrant| registrant.host).filter(move |other| *other != host)
    }

    const fn next_generation(&mut self) {
        self.state.generation = self.state.generation.wrapping_add(1);
    }
}
