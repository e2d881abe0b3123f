//! Recognising commands, and reading and writing.

use super::world::World;
use crate::target::{Transfer, UnitConfig};
use block::device::Geometry;
use block::{BlockDevice, Identity, Volume};
use std::rc::Rc;
use wire::scsi::Sense;

const TEST_UNIT_READY: [u8; 6] = [0; 6];

#[test]
fn a_new_nexus_is_told_of_its_power_on_once() {
    let mut world = World::new();
    let nexus = world.new_nexus(1, 1);
    assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).fault(), Sense::POWER_ON);
    world.run(nexus, &TEST_UNIT_READY, &[]).good();
}

#[test]
fn capacity_is_the_volumes() {
    let mut world = World::with_blocks(4096, 1000);
    let nexus = world.nexus(1);
    let short = world.run(nexus, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).good();
    assert_eq!(short, [0, 0, 3, 0xe7, 0, 0, 0x10, 0]);
    let long = world.run(nexus, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[]).good();
    assert_eq!(long[..16], [0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 0x10, 0, 0, 0, 0xc0, 0]);
    assert_eq!(long.len(), 32);
    let cut = world.run(nexus, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], &[]).good();
    assert_eq!(cut, long[..8]);
}

#[test]
fn physical_blocks_are_told() {
    let geometry = Geometry::new(512, 1 << 10).unwrap().with_physical(Some(8192)).unwrap();
    let mut world = World::of(geometry);
    let nexus = world.nexus(1);
    let capacity = world.run(nexus, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[]).good();
    assert_eq!(capacity[8..16], [0, 0, 2, 0, 0, 4, 0xc0, 0]);
    let limits = world.run(nexus, &[0x12, 1, 0xb0, 0, 64, 0], &[]).good();
    assert_eq!((&limits[6..8], &limits[28..32]), (&[0, 16][..], &[0, 0, 0, 16][..]));
}

#[test]
fn what_is_written_is_read_in_every_size_of_cdb() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let writes: [&[u8]; 4] = [
        &[0x0a, 0, 0, 8, 2, 0],
        &[0x2a, 0x08, 0, 0, 0, 10, 0, 0, 2, 0],
        &[0xaa, 0, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0],
        &[0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 2, 0, 0],
    ];
    for (place, cdb) in writes.into_iter().enumerate() {
        let data = [place as u8 + 1; 1024];
        assert_eq!(world.begin(nexus, cdb, 1024).transfer, Transfer::Out { len: 1024 });
        world.run(nexus, cdb, &data).good();
    }
    let expected: Vec<u8> = (1..=4).flat_map(|byte| [byte; 1024]).collect();
    let reads: [&[u8]; 4] = [
        &[0x08, 0, 0, 8, 8, 0],
        &[0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0],
        &[0xa8, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
        &[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    ];
    for cdb in reads {
        assert_eq!(world.begin(nexus, cdb, 0).transfer, Transfer::In { len: 4096, lent: true });
        assert_eq!(world.run(nexus, cdb, &[]).good(), expected);
    }
}

#[test]
fn ranges_lie_on_the_volume() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    world.run(nexus, &[0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 1, 0], &[]).good();
    for cdb in [
        [0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0],
        [0x28, 0, 0, 0, 0x10, 0, 0, 0, 0, 0],
        [0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0],
    ] {
        assert_eq!(world.run(nexus, &cdb, &[]).fault(), Sense::LBA_OUT_OF_RANGE);
    }
    assert_eq!(
        world.run(nexus, &[0x2a, 0, 0, 0, 0x10, 0, 0, 0, 1, 0], &[0; 512]).fault(),
        Sense::LBA_OUT_OF_RANGE
    );
}

#[test]
fn a_write_writes_the_bytes_that_were_offered() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    assert_eq!(world.run(nexus, &read, &[]).good(), [0; 1024]);
    world.run(nexus, &write, &[]).good();
    world.run(nexus, &write, &[1; 512]).good();
    assert_eq!(world.run(nexus, &read, &[]).good(), [[1; 512], [0; 512]].concat());
    world.run(nexus, &write, &[2; 712]).good();
    let expected = [&[2; 712][..], &[0; 312]].concat();
    assert_eq!(world.run(nexus, &read, &[]).good(), expected);
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

#[test]
fn unknown_commands_and_reserved_bits_are_refused() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let unknown = world.run(nexus, &[0xc0, 0, 0, 0, 0, 0], &[]);
    assert_eq!(unknown.sense, Some(Sense::INVALID_OPERATION_CODE.at_cdb_byte(0)));
    let protected = world.run(nexus, &[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0], &[]);
    assert_eq!(protected.sense, Some(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 5)));
    assert_eq!(world.run_at(nexus, 9, &TEST_UNIT_READY, &[]).fault(), Sense::LOGICAL_UNIT_NOT_SUPPORTED);
}

#[test]
fn a_volume_that_grew_says_so() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let ram = world.ram.clone();
    ram.resize(&mut world.env, 5000).unwrap();
    world.target.unit_changed(world.device, 0).unwrap();
    assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).fault(), Sense::CAPACITY_DATA_CHANGED);
    assert_eq!(world.run(nexus, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).good()[..4], 4999u32.to_be_bytes());
}

#[test]
fn logical_units_come_and_go() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let lun = world.add_ram(100, 2);
    assert_eq!(lun, 1);
    assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).fault(), Sense::REPORTED_LUNS_CHANGED);
    world.run(nexus, &TEST_UNIT_READY, &[]).good();
    let open = world.begin(nexus, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512);
    world.target.remove_unit(&mut world.env, world.device, 0).unwrap();
    assert_eq!(world.answer(open).unwrap().fault(), Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).fault(), Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    assert_eq!(world.run_at(nexus, 1, &TEST_UNIT_READY, &[]).fault(), Sense::REPORTED_LUNS_CHANGED);
}

#[test]
fn a_device_that_goes_takes_its_nexuses() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let volume = Rc::new(Volume::new(world.ram.clone(), Identity([9; 16])));
    let channel = volume.open();
    let config = UnitConfig { lun: Some(5), ..UnitConfig::default() };
    assert_eq!(world.target.add_unit(world.device, config, volume, channel), Ok(5));
    world.target.remove_device(&mut world.env, world.device).unwrap();
    assert_eq!(crate::target::Executor::poll_lost(&mut world.target), Some(nexus));
    crate::target::Executor::lose(&mut world.target, &mut world.env, nexus);
    world.target.check();
    assert_eq!(world.run(nexus, &TEST_UNIT_READY, &[]).status, None);
}
