//! EXTENDED COPY within and between logical units, and what is told of it.

use super::world::World;
use crate::target::{Executor, NexusKey};
use wire::scsi::copy::{
    BlockToBlock, CopyFailureHeader, CopyListHeader, CopyProgress, CopyStatus, ListIdUsage,
    OperatingParameters, TargetDescriptor,
};
use wire::scsi::inquiry::{Designator, DesignatorKind, Designators};
use wire::scsi::{Sense, Status};
use zerocopy::IntoBytes;

const GOOD: Option<Status> = Some(Status::Good);

fn naa(world: &mut World, nexus: NexusKey, lun: u16) -> Vec<u8> {
    let page = world.run_at(nexus, lun, &[0x12, 1, 0x83, 4, 0, 0], &[]).good();
    let mut names = Designators(&page[4..]);
    names.find(|name| name.kind == DesignatorKind::Naa).unwrap().identifier.to_vec()
}

fn list(world: &mut World, nexus: NexusKey, luns: &[u16], segments: &[BlockToBlock]) -> Vec<u8> {
    let header = CopyListHeader::new(1, ListIdUsage::Hold, luns.len(), segments.len());
    let mut list = header.as_bytes().to_vec();
    for &lun in luns {
        let naa = naa(world, nexus, lun);
        let name = Designator::of_unit(wire::scsi::inquiry::CodeSet::Binary, DesignatorKind::Naa, &naa);
        list.extend(TargetDescriptor::new(&name, 512).unwrap().as_bytes());
    }
    segments.iter().for_each(|segment| list.extend(segment.as_bytes()));
    list
}

fn copy_cdb(len: usize) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = 0x83;
    cdb[12..14].copy_from_slice(&(len as u16).to_be_bytes());
    cdb
}

fn status(world: &mut World, nexus: NexusKey) -> super::world::Answer {
    world.run(nexus, &[0x84, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], &[])
}

fn write(world: &mut World, nexus: NexusKey, lun: u16, lba: u8, blocks: u8, value: u8) {
    let cdb = [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0];
    let data = vec![value; usize::from(blocks) * 512];
    assert_eq!(world.run_at(nexus, lun, &cdb, &data).status, GOOD);
}

fn read(world: &mut World, nexus: NexusKey, lun: u16, lba: u8, blocks: u8) -> Vec<u8> {
    world.run_at(nexus, lun, &[0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0], &[]).good()
}

#[test]
fn segments_are_copied_in_order() {
    let mut world = World::new();
    let lun = world.add_ram(64, 2);
    let nexus = world.nexus(1);
    world.run_at(nexus, lun, &[0; 6], &[]);
    write(&mut world, nexus, 0, 3, 4, 7);
    let segments = [
        BlockToBlock::new((0, 3), (1, 10), 4),
        BlockToBlock::new((1, 10), (1, 12), 2),
        BlockToBlock::new((1, 0), (1, 0), 0),
        BlockToBlock::new((1, 13), (0, 40), 1),
    ];
    let list = list(&mut world, nexus, &[0, lun], &segments);
    let answer = world.run(nexus, &copy_cdb(list.len()), &list);
    assert_eq!((answer.status, answer.sense), (GOOD, None));
    assert_eq!(read(&mut world, nexus, lun, 10, 4), vec![7; 4 * 512]);
    assert_eq!(read(&mut world, nexus, lun, 14, 1), vec![0; 512]);
    assert_eq!(read(&mut world, nexus, 0, 40, 2), [vec![7; 512], vec![0; 512]].concat());
    let told = status(&mut world, nexus).good();
    assert_eq!(*CopyStatus::view(&told).unwrap(), CopyStatus::new(CopyProgress::Completed, 4, 7 * 512));
    assert_eq!(status(&mut world, nexus).fault(), Sense::INVALID_FIELD_IN_CDB, "it was told");
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

#[test]
fn long_copies_go_in_pieces() {
    let mut world = World::with_blocks(512, 16_384);
    let lun = world.add_ram(16_384, 2);
    let nexus = world.nexus(1);
    world.run_at(nexus, lun, &[0; 6], &[]);
    write(&mut world, nexus, 0, 255, 1, 9);
    let segments = [BlockToBlock::new((0, 0), (1, 0), 16_384)];
    let list = list(&mut world, nexus, &[0, lun], &segments);
    assert_eq!(world.run(nexus, &copy_cdb(list.len()), &list).status, GOOD);
    assert_eq!(read(&mut world, nexus, lun, 254, 3), [vec![0; 512], vec![9; 512], vec![0; 512]].concat());
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

#[test]
fn what_cannot_be_copied_is_told() {
    let mut world = World::new();
    let lun = world.add_ram(64, 2);
    let (nexus, other) = (world.nexus(1), world.nexus(2));
    let luns = [0, lun];
    let run = |world: &mut World, segment| {
        let list = list(world, nexus, &luns, &[BlockToBlock::new((0, 0), (0, 9), 1), segment]);
        world.run(nexus, &copy_cdb(list.len()), &list)
    };
    let answer = run(&mut world, BlockToBlock::new((0, 0), (2, 0), 1));
    assert_eq!(answer.fault(), Sense::UNREACHABLE_COPY_TARGET);
    let told = status(&mut world, nexus).good();
    assert_eq!(*CopyStatus::view(&told).unwrap(), CopyStatus::new(CopyProgress::Failed, 1, 512));
    let details = [0x84, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let why = world.run(nexus, &details, &[]).good();
    let header = CopyFailureHeader::view(&why).unwrap();
    assert_eq!(header.status, Status::CheckCondition as u8);
    assert_eq!(why.len(), CopyFailureHeader::LEN + usize::from(header.sense_len.get()));
    assert_eq!((why[62] & 0x0f, why[72], why[73]), (0x0a, 0x08, 0x04), "copy aborted, unreachable target");
    assert_eq!(world.run(nexus, &details, &[]).fault(), Sense::INVALID_FIELD_IN_CDB, "it was told");
    let answer = run(&mut world, BlockToBlock::new((0, 0), (1, 64), 1));
    assert_eq!(answer.fault(), Sense::COPY_ABORTED);
    world.run_at(other, lun, &[0; 6], &[]);
    assert_eq!(world.run_at(other, lun, &[0x16, 0, 0, 0, 0, 0], &[]).status, GOOD);
    let answer = run(&mut world, BlockToBlock::new((0, 0), (1, 0), 1));
    assert_eq!(answer.fault(), Sense::THIRD_PARTY_DEVICE_FAILURE, "another nexus has it");
    let mut unknown = list(&mut world, nexus, &[0], &[BlockToBlock::new((0, 0), (0, 9), 1)]);
    unknown[16 + 8 + 3] ^= 1;
    let answer = world.run(nexus, &copy_cdb(unknown.len()), &unknown);
    assert_eq!(answer.fault(), Sense::COPY_TARGET_NOT_REACHABLE);
    assert_eq!(world.run(nexus, &copy_cdb(0), &[]).status, GOOD, "an empty list copies nothing");
    assert_eq!(world.run(nexus, &copy_cdb(15), &unknown[..15]).fault(), Sense::PARAMETER_LIST_LENGTH);
}

#[test]
fn a_copy_ends_with_its_nexus() {
    let mut world = World::new();
    let lun = world.add_ram(64, 2);
    let nexus = world.nexus(1);
    let list = list(&mut world, nexus, &[0, lun], &[BlockToBlock::new((0, 0), (1, 0), 64)]);
    let opened = world.begin(nexus, &copy_cdb(list.len()), list.len());
    world.submit(opened, &list);
    world.target.lose(&mut world.env, nexus);
    assert_eq!(world.answer(opened).unwrap().status, None);
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

#[test]
fn the_copy_manager_tells_what_it_takes() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let data = world.run(nexus, &[0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[]).good();
    let parameters = OperatingParameters::view(&data).unwrap();
    assert_eq!((parameters.targets_max.get(), parameters.segments_max.get()), (16, 64));
}
