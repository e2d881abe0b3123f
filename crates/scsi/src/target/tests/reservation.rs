//! Reservations as initiators see them: commands, conflicts, unit attentions, and the owner that stores them.

use super::world::{Opened, World};
use crate::target::{Executor, Function, ManagementOutcome, NexusKey, ReservationState};
use wire::scsi::reservation::{
    FullStatus, MoveParameters, PersistentType, ReserveOutAction, ReserveOutFlags, ReserveOutParameters,
};
use wire::scsi::{Sense, Status, TransportId};
use zerocopy::IntoBytes;

const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];
const MODE_SENSE: [u8; 6] = [0x1a, 0, 0x3f, 0, 255, 0];
const CONFLICT: Option<Status> = Some(Status::ReservationConflict);
const GOOD: Option<Status> = Some(Status::Good);

fn out_cdb(action: ReserveOutAction, kind: u8, len: usize) -> [u8; 10] {
    [0x5f, action.code(), kind, 0, 0, 0, 0, 0, len as u8, 0]
}

fn out(
    world: &mut World,
    nexus: NexusKey,
    action: ReserveOutAction,
    kind: PersistentType,
    keys: (u64, u64),
) -> Option<Status> {
    let list = ReserveOutParameters::new(keys.0, keys.1, ReserveOutFlags::NONE);
    world.run(nexus, &out_cdb(action, kind.code(), 24), list.as_bytes()).status
}

fn register(world: &mut World, nexus: NexusKey, key: u64) {
    let kind = PersistentType::WriteExclusive;
    assert_eq!(out(world, nexus, ReserveOutAction::Register, kind, (0, key)), GOOD);
}

fn read_in(world: &mut World, nexus: NexusKey, action: u8) -> Vec<u8> {
    world.run(nexus, &[0x5e, action, 0, 0, 0, 0, 0, 4, 0, 0], &[]).good()
}

#[test]
fn each_type_lets_whom_do_what() {
    // Reads and writes of a registrant that is not the holder, then of a nexus that is not registered.
    let permitted = [
        [true, false, true, false],
        [false, false, false, false],
        [true, true, true, false],
        [true, true, false, false],
        [true, true, true, false],
        [true, true, false, false],
    ];
    for (kind, [registrant_reads, registrant_writes, other_reads, other_writes]) in
        PersistentType::ALL.iter().copied().zip(permitted)
    {
        let mut world = World::new();
        let (holder, registrant, other) = (world.nexus(1), world.nexus(2), world.nexus(3));
        register(&mut world, holder, 1);
        register(&mut world, registrant, 2);
        assert_eq!(out(&mut world, holder, ReserveOutAction::Reserve, kind, (1, 0)), GOOD);
        for (nexus, reads, writes) in [
            (holder, true, true),
            (registrant, registrant_reads, registrant_writes),
            (other, other_reads, other_writes),
        ] {
            let expected = |permitted| if permitted { GOOD } else { CONFLICT };
            assert_eq!(world.run(nexus, &READ, &[]).status, expected(reads), "{kind} read");
            assert_eq!(world.run(nexus, &MODE_SENSE, &[]).status, expected(reads), "{kind} mode sense");
            assert_eq!(world.run(nexus, &WRITE, &[1; 512]).status, expected(writes), "{kind} write");
            assert_eq!(world.run(nexus, &[0; 6], &[]).status, GOOD, "{kind} test unit ready");
            assert_eq!(world.run(nexus, &INQUIRY, &[]).status, GOOD, "{kind} inquiry");
        }
    }
}

#[test]
fn a_nexus_with_an_allegiance_can_be_preempted() {
    let mut world = World::new();
    let kind = PersistentType::WriteExclusiveRegistrantsOnly;
    let (faulted, other) = (world.nexus(1), world.nexus(2));
    register(&mut world, faulted, 1);
    register(&mut world, other, 2);
    assert_eq!(out(&mut world, faulted, ReserveOutAction::Reserve, kind, (1, 0)), GOOD);
    let past_the_end = [0x28, 0, 0xff, 0, 0, 0, 0, 0, 1, 4];
    assert_eq!(world.run(faulted, &past_the_end, &[]).fault(), Sense::LBA_OUT_OF_RANGE);
    assert_eq!(world.run(other, &[0; 6], &[]).status, Some(Status::Busy));
    assert_eq!(out(&mut world, other, ReserveOutAction::Preempt, kind, (2, 1)), Some(Status::Busy));
    assert_eq!(out(&mut world, other, ReserveOutAction::PreemptAndAbort, kind, (2, 1)), GOOD);
    assert_eq!(world.run(other, &WRITE, &[1; 512]).status, GOOD);
    assert_eq!(world.run(faulted, &WRITE, &[1; 512]).fault(), Sense::REGISTRATIONS_PREEMPTED);
}

#[test]
fn a_release_is_told() {
    let mut world = World::new();
    let kind = PersistentType::WriteExclusiveRegistrantsOnly;
    let (one, two, other) = (world.nexus(1), world.nexus(2), world.nexus(3));
    register(&mut world, one, 1);
    register(&mut world, two, 2);
    out(&mut world, one, ReserveOutAction::Reserve, kind, (1, 0));
    let wrong = ReserveOutParameters::new(1, 0, ReserveOutFlags::NONE);
    let cdb = out_cdb(ReserveOutAction::Release, PersistentType::WriteExclusive.code(), 24);
    assert_eq!(world.run(one, &cdb, wrong.as_bytes()).fault(), Sense::INVALID_RELEASE_OF_RESERVATION);
    assert_eq!(out(&mut world, one, ReserveOutAction::Release, kind, (1, 0)), GOOD);
    assert_eq!(world.run(two, &[0; 6], &[]).fault(), Sense::RESERVATIONS_RELEASED);
    assert_eq!(world.run(other, &[0; 6], &[]).status, GOOD);
    assert_eq!(world.run(one, &[0; 6], &[]).status, GOOD);
}

#[test]
fn preempting_tells_and_aborts() {
    let mut world = World::new();
    let kind = PersistentType::ExclusiveAccess;
    let (one, two) = (world.nexus(1), world.nexus(2));
    register(&mut world, one, 1);
    register(&mut world, two, 2);
    out(&mut world, one, ReserveOutAction::Reserve, kind, (1, 0));
    let waiting: Opened = world.begin(one, &WRITE, 512);
    assert_eq!(out(&mut world, two, ReserveOutAction::PreemptAndAbort, kind, (2, 1)), GOOD);
    assert_eq!(world.answer(waiting).unwrap().status, None, "aborted, and not told");
    assert_eq!(world.run(one, &[0; 6], &[]).fault(), Sense::COMMANDS_CLEARED);
    assert_eq!(world.run(one, &[0; 6], &[]).fault(), Sense::REGISTRATIONS_PREEMPTED);
    assert_eq!(world.run(one, &READ, &[]).status, CONFLICT);
    assert_eq!(read_in(&mut world, two, 0), [0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn ports_are_registered_together() {
    let mut world = World::new();
    let one = world.nexus(1);
    let other = TransportId::iscsi("iqn.2016-06.io.example:host", [2; 6]);
    let flags = ReserveOutFlags::SPECIFY_INITIATOR_PORTS | ReserveOutFlags::ALL_TARGET_PORTS;
    let list = |id: &TransportId| {
        let mut list = ReserveOutParameters::new(0, 7, flags).as_bytes().to_vec();
        list.extend((id.as_bytes().len() as u32).to_be_bytes());
        list.extend(id.as_bytes());
        list
    };
    let run = |world: &mut World, list: &[u8]| {
        world.run(one, &out_cdb(ReserveOutAction::Register, 0, list.len()), list)
    };
    let itself = list(&TransportId::iscsi("iqn.2016-06.io.example:host", [1; 6]));
    assert_eq!(run(&mut world, &itself).fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    assert_eq!(run(&mut world, &list(&other)[..60]).fault(), Sense::PARAMETER_LIST_LENGTH);
    assert_eq!(run(&mut world, &list(&other)).status, GOOD);
    let status = read_in(&mut world, one, 3);
    let mut at = 8;
    let mut found = Vec::new();
    while at < status.len() {
        let entry = FullStatus::view(&status[at..]).unwrap();
        assert_eq!(entry.key.get(), 7);
        let (id, len) = TransportId::read(&status[at + FullStatus::LEN..]).unwrap();
        found.push((id == other, entry.target_port.get()));
        at += FullStatus::LEN + len;
    }
    assert_eq!(found, [(false, 1), (false, 2), (true, 1), (true, 2)]);
}

#[test]
fn a_reservation_moves_to_another_nexus() {
    let mut world = World::new();
    let kind = PersistentType::ExclusiveAccess;
    let (one, two) = (world.nexus(1), world.nexus(2));
    register(&mut world, one, 1);
    out(&mut world, one, ReserveOutAction::Reserve, kind, (1, 0));
    let id = TransportId::iscsi("iqn.2016-06.io.example:host", [2; 6]);
    let list = |port| {
        let front = MoveParameters::new(1, 2, true, false, port, id.as_bytes().len() as u32);
        [front.as_bytes(), id.as_bytes()].concat()
    };
    let cdb = out_cdb(ReserveOutAction::RegisterAndMove, kind.code(), list(1).len());
    assert_eq!(
        world.run(one, &cdb, &list(9)).fault(),
        Sense::INVALID_FIELD_IN_PARAMETER_LIST,
        "no such port"
    );
    assert_eq!(world.run(one, &cdb, &list(1)).status, GOOD);
    assert_eq!(world.run(one, &READ, &[]).status, CONFLICT);
    assert_eq!(world.run(two, &READ, &[]).status, GOOD);
}

#[test]
fn reserve_is_the_nexus_alone() {
    let mut world = World::new();
    let (one, two) = (world.nexus(1), world.nexus(2));
    assert_eq!(world.run(one, &[0x16, 0, 0, 0, 0, 0], &[]).status, GOOD);
    for cdb in [&READ[..], &MODE_SENSE, &[0; 6], &[0x16, 0, 0, 0, 0, 0], &[0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(world.run(two, cdb, &[]).status, CONFLICT, "{cdb:x?}");
    }
    assert_eq!(world.run(two, &INQUIRY, &[]).status, GOOD);
    assert_eq!(world.run(two, &[0x17, 0, 0, 0, 0, 0], &[]).status, GOOD, "which does nothing");
    let keys = [0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    assert_eq!(world.run(one, &keys, &[]).status, CONFLICT, "even for the holder");
    assert_eq!(world.run(two, &READ, &[]).status, CONFLICT);
    world.target.lose(&mut world.env, one);
    assert_eq!(world.run(two, &READ, &[]).status, GOOD);
    assert_eq!(world.run(two, &[0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).status, GOOD);
    let three = world.nexus(3);
    assert_eq!(world.manage(three, Function::LogicalUnitReset), Some(ManagementOutcome::Complete));
    assert_eq!(world.run(three, &[0; 6], &[]).fault(), Sense::BUS_DEVICE_RESET);
    assert_eq!(world.run(three, &READ, &[]).status, GOOD);
}

#[test]
fn what_persists_is_stored_before_it_is_answered() {
    let mut world = World::persisting();
    let nexus = world.nexus(1);
    let list = ReserveOutParameters::new(0, 5, ReserveOutFlags::ACTIVATE_PERSISTENCE);
    let cdb = out_cdb(ReserveOutAction::Register, 0, 24);
    let run = |world: &mut World, list: &ReserveOutParameters| {
        let opened = world.begin(nexus, &cdb, 24);
        world.submit(opened, list.as_bytes());
        opened
    };
    let opened = run(&mut world, &list);
    assert!(world.answer(opened).is_none());
    let (device, lun) = world.target.poll_reservation_change().unwrap();
    assert_eq!(world.target.poll_reservation_change(), None);
    let stored = world.target.reservation_state(device, lun).unwrap().clone();
    assert!(stored.persist && stored.registrants[0].key == 5);
    assert!(world.answer(opened).is_none());
    // A second change is not in what the owner stores now.
    let second = run(&mut world, &ReserveOutParameters::new(5, 6, ReserveOutFlags::ACTIVATE_PERSISTENCE));
    world.target.reservations_stored(device, lun, true).unwrap();
    assert_eq!(world.answer(opened).unwrap().status, GOOD);
    assert!(world.answer(second).is_none());
    assert_eq!(world.target.poll_reservation_change(), Some((device, lun)));
    world.target.reservations_stored(device, lun, false).unwrap();
    assert_eq!(world.answer(second).unwrap().fault(), Sense::INTERNAL_TARGET_FAILURE);
    let mut again = World::persisting();
    let restored = ReservationState {
        reservation: Some((PersistentType::WriteExclusive, stored.registrants[0].nexus)),
        ..stored
    };
    again.target.restore_reservations(again.device, lun, restored).unwrap();
    let other = again.nexus(2);
    assert_eq!(again.run(other, &WRITE, &[0; 512]).status, CONFLICT);
}

#[test]
fn what_cannot_persist_is_not_asked_to() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let list = ReserveOutParameters::new(0, 5, ReserveOutFlags::ACTIVATE_PERSISTENCE);
    let refused = world.run(nexus, &out_cdb(ReserveOutAction::Register, 0, 24), list.as_bytes());
    assert_eq!(refused.sense, Some(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(20, 0)));
    let scope = world.run(nexus, &out_cdb(ReserveOutAction::Reserve, 0x11, 24), list.as_bytes());
    assert_eq!(scope.fault(), Sense::INVALID_FIELD_IN_CDB);
}
