//! Reservations between three nexuses, each type by what it lets whom do.

use super::*;
use crate::target::Attention;
use wire::scsi::reservation::{FullStatus, HeldReservation, ReserveInAction};

fn nexus(number: u8) -> NexusName {
    NexusName { initiator: TransportId::iscsi("iqn.2026-01.org.example", [number; 6]), target_port: 1 }
}

fn registration(key: Option<u64>, new_key: u64) -> Registration<'static> {
    Registration { key, new_key, persist: false, others: &[], names_initiators: false }
}

fn register(
    state: &mut Reservations,
    number: u8,
    key: u64,
    new_key: u64,
) -> Result<Effects, ReservationError> {
    state.register(&nexus(number), &registration(Some(key), new_key))
}

/// Nexuses 1, 2 and 3 with keys 1, 2 and 3; nexus 1 holds a reservation of this type.
fn held(kind: PersistentType) -> Reservations {
    let mut state = Reservations::default();
    for number in 1..=3 {
        register(&mut state, number, 0, u64::from(number)).unwrap();
    }
    state.reserve(&nexus(1), 1, kind).unwrap();
    state
}

const RELEASED: Attention = Attention::ReservationsReleased;

#[test]
fn each_type_permits_what_the_standard_says() {
    // Reads and writes of a registrant that is not the holder, then of a nexus that is not registered.
    let permitted = [
        [true, false, true, false],
        [false, false, false, false],
        [true, true, true, false],
        [true, true, false, false],
        [true, true, true, false],
        [true, true, false, false],
    ];
    for (kind, permitted) in PersistentType::ALL.iter().zip(permitted) {
        let state = held(*kind);
        let asked =
            [(2, AccessKind::Read), (2, AccessKind::Write), (4, AccessKind::Read), (4, AccessKind::Write)];
        for ((number, access), permitted) in asked.into_iter().zip(permitted) {
            assert_eq!(state.permits(&nexus(number), access), permitted, "{kind} {number} {access:?}");
        }
        assert!(
            state.permits(&nexus(1), AccessKind::Write) && state.permits(&nexus(4), AccessKind::Persistent)
        );
        assert!(!state.is_open());
    }
}

#[test]
fn keys_must_match() {
    let mut state = Reservations::default();
    let kind = PersistentType::WriteExclusive;
    assert_eq!(state.reserve(&nexus(1), 0, kind), Err(ReservationError::Conflict), "not registered");
    assert_eq!(register(&mut state, 1, 5, 6), Err(ReservationError::Conflict));
    assert_eq!(register(&mut state, 1, 0, 10), Ok(Effects::default()));
    assert_eq!(register(&mut state, 1, 0, 10), Err(ReservationError::Conflict), "it has a key now");
    assert_eq!(register(&mut state, 1, 10, 11), Ok(Effects::default()));
    assert_eq!(state.register(&nexus(1), &registration(None, 12)), Ok(Effects::default()));
    assert_eq!(state.reserve(&nexus(1), 11, kind), Err(ReservationError::Conflict));
    assert_eq!(state.reserve(&nexus(1), 12, kind), Ok(()));
    assert_eq!(state.reserve(&nexus(1), 12, kind), Ok(()), "the same again");
    assert_eq!(
        state.reserve(&nexus(1), 12, PersistentType::ExclusiveAccess),
        Err(ReservationError::Conflict)
    );
    assert_eq!(state.state().generation, 3, "registrations count, reservations do not");
    let other = PersistentType::ExclusiveAccess;
    assert_eq!(state.release(&nexus(1), 12, other), Err(ReservationError::Release));
    register(&mut state, 2, 0, 2).unwrap();
    assert_eq!(state.release(&nexus(2), 2, other), Ok(Effects::default()), "it is not two's to release");
    assert!(!state.is_open());
    state.release(&nexus(1), 12, kind).unwrap();
    assert!(state.is_open());
}

#[test]
fn a_holder_that_unregisters_releases() {
    let mut state = held(PersistentType::WriteExclusiveRegistrantsOnly);
    let effects = register(&mut state, 1, 1, 0).unwrap();
    assert_eq!(effects.attentions, [(nexus(2), RELEASED), (nexus(3), RELEASED)]);
    assert!(state.is_open());
    let mut state = held(PersistentType::WriteExclusive);
    assert_eq!(register(&mut state, 1, 1, 0), Ok(Effects::default()));
    assert!(state.is_open());
}

#[test]
fn all_registrants_hold_until_the_last_leaves() {
    let mut state = held(PersistentType::ExclusiveAccessAllRegistrants);
    register(&mut state, 1, 1, 0).unwrap();
    assert!(state.holds(&nexus(2)) && state.holds(&nexus(3)) && !state.permits(&nexus(1), AccessKind::Read));
    let effects = state.preempt(&nexus(2), 2, 3, PersistentType::WriteExclusive).unwrap();
    assert_eq!(effects.attentions, [(nexus(3), Attention::RegistrationsPreempted)]);
    let kept = state.state().reservation.map(|(kind, _)| kind);
    assert_eq!(kept, Some(PersistentType::ExclusiveAccessAllRegistrants), "the reservation is as it was");
    register(&mut state, 2, 2, 0).unwrap();
    assert!(state.is_open());
}

#[test]
fn preempting_all_registrants_with_key_zero_leaves_one() {
    let mut state = held(PersistentType::WriteExclusiveAllRegistrants);
    let effects = state.preempt(&nexus(2), 2, 0, PersistentType::ExclusiveAccess).unwrap();
    let preempted = Attention::RegistrationsPreempted;
    assert_eq!(effects.attentions, [(nexus(1), preempted), (nexus(3), preempted)]);
    assert_eq!(state.state().reservation, Some((PersistentType::ExclusiveAccess, nexus(2))));
    assert_eq!(state.state().registrants, [Registrant { nexus: nexus(2), key: 2 }]);
    let again = state.preempt(&nexus(2), 2, 0, PersistentType::ExclusiveAccess);
    assert_eq!(again, Err(ReservationError::ActionKey));
    let unknown = state.preempt(&nexus(2), 2, 9, PersistentType::ExclusiveAccess);
    assert_eq!(unknown, Err(ReservationError::Conflict));
}

#[test]
fn a_holder_changes_the_type_by_preempting_itself() {
    let mut state = held(PersistentType::WriteExclusiveRegistrantsOnly);
    let effects = state.preempt(&nexus(1), 1, 1, PersistentType::ExclusiveAccess).unwrap();
    assert_eq!(effects.attentions, [(nexus(2), RELEASED), (nexus(3), RELEASED)]);
    assert_eq!(effects.aborted, []);
    assert_eq!(state.state().reservation, Some((PersistentType::ExclusiveAccess, nexus(1))));
    assert_eq!(state.state().registrants.len(), 3);
}

#[test]
fn preempting_a_registrant_leaves_the_reservation() {
    let mut state = held(PersistentType::WriteExclusive);
    let effects = state.preempt(&nexus(2), 2, 3, PersistentType::ExclusiveAccess).unwrap();
    assert_eq!(effects.aborted, [nexus(3)]);
    assert_eq!(state.state().reservation, Some((PersistentType::WriteExclusive, nexus(1))));
    assert_eq!(state.state().generation, 4);
}

#[test]
fn clearing_forgets_everything() {
    let mut state = held(PersistentType::ExclusiveAccess);
    let effects = state.clear(&nexus(3), 3).unwrap();
    let preempted = Attention::ReservationsPreempted;
    assert_eq!(effects.attentions, [(nexus(1), preempted), (nexus(2), preempted)]);
    assert!(state.is_open() && state.state().registrants.is_empty());
}

#[test]
fn other_nexuses_are_registered_too() {
    let mut state = Reservations::default();
    let others = [nexus(2), nexus(3)];
    let request = Registration { names_initiators: true, others: &others, ..registration(Some(0), 7) };
    state.register(&nexus(1), &request).unwrap();
    assert!(state.state().registrants.iter().all(|registrant| registrant.key == 7));
    assert_eq!(state.state().registrants.len(), 3);
    let again = Registration { key: Some(7), ..request };
    assert_eq!(state.register(&nexus(1), &again), Err(ReservationError::InitiatorPorts));
    let ignoring = Registration { key: None, ..request };
    assert_eq!(state.register(&nexus(4), &ignoring), Err(ReservationError::InitiatorPorts));
}

#[test]
fn registrations_have_a_limit() {
    let mut state = Reservations::default();
    let others: Vec<NexusName> =
        (2..=REGISTRANTS_MAX as u16 + 1).map(|port| NexusName { target_port: port, ..nexus(1) }).collect();
    let request = Registration { others: &others, ..registration(Some(0), 7) };
    assert_eq!(state.register(&nexus(1), &request), Err(ReservationError::Full));
    assert!(state.state().registrants.is_empty(), "all or none");
    let request = Registration { others: &others[1..], ..request };
    state.register(&nexus(1), &request).unwrap();
    assert_eq!(register(&mut state, 2, 0, 1), Err(ReservationError::Full));
    assert_eq!(register(&mut state, 1, 7, 8), Ok(Effects::default()), "known ones may change");
}

#[test]
fn a_reservation_moves() {
    let mut state = held(PersistentType::ExclusiveAccessRegistrantsOnly);
    let to = nexus(9);
    let request = Move { key: 1, new_key: 90, to, unregister: true, persist: true };
    assert_eq!(
        state.register_and_move(&nexus(2), &Move { key: 2, ..request }),
        Err(ReservationError::Conflict)
    );
    let nowhere = Move { new_key: 0, ..request };
    assert_eq!(state.register_and_move(&nexus(1), &nowhere), Err(ReservationError::ActionKey));
    let itself = Move { to: nexus(1), ..request };
    assert_eq!(state.register_and_move(&nexus(1), &itself), Err(ReservationError::Destination));
    state.register_and_move(&nexus(1), &request).unwrap();
    assert_eq!(state.state().reservation, Some((PersistentType::ExclusiveAccessRegistrantsOnly, to)));
    assert!(state.key_of(&nexus(1)).is_none() && state.key_of(&to) == Some(90) && state.state().persist);
    state.release(&to, 90, PersistentType::ExclusiveAccessRegistrantsOnly).unwrap();
    let nothing = Move { key: 90, to: nexus(2), ..request };
    assert_eq!(state.register_and_move(&to, &nothing), Err(ReservationError::NothingToMove));
}

#[test]
fn reserve_and_release() {
    let mut state = Reservations::default();
    assert!(state.reserve_unit(&nexus(1)) && state.reserve_unit(&nexus(1)) && !state.reserve_unit(&nexus(2)));
    assert!(
        !state.permits(&nexus(2), AccessKind::Persistent) && state.permits(&nexus(2), AccessKind::Always)
    );
    assert!(state.release_unit(&nexus(2)) && state.reserved_by_unit(), "not two's to release");
    state.lose(&nexus(2));
    assert!(state.reserved_by_unit());
    state.lose(&nexus(1));
    assert!(state.is_open() && state.reserve_unit(&nexus(2)));
    state.reset();
    assert!(state.is_open());
}

#[test]
fn reserve_goes_together_with_registrations() {
    let mut state = held(PersistentType::WriteExclusive);
    assert!(state.reserve_unit(&nexus(1)) && !state.reserve_unit(&nexus(2)) && !state.reserved_by_unit());
    let mut state = held(PersistentType::WriteExclusiveRegistrantsOnly);
    assert!(state.reserve_unit(&nexus(2)) && state.release_unit(&nexus(2)) && !state.reserve_unit(&nexus(4)));
    state.release(&nexus(1), 1, PersistentType::WriteExclusiveRegistrantsOnly).unwrap();
    assert!(!state.reserve_unit(&nexus(1)), "registered, but nobody holds");
}

#[test]
fn what_persists_is_restored() {
    let mut state = held(PersistentType::ExclusiveAccess);
    state.register(&nexus(2), &Registration { persist: true, ..registration(Some(2), 2) }).unwrap();
    let mut restored = Reservations::default();
    restored.restore(state.state().clone());
    assert!(restored.state().persist && !restored.permits(&nexus(2), AccessKind::Read));
    assert_eq!(restored.state().generation, 0);
}

#[test]
fn reports_tell_all() {
    let state = held(PersistentType::WriteExclusiveAllRegistrants);
    let keys = state.report(ReserveInAction::ReadKeys, true);
    assert_eq!((keys.len(), &keys[..8]), (32, &[0, 0, 0, 3, 0, 0, 0, 24][..]));
    let held_by = state.report(ReserveInAction::ReadReservation, true);
    let reservation = HeldReservation::view(&held_by[8..]).unwrap();
    assert_eq!(
        (reservation.key.get(), reservation.kind()),
        (0, state.state().reservation.map(|(kind, _)| kind))
    );
    let full = state.report(ReserveInAction::ReadFullStatus, true);
    let first = FullStatus::view(&full[8..]).unwrap();
    let id = &full[8 + FullStatus::LEN..][..first.transport_id_len.get() as usize];
    assert_eq!(TransportId::read(id).unwrap().0, nexus(1).initiator);
    assert!(first.held().is_some());
    assert_eq!(full.len(), 8 + 3 * (FullStatus::LEN + id.len()));
    let none = Reservations::default().report(ReserveInAction::ReadReservation, true);
    assert_eq!(none, [0; 8]);
}
