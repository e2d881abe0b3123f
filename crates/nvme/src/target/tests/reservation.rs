//! Reservations as hosts see them: commands, conflicts, notifications.

use super::io::{command, read, write};
use super::slow::Slow;
use super::world::{Answer, Client, World, reading, subsystem_nqn, writing};
use stdx::time::Time;
use wire::nvme::admin::{LogPageRequest, SetFeatures};
use wire::nvme::features::Feature;
use wire::nvme::log::{LogPage, ReservationNotification, ReservationNotificationType};
use wire::nvme::reservation::{
    Acquire, AcquireAction, ExtendedRegistrant, PersistChange, Register, RegisterAction, Release,
    ReleaseAction, Report, ReservationKeys, ReservationStatus, ReservationType,
};
use wire::nvme::{AdminOpcode, NvmOpcode, Status, SubmissionQueueEntry};
use zerocopy::IntoBytes;

fn keys(current: u64, other: u64) -> ReservationKeys {
    ReservationKeys { current: current.into(), other: other.into() }
}

fn with_dword10(opcode: NvmOpcode, dword10: u32) -> SubmissionQueueEntry {
    let mut command = SubmissionQueueEntry::new(opcode.code(), 6).with_namespace(1);
    command.cdw10 = dword10.into();
    command
}

fn register(world: &mut World, client: Client, key: u64) -> Status {
    let register = Register {
        action: RegisterAction::Register,
        ignore_existing_key: false,
        persist: PersistChange::NoChange,
    };
    let command = with_dword10(NvmOpcode::ReservationRegister, register.dword10());
    world.run(client, command, keys(0, key).as_bytes()).status
}

fn acquire(
    world: &mut World,
    client: Client,
    action: AcquireAction,
    kind: ReservationType,
    current: u64,
    preempted: u64,
) -> Status {
    let acquire = Acquire { action, ignore_existing_key: false, kind };
    let command = with_dword10(NvmOpcode::ReservationAcquire, acquire.dword10());
    world.run(client, command, keys(current, preempted).as_bytes()).status
}

fn release(
    world: &mut World,
    client: Client,
    action: ReleaseAction,
    kind: ReservationType,
    key: u64,
) -> Status {
    let release = Release { action, ignore_existing_key: false, kind: Some(kind) };
    let command = with_dword10(NvmOpcode::ReservationRelease, release.dword10());
    world.run(client, command, &key.to_le_bytes()).status
}

fn report(world: &mut World, client: Client, extended: bool) -> Answer {
    let (dword10, dword11) = Report { length: 1024, extended }.dwords();
    let mut command = with_dword10(NvmOpcode::ReservationReport, dword10);
    command.cdw11 = dword11.into();
    world.run(client, reading(command, 1024), &[])
}

fn notification(world: &mut World, admin: Client) -> ReservationNotification {
    let request =
        LogPageRequest { page: LogPage::ReservationNotification.code(), length: 64, ..Default::default() };
    let answer = world.run(admin, reading(request.command(1, 0), 64), &[]);
    *ReservationNotification::view(&answer.data).unwrap()
}

const CONFLICT: Status = Status::RESERVATION_CONFLICT;
const TYPES: [ReservationType; 6] = [
    ReservationType::WriteExclusive,
    ReservationType::ExclusiveAccess,
    ReservationType::WriteExclusiveRegistrantsOnly,
    ReservationType::ExclusiveAccessRegistrantsOnly,
    ReservationType::WriteExclusiveAllRegistrants,
    ReservationType::ExclusiveAccessAllRegistrants,
];

#[test]
fn each_type_permits_what_the_standard_says() {
    // Reads and writes of a registrant that is not the holder, then of a host that is not registered.
    let permitted = [
        [true, false, true, false],
        [false, false, false, false],
        [true, true, true, false],
        [true, true, false, false],
        [true, true, true, false],
        [true, true, false, false],
    ];
    for (kind, [registrant_reads, registrant_writes, other_reads, other_writes]) in
        TYPES.into_iter().zip(permitted)
    {
        let mut world = World::new();
        let (holder, registrant, other) = (world.host(1), world.host(2), world.host(3));
        assert_eq!(register(&mut world, holder, 1), Status::SUCCESS);
        assert_eq!(register(&mut world, registrant, 2), Status::SUCCESS);
        assert_eq!(acquire(&mut world, holder, AcquireAction::Acquire, kind, 1, 0), Status::SUCCESS);
        for (client, reads, writes) in [
            (holder, true, true),
            (registrant, registrant_reads, registrant_writes),
            (other, other_reads, other_writes),
        ] {
            let expected = |permitted| if permitted { Status::SUCCESS } else { CONFLICT };
            assert_eq!(read(&mut world, client, 0, 1).status.kind(), expected(reads), "{kind} read");
            assert_eq!(write(&mut world, client, 0, 1, 1).kind(), expected(writes), "{kind} write");
            let run = |world: &mut World, opcode| world.run(client, command(opcode, 0, 1), &[]).status.kind();
            assert_eq!(run(&mut world, NvmOpcode::Flush), expected(writes), "{kind} flush");
            assert_eq!(run(&mut world, NvmOpcode::WriteZeroes), expected(writes), "{kind} zeroes");
            assert_eq!(run(&mut world, NvmOpcode::Verify), expected(reads), "{kind} verify");
        }
    }
}

#[test]
fn keys_must_match() {
    let mut world = World::new();
    let (one, two) = (world.host(1), world.host(2));
    let kind = ReservationType::WriteExclusive;
    let take = AcquireAction::Acquire;
    assert_eq!(acquire(&mut world, one, take, kind, 0, 0).kind(), CONFLICT, "not registered");
    assert_eq!(register(&mut world, one, 0).kind(), Status::INVALID_FIELD);
    register(&mut world, one, 10);
    assert_eq!(register(&mut world, one, 10), Status::SUCCESS, "the same again");
    assert_eq!(register(&mut world, one, 11).kind(), CONFLICT);
    register(&mut world, two, 20);
    assert_eq!(acquire(&mut world, one, take, kind, 11, 0).kind(), CONFLICT);
    assert_eq!(acquire(&mut world, one, take, kind, 10, 0), Status::SUCCESS);
    assert_eq!(acquire(&mut world, one, take, kind, 10, 0), Status::SUCCESS);
    assert_eq!(acquire(&mut world, one, take, TYPES[1], 10, 0).kind(), CONFLICT);
    assert_eq!(acquire(&mut world, two, take, kind, 20, 0).kind(), CONFLICT);
    assert_eq!(release(&mut world, two, ReleaseAction::Release, kind, 20), Status::SUCCESS);
    assert_eq!(write(&mut world, two, 0, 1, 1).kind(), CONFLICT, "it was not two's to release");
    assert_eq!(release(&mut world, one, ReleaseAction::Release, TYPES[1], 10).kind(), Status::INVALID_FIELD);
    assert_eq!(release(&mut world, one, ReleaseAction::Release, kind, 11).kind(), CONFLICT);
    assert_eq!(release(&mut world, one, ReleaseAction::Release, kind, 10), Status::SUCCESS);
    assert_eq!(write(&mut world, two, 0, 1, 1), Status::SUCCESS);
}

#[test]
fn reserved_codes_are_invalid_fields() {
    let mut world = World::new();
    let client = world.host(1);
    register(&mut world, client, 1);
    let odd = [
        with_dword10(NvmOpcode::ReservationRegister, 3),
        with_dword10(NvmOpcode::ReservationRegister, 1 << 30),
        with_dword10(NvmOpcode::ReservationAcquire, 3 | 1 << 8),
        with_dword10(NvmOpcode::ReservationAcquire, 7 << 8),
        with_dword10(NvmOpcode::ReservationAcquire, 1 << 3 | 1 << 8),
    ];
    for command in odd {
        assert_eq!(world.run(client, command, keys(1, 1).as_bytes()).status.kind(), Status::INVALID_FIELD);
    }
    let persist = Register {
        action: RegisterAction::Replace,
        ignore_existing_key: true,
        persist: PersistChange::Persist,
    };
    let command = with_dword10(NvmOpcode::ReservationRegister, persist.dword10());
    assert_eq!(world.run(client, command, keys(1, 1).as_bytes()).status.kind(), Status::INVALID_FIELD);
    assert_eq!(report(&mut world, client, false).status.kind(), Status::HOST_ID_INCONSISTENT_FORMAT);
}

#[test]
fn preempting_takes_over_and_tells_the_losers() {
    let mut world = World::new();
    let admins = [world.admin(1), world.admin(2)];
    let [one, two] = admins.map(|admin| world.io(admin, 1));
    let kind = ReservationType::WriteExclusive;
    register(&mut world, one, 1);
    register(&mut world, two, 2);
    acquire(&mut world, one, AcquireAction::Acquire, kind, 1, 0);
    let event = SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), 5);
    let parked = world.send(admins[0], event, &[]).unwrap();
    assert_eq!(acquire(&mut world, two, AcquireAction::Preempt, kind, 2, 9).kind(), CONFLICT);
    assert_eq!(acquire(&mut world, two, AcquireAction::Preempt, kind, 2, 0).kind(), Status::INVALID_FIELD);
    assert_eq!(acquire(&mut world, two, AcquireAction::Preempt, TYPES[1], 2, 1), Status::SUCCESS);
    assert_eq!(world.answer(parked).unwrap().result, 0x0080_0006);
    let notice = notification(&mut world, admins[0]);
    assert_eq!(notice.kind, ReservationNotificationType::RegistrationPreempted.code());
    assert_eq!((notice.count.get(), notice.namespace_id.get(), notice.pending), (1, 1, 0));
    assert_eq!(notification(&mut world, admins[0]).kind, 0, "it was read");
    assert_eq!(read(&mut world, one, 0, 1).status.kind(), CONFLICT);
    assert_eq!(write(&mut world, two, 0, 1, 1), Status::SUCCESS);
    let data = report(&mut world, two, true).data;
    let status = ReservationStatus::view(&data).unwrap();
    assert_eq!((status.generation.get(), status.kind, status.registrants.get()), (3, 2, 1));
    let registrant = ExtendedRegistrant::all(&data[64..]).next().unwrap();
    assert_eq!((registrant.holder, registrant.host_id, registrant.key.get()), (1, [2; 16], 2));
    assert_eq!(registrant.controller_id.get(), 2);
}

#[test]
fn preempt_and_abort_gives_back_what_waits() {
    let mut world = World::new();
    let slow = Slow::new(1, 64);
    let id = world.add_device(slow.clone(), 2);
    let (one, two) = (world.host(1), world.host(2));
    let on = |mut command: SubmissionQueueEntry| {
        command.namespace_id = id.into();
        command
    };
    for (client, key) in [(one, 1), (two, 2)] {
        let command = on(with_dword10(NvmOpcode::ReservationRegister, 0));
        assert_eq!(world.run(client, command, keys(0, key).as_bytes()).status, Status::SUCCESS);
    }
    // The volume takes one request at a time: the first is with it, the second waits.
    let flush = on(command(NvmOpcode::Flush, 0, 1));
    let with_volume = world.send(one, flush, &[]).unwrap();
    let waits = world.send(one, flush, &[]).unwrap();
    let acquire = Acquire {
        action: AcquireAction::PreemptAndAbort,
        ignore_existing_key: false,
        kind: ReservationType::WriteExclusive,
    };
    let command = on(with_dword10(NvmOpcode::ReservationAcquire, acquire.dword10()));
    let preempt = world.send(two, writing(command, 16), keys(2, 1).as_bytes()).unwrap();
    assert_eq!(world.answer(waits).unwrap().status, Status::ABORTED_PREEMPT);
    assert!(world.answer(with_volume).is_none() && world.answer(preempt).is_none());
    slow.complete(block::Status::Ok);
    world.settle();
    assert_eq!(world.answer(with_volume).unwrap().status, Status::ABORTED_PREEMPT);
    assert_eq!(world.answer(preempt).unwrap().status, Status::SUCCESS, "nothing of the other's is under way");
}

fn register_to_persist(persist: PersistChange) -> SubmissionQueueEntry {
    let register = Register { action: RegisterAction::Register, ignore_existing_key: true, persist };
    writing(with_dword10(NvmOpcode::ReservationRegister, register.dword10()).with_namespace(2), 16)
}

#[test]
fn what_is_to_persist_is_acknowledged_when_it_is_stored() {
    let mut world = World::new();
    let nqn = subsystem_nqn();
    assert_eq!(world.add_persistent(2), 2);
    let client = world.host(1);
    let volatile = world.run(client, register_to_persist(PersistChange::NoChange), keys(0, 1).as_bytes());
    assert_eq!(volatile.status, Status::SUCCESS, "nothing is to persist yet");
    let kept = register_to_persist(PersistChange::Persist);
    let slot = world.send(client, kept, keys(1, 1).as_bytes()).unwrap();
    assert!(world.answer(slot).is_none());
    assert_eq!(world.target.poll_reservation_change(), Some((nqn, 2)));
    assert_eq!(world.target.poll_reservation_change(), None);
    // What changes while that is being stored is not stored with it.
    let later = world.send(client, kept, keys(1, 1).as_bytes()).unwrap();
    world.target.reservations_stored(&nqn, 2, true).unwrap();
    assert_eq!(world.target.deadline(), Some(Time::ZERO), "there is something to tell");
    world.settle();
    assert_eq!(world.answer(slot).unwrap().status, Status::SUCCESS);
    assert!(world.answer(later).is_none());
    assert_eq!(world.target.poll_reservation_change(), Some((nqn, 2)));
    world.target.reservations_stored(&nqn, 2, false).unwrap();
    world.settle();
    assert_eq!(world.answer(later).unwrap().status, Status::INTERNAL_ERROR);
    assert!(world.target.reservation_state(&nqn, 2).unwrap().persist);
}

#[test]
fn a_change_that_is_being_stored_ends_with_its_queue_or_namespace() {
    let mut world = World::new();
    let nqn = subsystem_nqn();
    world.add_persistent(2);
    let (one, two) = (world.host(1), world.host(2));
    let kept = register_to_persist(PersistChange::Persist);
    let slots = [one, two].map(|client| world.send(client, kept, keys(0, 1).as_bytes()).unwrap());
    world.disconnect(one);
    assert_eq!(world.answer(slots[0]).unwrap().status, Status::ABORTED_QUEUE_DELETION);
    world.target.remove_namespace(&nqn, 2).unwrap();
    world.settle();
    assert_eq!(world.answer(slots[1]).unwrap().status, Status::INTERNAL_ERROR);
    assert_eq!(world.target.poll_reservation_change(), None);
}

#[test]
fn the_feature_that_makes_reservations_persist_is_stored_too() {
    let mut world = World::new();
    let nqn = subsystem_nqn();
    world.add_persistent(2);
    let admin = world.admin(1);
    let feature = Feature::ReservationPersistence.code();
    let on = |id| SetFeatures { feature, save: false, dword11: 1 }.command(9).with_namespace(id);
    let slot = world.send(admin, on(2), &[]).unwrap();
    assert!(world.answer(slot).is_none());
    assert_eq!(world.target.poll_reservation_change(), Some((nqn, 2)));
    world.target.reservations_stored(&nqn, 2, true).unwrap();
    world.settle();
    assert_eq!(world.answer(slot).unwrap().status, Status::SUCCESS);
    assert_eq!(world.run(admin, on(1), &[]).status.kind(), Status::INVALID_FIELD, "it cannot persist");
}

#[test]
fn clearing_forgets_everything() {
    let mut world = World::new();
    let admin = world.admin(2);
    let (one, two) = (world.host(1), world.io(admin, 1));
    register(&mut world, one, 1);
    register(&mut world, two, 2);
    acquire(&mut world, two, AcquireAction::Acquire, TYPES[5], 2, 0);
    assert_eq!(release(&mut world, one, ReleaseAction::Clear, TYPES[0], 1), Status::SUCCESS);
    let data = report(&mut world, two, true).data;
    let status = ReservationStatus::view(&data).unwrap();
    assert_eq!((status.kind, status.registrants.get()), (0, 0));
    let notice = notification(&mut world, admin);
    assert_eq!(notice.kind, ReservationNotificationType::ReservationPreempted.code());
}
