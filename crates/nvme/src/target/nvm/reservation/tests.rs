//! Reservations between two and three hosts, each type by what it lets whom do.

use super::change::Effects;
use super::*;
use wire::nvme::Status;
use wire::nvme::log::ReservationNotificationType as Notice;
use wire::nvme::reservation::{
    Acquire, AcquireAction, PersistChange, Register, RegisterAction, Release, ReleaseAction, ReservationKeys,
};

const A: HostId = [1; 16];
const B: HostId = [2; 16];
const C: HostId = [3; 16];

fn register(
    state: &mut Reservations,
    host: &HostId,
    action: RegisterAction,
    keys: (u64, u64),
) -> Result<Effects, Status> {
    let register = Register { action, ignore_existing_key: false, persist: PersistChange::NoChange };
    state.register(host, &register, &ReservationKeys { current: keys.0.into(), other: keys.1.into() })
}

fn acquire(
    state: &mut Reservations,
    host: &HostId,
    action: AcquireAction,
    kind: ReservationType,
    keys: (u64, u64),
) -> Result<Effects, Status> {
    let acquire = Acquire { action, ignore_existing_key: false, kind };
    state.acquire(host, &acquire, &ReservationKeys { current: keys.0.into(), other: keys.1.into() })
}

/// A, B and C with keys 1, 2 and 3; A holds a reservation of this type.
fn held(kind: ReservationType) -> Reservations {
    let mut state = Reservations::new(true);
    for (host, key) in [(A, 1), (B, 2), (C, 3)] {
        register(&mut state, &host, RegisterAction::Register, (0, key)).unwrap();
    }
    acquire(&mut state, &A, AcquireAction::Acquire, kind, (1, 0)).unwrap();
    state
}

#[test]
fn a_holder_that_unregisters_releases() {
    let mut state = held(ReservationType::WriteExclusiveRegistrantsOnly);
    let effects = register(&mut state, &A, RegisterAction::Unregister, (1, 0)).unwrap();
    assert_eq!(effects.notices, [(B, Notice::ReservationReleased), (C, Notice::ReservationReleased)]);
    assert_eq!(state.state().reservation, None);
    let mut state = held(ReservationType::WriteExclusive);
    let effects = register(&mut state, &A, RegisterAction::Unregister, (1, 0)).unwrap();
    assert_eq!(effects, Effects::default());
    assert!(state.permits(&C, Group::Write));
}

#[test]
fn all_registrants_hold_until_the_last_leaves() {
    let mut state = held(ReservationType::ExclusiveAccessAllRegistrants);
    register(&mut state, &A, RegisterAction::Unregister, (1, 0)).unwrap();
    assert!(state.holds(&B) && state.holds(&C) && !state.permits(&A, Group::Read));
    register(&mut state, &B, RegisterAction::Unregister, (2, 0)).unwrap();
    register(&mut state, &C, RegisterAction::Unregister, (3, 0)).unwrap();
    assert_eq!(state.state().reservation, None);
}

#[test]
fn preempting_all_registrants_with_key_zero_leaves_one() {
    let mut state = held(ReservationType::WriteExclusiveAllRegistrants);
    let effects =
        acquire(&mut state, &B, AcquireAction::Preempt, ReservationType::ExclusiveAccess, (2, 0)).unwrap();
    assert_eq!(effects.notices, [(A, Notice::RegistrationPreempted), (C, Notice::RegistrationPreempted)]);
    assert_eq!(state.state().reservation, Some((ReservationType::ExclusiveAccess, B)));
    assert_eq!(state.state().registrants, [Registrant { host: B, key: 2 }]);
}

#[test]
fn preempting_a_registrant_leaves_the_reservation() {
    let mut state = held(ReservationType::WriteExclusive);
    let generation = state.state().generation;
    let effects =
        acquire(&mut state, &B, AcquireAction::PreemptAndAbort, ReservationType::ExclusiveAccess, (2, 3))
            .unwrap();
    assert_eq!(effects.aborted, [C]);
    assert_eq!(state.state().reservation, Some((ReservationType::WriteExclusive, A)));
    assert_eq!(state.state().generation, generation + 1);
}

#[test]
fn a_holder_changes_the_type_by_preempting_itself() {
    let mut state = held(ReservationType::WriteExclusiveRegistrantsOnly);
    let effects =
        acquire(&mut state, &A, AcquireAction::Preempt, ReservationType::ExclusiveAccess, (1, 1)).unwrap();
    assert_eq!(effects.notices, [(B, Notice::ReservationReleased), (C, Notice::ReservationReleased)]);
    assert_eq!(state.state().reservation, Some((ReservationType::ExclusiveAccess, A)));
    assert_eq!(state.state().registrants.len(), 3);
}

#[test]
fn replacing_a_key_keeps_the_reservation() {
    let mut state = held(ReservationType::ExclusiveAccess);
    assert_eq!(register(&mut state, &A, RegisterAction::Replace, (9, 7)), Err(Status::RESERVATION_CONFLICT));
    register(&mut state, &A, RegisterAction::Replace, (1, 7)).unwrap();
    let release = Release {
        action: ReleaseAction::Release,
        ignore_existing_key: false,
        kind: Some(ReservationType::ExclusiveAccess),
    };
    assert_eq!(state.release(&A, &release, 1), Err(Status::RESERVATION_CONFLICT));
    state.release(&A, &release, 7).unwrap();
    assert_eq!(state.state().reservation, None);
}

#[test]
fn persistence_is_a_choice_where_it_is_possible() {
    let mut state = held(ReservationType::ExclusiveAccess);
    state.set_persistence(true).unwrap();
    let kept = state.state().clone();
    let mut restored = Reservations::new(true);
    restored.restore(kept);
    assert!(restored.persists() && !restored.permits(&B, Group::Read));
    assert_eq!(Reservations::new(false).set_persistence(true), Err(Status::INVALID_FIELD));
}
