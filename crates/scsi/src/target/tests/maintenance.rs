//! Target port groups, supported commands, logs, diagnostics.

use super::world::World;
use crate::target::command;
use crate::target::{NexusKey, Protocol};
use block::BlockDevice;
use wire::scsi::report::{AccessState, CommandDescriptor, GroupDescriptor, OneCommandHeader};
use wire::scsi::{Sense, Status};

const GOOD: Option<Status> = Some(Status::Good);
const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];

fn report(world: &mut World, nexus: NexusKey, option: u8, code: u8, action: u8) -> super::world::Answer {
    world.run(nexus, &[0xa3, 0x0c, option, code, 0, action, 0, 0, 16, 0, 0, 0], &[])
}

#[test]
fn every_command_is_reported_both_ways() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let all = report(&mut world, nexus, 0, 0, 0).good();
    let info = world.ram.info();
    let rows = command::rows().filter(|row| command::is_offered(row, &info, Protocol::Iscsi)).count();
    assert_eq!((all.len(), all[..4].to_vec()), (4 + rows * 8, ((rows * 8) as u32).to_be_bytes().to_vec()));
    for bytes in all[4..].chunks(CommandDescriptor::LEN) {
        let descriptor = CommandDescriptor::view(bytes).unwrap();
        let (code, action) = (descriptor.operation_code, descriptor.service_action.get() as u8);
        let (right, wrong) = if descriptor.has_service_action() { (2, 1) } else { (1, 2) };
        let one = report(&mut world, nexus, right, code, action).good();
        assert!(OneCommandHeader::view(&one).unwrap().is_supported());
        assert_eq!((one[4], one.len()), (code, 4 + usize::from(descriptor.cdb_len.get())));
        assert_eq!(report(&mut world, nexus, wrong, code, action).fault(), Sense::INVALID_FIELD_IN_CDB);
        assert_eq!(report(&mut world, nexus, 3, code, action).good(), one);
        let timed = report(&mut world, nexus, 0x80 | right, code, action).good();
        assert_eq!((timed.len(), timed[1]), (one.len() + 12, 0x83));
    }
    let missing = report(&mut world, nexus, 1, 0xff, 0).good();
    assert_eq!(missing, [0, 1, 0, 0]);
    assert_eq!(report(&mut world, nexus, 2, 0x5e, 9).good(), [0, 1, 0, 0]);
    assert_eq!(report(&mut world, nexus, 4, 0, 0).fault(), Sense::INVALID_FIELD_IN_CDB);
    let functions = world.run(nexus, &[0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], &[]).good();
    assert_eq!(functions, [0xfc, 7, 0, 0]);
}

#[test]
fn groups_are_told_and_set() {
    let mut world = World::new();
    let (one, two) = (world.nexus(1), world.new_nexus(1, 2));
    world.run(two, &[0; 6], &[]);
    let groups = |world: &mut World| {
        let data = world.run(one, &[0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).good();
        assert_eq!((data.len(), data[3], data[4 + 11], data[16 + 11]), (28, 24, 1, 2));
        [&data[4..], &data[16..]].map(|group| GroupDescriptor::view(group).unwrap().state().unwrap())
    };
    assert_eq!(groups(&mut world), [AccessState::ActiveOptimized; 2]);
    let set = |world: &mut World, list: &[u8]| {
        world.run(one, &[0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, list.len() as u8, 0, 0], list)
    };
    assert_eq!(set(&mut world, &[0, 0, 0, 0, 2, 0, 0, 2]).status, GOOD);
    assert_eq!(groups(&mut world), [AccessState::ActiveOptimized, AccessState::Standby]);
    assert_eq!(world.run(two, &READ, &[]).fault(), Sense::ASYMMETRIC_ACCESS_CHANGED);
    assert_eq!(world.run(two, &READ, &[]).fault(), Sense::TARGET_PORT_IN_STANDBY);
    assert_eq!(world.run(two, &[0x12, 0, 0, 0, 96, 0], &[]).status, GOOD);
    assert_eq!(world.run(one, &READ, &[]).status, GOOD);
    assert_eq!(set(&mut world, &[0, 0, 0, 0, 0, 0, 0, 9]).fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    assert_eq!(set(&mut world, &[0, 0, 0, 0, 0xf, 0, 0, 2]).fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    assert_eq!(set(&mut world, &[0, 0, 0, 0, 0, 0]).fault(), Sense::PARAMETER_LIST_LENGTH);
    world.target.set_group_state(world.device, 2, AccessState::ActiveNonOptimized).unwrap();
    assert_eq!(world.run(one, &READ, &[]).fault(), Sense::ASYMMETRIC_ACCESS_CHANGED);
    assert_eq!(world.run(two, &READ, &[]).fault(), Sense::ASYMMETRIC_ACCESS_CHANGED);
    assert_eq!(world.run(two, &READ, &[]).status, GOOD);
    assert_eq!(world.target.group_state(world.device, 2), Ok(AccessState::ActiveNonOptimized));
    let extended = world.run(one, &[0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).good();
    assert_eq!((extended.len(), extended[3], extended[4]), (32, 28, 0x10));
}

#[test]
fn logs_and_diagnostics_list_themselves() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let log = |world: &mut World, page: u8, subpage: u8| {
        world.run(nexus, &[0x4d, 0, 0x40 | page, subpage, 0, 0, 0, 0, 64, 0], &[])
    };
    let pages = log(&mut world, 0, 0).good();
    assert_eq!(pages, [0, 0, 0, 2, 0, 0x2f]);
    assert_eq!(log(&mut world, 0, 0xff).good(), [0x40, 0xff, 0, 6, 0, 0, 0, 0xff, 0x2f, 0]);
    assert_eq!(log(&mut world, 0x2f, 0).good()[..6], [0x2f, 0, 0, 8, 0, 0]);
    assert_eq!(log(&mut world, 0x30, 0).fault(), Sense::INVALID_FIELD_IN_CDB);
    assert_eq!(world.run(nexus, &[0x1d, 4, 0, 0, 0, 0], &[]).status, GOOD);
    assert_eq!(world.run(nexus, &[0x1d, 0x24, 0, 0, 0, 0], &[]).fault(), Sense::INVALID_FIELD_IN_CDB);
    assert_eq!(world.run(nexus, &[0x1d, 0x10, 0, 0, 4, 0], &[0; 4]).status, GOOD);
    assert_eq!(world.run(nexus, &[0x1d, 0x10, 0, 0, 3, 0], &[0; 3]).fault(), Sense::PARAMETER_LIST_LENGTH);
    assert_eq!(world.run(nexus, &[0x1c, 1, 0, 0, 64, 0], &[]).good(), [0, 0, 0, 1, 0]);
    assert_eq!(world.run(nexus, &[0x1c, 1, 4, 0, 64, 0], &[]).fault(), Sense::INVALID_FIELD_IN_CDB);
}
