//! The commands all devices have: what a logical unit says of itself, and what others are told.

use super::world::{Opened, World};
use crate::target::{Executor, Function, NexusKey};
use stdx::mem::Memory;
use wire::scsi::inquiry::{Association, BlockLimits, DesignatorKind, Designators, StandardInquiry, VpdPage};
use wire::scsi::mode::{ControlFlags, ControlPage, ModeHeader6, ModeHeader10};
use wire::scsi::{Sense, Status};

fn vpd(world: &mut World, nexus: NexusKey, page: u8) -> Vec<u8> {
    world.run(nexus, &[0x12, 1, page, 4, 0, 0], &[]).good()
}

#[test]
fn a_logical_unit_introduces_itself() {
    let mut world = World::new();
    let nexus = world.new_nexus(1, 1);
    let data = world.run(nexus, &[0x12, 0, 0, 0, 255, 0], &[]).good();
    let inquiry = StandardInquiry::view(&data).unwrap();
    assert_eq!((data.len(), inquiry.peripheral, &inquiry.vendor), (96, 0, b"WEFT    "));
    assert_eq!(world.run(nexus, &[0x12, 0, 0, 0, 5, 0], &[]).good(), data[..5], "and is cut");
    let absent = world.run_at(nexus, 9, &[0x12, 0, 0, 0, 255, 0], &[]).good();
    assert_eq!(absent[0], 0x7f);
    let odd = world.run(nexus, &[0x12, 0, 1, 0, 255, 0], &[]);
    assert_eq!(odd.fault(), Sense::INVALID_FIELD_IN_CDB);
    // The unit attention still waits.
    assert_eq!(world.run(nexus, &[0; 6], &[]).fault(), Sense::POWER_ON);
}

#[test]
fn every_page_listed_is_there() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let pages = vpd(&mut world, nexus, 0);
    assert!(pages[4..].is_sorted());
    for &page in &pages[4..] {
        let data = vpd(&mut world, nexus, page);
        let len = usize::from(u16::from_be_bytes([data[2], data[3]]));
        assert_eq!((data[1], data.len()), (page, 4 + len));
    }
    let missing = world.run(nexus, &[0x12, 1, 0xb6, 1, 0, 0], &[]);
    assert_eq!(missing.fault(), Sense::INVALID_FIELD_IN_CDB);
}

#[test]
fn names_differ_by_unit_and_port() {
    let mut world = World::new();
    let lun = world.add_ram(64, 2);
    let (first, second) = (world.nexus(1), world.new_nexus(1, 2));
    let ids = |world: &mut World, nexus, lun| {
        world.run_at(nexus, lun, &[0x12, 1, VpdPage::DeviceIdentification.code(), 4, 0, 0], &[]).good()
    };
    let (data, through_second) = (ids(&mut world, first, 0), ids(&mut world, second, 0));
    let other = ids(&mut world, first, lun);
    let of_unit = |data: &[u8]| -> Vec<Vec<u8>> {
        let unit = Designators(&data[4..]).filter(|name| name.association == Association::LogicalUnit);
        unit.map(|name| name.identifier.to_vec()).collect()
    };
    assert_eq!(of_unit(&data), of_unit(&through_second));
    assert!(of_unit(&data).iter().zip(of_unit(&other)).all(|(one, other)| *one != other));
    let port = Designators(&through_second[4..]).find(|name| name.kind == DesignatorKind::RelativeTargetPort);
    assert_eq!(port.unwrap().identifier, [0, 0, 0, 2]);
}

#[test]
fn limits_are_in_blocks() {
    for block_size in [512, 4096] {
        let mut world = World::with_blocks(block_size, 8192);
        let nexus = world.nexus(1);
        let data = vpd(&mut world, nexus, 0xb0);
        let limits = BlockLimits::view(&data).unwrap();
        assert_eq!(limits.transfer_max.get() * block_size, Memory::BUFFER_MAX as u32);
        // So little memory has no longer buffers.
        let blocks = (limits.transfer_max.get() + 1).to_be_bytes();
        let read = [0xa8, 0, 0, 0, 0, 0, blocks[0], blocks[1], blocks[2], blocks[3], 0, 0];
        let long = world.run(nexus, &read, &[]);
        assert_eq!(long.fault(), Sense::INVALID_FIELD_IN_CDB);
        assert_eq!(limits.unmap_granularity.get() * block_size, 4096);
    }
}

#[test]
fn luns_are_reported_and_the_change_is_settled() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let lun = world.add_ram(64, 2);
    let list = world.run(nexus, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).good();
    assert_eq!((list.len(), list[3], list[9], list[17]), (24, 16, 0, lun as u8));
    assert_eq!(world.run(nexus, &[0; 6], &[]).status, Some(Status::Good), "it was told already");
    let none = world.run(nexus, &[0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).good();
    assert_eq!(none, [0; 8]);
}

#[test]
fn request_sense_takes_what_waits() {
    let mut world = World::new();
    let nexus = world.new_nexus(1, 1);
    let request = |world: &mut World, lun, descriptor| {
        let data = world.run_at(nexus, lun, &[0x03, descriptor, 0, 0, 252, 0], &[]).good();
        (data[0], Sense::read(&data).unwrap())
    };
    let (form, sense) = request(&mut world, 0, 1);
    assert!(form == 0x72 && sense.is(&Sense::POWER_ON));
    let (form, sense) = request(&mut world, 0, 0);
    assert!(form == 0x70 && sense.is(&Sense::NO_ADDITIONAL_INFORMATION));
    assert!(request(&mut world, 5, 0).1.is(&Sense::LOGICAL_UNIT_NOT_SUPPORTED));
}

#[test]
fn settings_are_told_and_changed() {
    let mut world = World::new();
    let (one, two) = (world.nexus(1), world.nexus(2));
    let all = world.run(one, &[0x1a, 0, 0x3f, 0, 255, 0], &[]).good();
    let header = ModeHeader6::view(&all).unwrap();
    assert_eq!((usize::from(header.data_len) + 1, header.descriptors_len), (all.len(), 8));
    assert_eq!(all.len(), 4 + 8 + 12 + 20 + 12 + 12);
    assert_eq!(all[12..15], [0x01, 10, 0xc0], "pages come in the order of their codes");
    let long = world.run(one, &[0x5a, 0x10, 0x0a, 0, 0, 0, 0, 1, 0, 0], &[]).good();
    let header = ModeHeader10::view(&long).unwrap();
    assert!(header.long() && header.descriptors_len.get() == 16 && long.len() == 8 + 16 + 12);
    let mut list = world.run(one, &[0x1a, 8, 0x0a, 0, 255, 0], &[]).good();
    let page = ControlPage::new(
        ControlPage::view(&list[4..]).unwrap().flags() | ControlFlags::SOFTWARE_WRITE_PROTECT,
    );
    list[0] = 0;
    list[4 + 4] = page.flags().bits().to_be_bytes()[2];
    let select = [0x15, 0x10, 0, 0, list.len() as u8, 0];
    assert_eq!(world.run(one, &select, &list).status, Some(Status::Good));
    assert_eq!(world.run(two, &[0; 6], &[]).fault(), Sense::MODE_PARAMETERS_CHANGED);
    let write = world.run(two, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[0; 512]);
    assert_eq!(write.fault(), Sense::SOFTWARE_WRITE_PROTECTED);
    assert_eq!(world.run(one, &[0x1a, 8, 0x0a, 0, 4, 0], &[]).good()[2], 0x90);
    world.manage(one, Function::LogicalUnitReset);
    assert_eq!(world.run(two, &[0; 6], &[]).fault(), Sense::BUS_DEVICE_RESET);
    let write = world.run(two, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[0; 512]);
    assert_eq!(write.status, Some(Status::Good), "a reset brings the defaults back");
}

/// A MODE SELECT (6) that saves the Control page with SWP; not answered yet.
fn begin_saving(world: &mut World, nexus: NexusKey) -> Opened {
    let mut list = world.run(nexus, &[0x1a, 8, 0x0a, 0, 255, 0], &[]).good();
    assert_eq!(list[4], 0x8a, "PS: the page can be saved");
    (list[0], list[4]) = (0, 0x0a);
    list[4 + 4] |= 8;
    let select = world.begin(nexus, &[0x15, 0x11, 0, 0, list.len() as u8, 0], list.len());
    world.submit(select, &list);
    assert_eq!(world.answer(select), None, "it is not stored");
    assert_eq!(world.target.poll_reservation_change(), Some((world.device, 0)));
    select
}

#[test]
fn saved_settings_outlive_a_reset_and_are_answered_when_stored() {
    let mut world = World::persisting();
    let nexus = world.nexus(1);
    let saved_page = [0x1a, 8, 0xca, 0, 255, 0];
    assert_eq!(world.run(nexus, &saved_page, &[]).good()[8] & 8, 0, "the default until something is saved");
    let select = begin_saving(&mut world, nexus);
    world.target.reservations_stored(world.device, 0, true).unwrap();
    world.answer(select).expect("an answer").good();
    assert_eq!(world.run(nexus, &saved_page, &[]).good()[8] & 8, 8);
    world.manage(nexus, Function::LogicalUnitReset);
    assert_eq!(world.run(nexus, &[0; 6], &[]).fault(), Sense::BUS_DEVICE_RESET);
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(world.run(nexus, &write, &[0; 512]).fault(), Sense::SOFTWARE_WRITE_PROTECTED);

    let kept = world.target.saved_mode(world.device, 0).unwrap().expect("what was saved");
    let mut world = World::persisting();
    world.target.restore_mode(world.device, 0, kept).unwrap();
    let nexus = world.nexus(1);
    assert_eq!(world.run(nexus, &write, &[0; 512]).fault(), Sense::SOFTWARE_WRITE_PROTECTED);
    assert_eq!(world.run(nexus, &[0x1a, 8, 0x8a, 0, 255, 0], &[]).good()[8] & 8, 0, "the default is another");
}

#[test]
fn settings_that_cannot_be_stored_are_not_said_to_be_saved() {
    let mut world = World::persisting();
    let nexus = world.nexus(1);
    let select = begin_saving(&mut world, nexus);
    world.target.reservations_stored(world.device, 0, false).unwrap();
    assert_eq!(world.answer(select).expect("an answer").fault(), Sense::INTERNAL_TARGET_FAILURE);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let saved = world.run(nexus, &[0x1a, 0, 0xff, 0, 255, 0], &[]);
    assert_eq!(saved.fault(), Sense::SAVING_NOT_SUPPORTED);
    let missing = world.run(nexus, &[0x1a, 0, 0x02, 0, 255, 0], &[]);
    assert_eq!(missing.fault(), Sense::INVALID_FIELD_IN_CDB);
    let good = world.run(nexus, &[0x1a, 0, 0x0a, 0, 255, 0], &[]).good();
    let select =
        |world: &mut World, list: &[u8]| world.run(nexus, &[0x15, 0x10, 0, 0, list.len() as u8, 0], list);
    let with = |at: usize, value: u8| {
        let mut list = good.clone();
        list[at] = value;
        list
    };
    assert_eq!(select(&mut world, &good).status, Some(Status::Good));
    assert_eq!(select(&mut world, &good[..good.len() - 1]).fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    assert_eq!(select(&mut world, &good[..3]).fault(), Sense::PARAMETER_LIST_LENGTH);
    assert_eq!(select(&mut world, &good[..8]).fault(), Sense::PARAMETER_LIST_LENGTH);
    let odd = select(&mut world, &with(12 + 2, good[14] | 0x20));
    let field = Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(14, 5);
    assert_eq!(odd.sense, Some(field), "TST cannot be changed");
    assert_eq!(select(&mut world, &with(12 + 3, 0x14)).fault(), field_of_list(), "QERR 10b");
    assert_eq!(select(&mut world, &with(9, 1)).fault(), field_of_list(), "another block length");
    assert_eq!(select(&mut world, &with(12, 0x02)).fault(), field_of_list(), "no such page");
    let unsaved = world.run(nexus, &[0x15, 0x11, 0, 0, 4, 0], &good[..4]);
    assert_eq!(unsaved.fault(), Sense::INVALID_FIELD_IN_CDB);
}

const fn field_of_list() -> Sense {
    Sense::INVALID_FIELD_IN_PARAMETER_LIST
}

#[test]
fn prevention_holds_the_medium_where_it_is() {
    let mut world = World::removable();
    let (one, two) = (world.nexus(1), world.nexus(2));
    let (eject, load) = ([0x1b, 0, 0, 0, 2, 0], [0x1b, 0, 0, 0, 3, 0]);
    let (prevent, allow) = ([0x1e, 0, 0, 0, 1, 0], [0x1e, 0, 0, 0, 0, 0]);
    assert_eq!(world.run(one, &prevent, &[]).status, Some(Status::Good));
    assert_eq!(world.run(two, &eject, &[]).fault(), Sense::MEDIUM_REMOVAL_PREVENTED);
    world.target.lose(&mut world.env, one);
    assert_eq!(world.run(two, &eject, &[]).status, Some(Status::Good));
    assert_eq!(world.run(two, &[0; 6], &[]).fault(), Sense::MEDIUM_NOT_PRESENT);
    world.run(two, &prevent, &[]).good();
    assert_eq!(world.run(two, &load, &[]).fault(), Sense::MEDIUM_REMOVAL_PREVENTED);
    world.run(two, &allow, &[]).good();
    assert_eq!(world.run(two, &load, &[]).status, Some(Status::Good));
    assert_eq!(world.run(two, &[0; 6], &[]).status, Some(Status::Good));
}
