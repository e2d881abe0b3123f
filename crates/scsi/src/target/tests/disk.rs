//! The commands of disks, beyond reading and writing.

use super::world::World;
use crate::target::{NexusKey, TaskAttribute, Transfer};
use block::device::{Crypt, Geometry, Keeping, Key, Ram};
use std::rc::Rc;
use wire::scsi::{Sense, Status};

/// A READ (10).
fn read(world: &mut World, nexus: NexusKey, lba: u8, blocks: u8) -> Vec<u8> {
    world.run(nexus, &[0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0], &[]).good()
}

/// A WRITE (10).
fn write(world: &mut World, nexus: NexusKey, lba: u8, data: &[u8]) {
    world.run(nexus, &[0x2a, 0, 0, 0, 0, lba, 0, 0, (data.len() / 512) as u8, 0], data).good();
}

#[test]
fn verify_compares_what_it_is_asked_to() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    write(&mut world, nexus, 0, &[1; 2048]);
    world.run(nexus, &[0x2f, 0, 0, 0, 0, 0, 0, 0, 4, 0], &[]).good();
    world.run(nexus, &[0x2f, 2, 0, 0, 0, 0, 0, 0, 4, 0], &[1; 2048]).good();
    world.run(nexus, &[0x2f, 6, 0, 0, 0, 0, 0, 0, 4, 0], &[1; 512]).good();
    let mut other = [1; 2048];
    other[1500] = 2;
    let differs = world.run(nexus, &[0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0], &other);
    assert_eq!(differs.sense, Some(Sense::MISCOMPARE_DURING_VERIFY.with_information(1500)));
    let reserved = world.run(nexus, &[0x2f, 4, 0, 0, 0, 0, 0, 0, 4, 0], &[1; 2048]);
    assert_eq!(reserved.fault(), Sense::INVALID_FIELD_IN_CDB);
}

#[test]
fn each_block_is_compared_with_the_one() {
    let mut world = World::with_blocks(4096, 1000);
    let nexus = world.nexus(1);
    let fill = [0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    world.run(nexus, &fill, &[7; 4096]).good();
    let verify = [0x8f, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    world.run(nexus, &verify, &[7; 4096]).good();
    world.run(nexus, &[0x2a, 0, 0, 0, 0, 200, 0, 0, 1, 0], &[8; 4096]).good();
    let differs = world.run(nexus, &verify, &[7; 4096]);
    assert_eq!(differs.sense, Some(Sense::MISCOMPARE_DURING_VERIFY.with_information(200 * 4096)));
    assert_eq!(world.env.memory.buffers_taken(), 0, "the pattern was given back");
}

#[test]
fn write_and_verify_writes() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    world.run(nexus, &[0x2e, 0, 0, 0, 0, 3, 0, 0, 1, 0], &[3; 512]).good();
    world.run(nexus, &[0x2e, 2, 0, 0, 0, 4, 0, 0, 1, 0], &[4; 512]).good();
    assert_eq!(read(&mut world, nexus, 3, 2), [[3; 512], [4; 512]].concat());
}

#[test]
fn write_same_repeats_and_unmaps() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let write_same = [0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0];
    world.run(nexus, &write_same, &[9; 512]).good();
    assert_eq!(read(&mut world, nexus, 99, 2), [[9; 512], [0; 512]].concat());
    let unmap = [0x41, 8, 0, 0, 0, 8, 0, 0, 8, 0];
    world.run(nexus, &unmap, &[9; 512]).good();
    assert_eq!(read(&mut world, nexus, 8, 8), [0; 4096]);
    let no_data = [0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0];
    assert_eq!(world.begin(nexus, &no_data, 0).transfer, Transfer::None);
    world.run(nexus, &no_data, &[]).good();
    assert_eq!(read(&mut world, nexus, 1, 2), [[0; 512], [9; 512]].concat());
    world.run(nexus, &[0x41, 0x18, 0, 0, 0, 8, 0, 0, 8, 0], &[9; 512]).good();
    assert_eq!(read(&mut world, nexus, 8, 8), [0; 4096]);
    let anchor = world.run(nexus, &[0x41, 0x10, 0, 0, 0, 8, 0, 0, 8, 0], &[0; 512]);
    assert_eq!(anchor.sense, Some(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4)));
    // No blocks stand for all of them to the end.
    world.run(nexus, &[0x41, 0, 0, 0, 0x0f, 0xfe, 0, 0, 0, 0], &[5; 512]).good();
    assert_eq!(world.run(nexus, &[0x28, 0, 0, 0, 0x0f, 0xfd, 0, 0, 3, 0], &[]).good()[511..514], [0, 5, 5]);
    let short = world.run(nexus, &write_same, &[9; 256]);
    assert_eq!(short.fault(), Sense::INVALID_FIELD_IN_INFORMATION_UNIT);
    let long = world.run(nexus, &write_same, &[9; 1024]);
    assert_eq!(long.fault(), Sense::INVALID_FIELD_IN_INFORMATION_UNIT);
}

/// An UNMAP parameter list.
fn unmap_list(ranges: &[(u64, u32)]) -> Vec<u8> {
    let mut list = ((6 + 16 * ranges.len()) as u16).to_be_bytes().to_vec();
    list.extend_from_slice(&((16 * ranges.len()) as u16).to_be_bytes());
    list.extend_from_slice(&[0; 4]);
    for (lba, blocks) in ranges {
        list.extend_from_slice(&lba.to_be_bytes());
        list.extend_from_slice(&blocks.to_be_bytes());
        list.extend_from_slice(&[0; 4]);
    }
    list
}

fn unmap(world: &mut World, nexus: NexusKey, ranges: &[(u64, u32)]) -> super::world::Answer {
    let list = unmap_list(ranges);
    let [high, low] = (list.len() as u16).to_be_bytes();
    world.run(nexus, &[0x42, 0, 0, 0, 0, 0, 0, high, low, 0], &list)
}

#[test]
fn unmap_takes_all_its_ranges_or_none() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    write(&mut world, nexus, 0, &[1; 64 * 512]);
    let far = unmap(&mut world, nexus, &[(0, 1), (4090, 7)]);
    assert_eq!(far.fault(), Sense::LBA_OUT_OF_RANGE);
    assert_eq!(read(&mut world, nexus, 0, 1), [1; 512]);
    unmap(&mut world, nexus, &[(0, 1), (4096, 0), (2, 1), (8, 8)]).good();
    let expected: Vec<u8> = [0, 1, 0, 1].iter().flat_map(|byte| [*byte; 512]).collect();
    assert_eq!(read(&mut world, nexus, 0, 4), expected);
    unmap(&mut world, nexus, &[]).good();
    let many: Vec<(u64, u32)> = (0..257).map(|lba| (lba, 1)).collect();
    assert_eq!(unmap(&mut world, nexus, &many).fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    let short = world.run(nexus, &[0x42, 0, 0, 0, 0, 0, 0, 0, 4, 0], &[0; 4]);
    assert_eq!(short.fault(), Sense::PARAMETER_LIST_LENGTH);
}

#[test]
fn lba_status_tells_what_has_space() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    write(&mut world, nexus, 16, &[1; 4096]);
    let status = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0];
    let told = world.run(nexus, &status, &[]).good();
    assert_eq!(told[..4], 52u32.to_be_bytes());
    let extents: Vec<(u64, u32, u8)> = told[8..]
        .chunks(16)
        .map(|one| {
            let lba = u64::from_be_bytes(one[..8].try_into().unwrap());
            (lba, u32::from_be_bytes(one[8..12].try_into().unwrap()), one[12])
        })
        .collect();
    assert_eq!(extents, [(4, 12, 1), (16, 8, 0), (24, 4072, 1)]);
    let past = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(world.run(nexus, &past, &[]).fault(), Sense::LBA_OUT_OF_RANGE);
}

#[test]
fn compare_and_write_writes_if_equal() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let cdb = [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0];
    assert_eq!(world.begin(nexus, &cdb, 2048).transfer, Transfer::Out { len: 2048 });
    world.run(nexus, &cdb, &[[0; 1024], [6; 1024]].concat()).good();
    assert_eq!(read(&mut world, nexus, 6, 2), [6; 1024]);
    let mut expected = [6; 1024];
    expected[1023] = 0;
    let differs = world.run(nexus, &cdb, &[expected, [7; 1024]].concat());
    assert_eq!(differs.sense, Some(Sense::MISCOMPARE_DURING_VERIFY.with_information(1023)));
    assert_eq!(read(&mut world, nexus, 6, 2), [6; 1024]);
    let long = world.run(nexus, &cdb, &[6; 4096]);
    assert_eq!(long.sense, Some(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(13)));
}

#[test]
fn orwrite_sets_bits() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    write(&mut world, nexus, 5, &[0xa0; 1024]);
    world.run(nexus, &[0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0], &[0x0c; 1024]).good();
    assert_eq!(read(&mut world, nexus, 5, 2), [0xac; 1024]);
}

#[test]
fn atomic_writes_have_a_limit() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    world.run(nexus, &[0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0], &[5; 1024]).good();
    assert_eq!(read(&mut world, nexus, 5, 2), [5; 1024]);
    let boundary = world.run(nexus, &[0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0, 2, 0, 0], &[5; 1024]);
    assert_eq!(boundary.fault(), Sense::INVALID_FIELD_IN_CDB);
    let mut world = World::with_blocks(4096, 4096);
    let nexus = world.nexus(1);
    let long = world.run(nexus, &[0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 2, 1, 0, 0], &[]);
    assert_eq!(long.sense, Some(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(12)));
}

#[test]
fn caches_are_written_and_prefetched() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    for flags in [0, 2] {
        world.run(nexus, &[0x35, flags, 0, 0, 0, 0, 0, 0, 0, 0], &[]).good();
        world.run(nexus, &[0x91, flags, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0], &[]).good();
        world.run(nexus, &[0x34, flags, 0, 0, 0, 0, 0, 0, 9, 0], &[]).good();
    }
    let past = world.run(nexus, &[0x34, 0, 0, 0, 0x10, 0, 0, 0, 1, 0], &[]);
    assert_eq!(past.fault(), Sense::LBA_OUT_OF_RANGE);
}

#[test]
fn there_are_no_defects() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let short = world.run(nexus, &[0x37, 0, 0x1d, 0, 0, 0, 0, 0, 32, 0], &[]).good();
    assert_eq!(short, [0, 0x1d, 0, 0]);
    let long = world.run(nexus, &[0xb7, 0x0d, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[]).good();
    assert_eq!(long, [0, 0x0d, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_fixed_medium_stays() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    world.run(nexus, &[0x1b, 0, 0, 0, 0, 0], &[]).good();
    world.run(nexus, &[0x1b, 1, 0, 0, 1, 0], &[]).good();
    world.run(nexus, &[0; 6], &[]).good();
    let eject = world.run(nexus, &[0x1b, 0, 0, 0, 2, 0], &[]);
    assert_eq!(eject.sense, Some(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(4, 1)));
}

#[test]
fn sanitize_leaves_nothing() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    write(&mut world, nexus, 0, &[1; 8192]);
    world.run(nexus, &[0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0], &[]).good();
    assert_eq!(read(&mut world, nexus, 0, 16), [0; 8192]);
    let mut list = vec![0x82, 0, 0, 4, 0x0f, 0xf0, 0xaa, 0x55];
    world.run(nexus, &[0x48, 1, 0, 0, 0, 0, 0, 0, 8, 0], &list).good();
    let pass: Vec<u8> = [0xf0, 0x0f, 0x55, 0xaa].into_iter().cycle().take(512).collect();
    assert_eq!(read(&mut world, nexus, 200, 1), pass, "the second pass is inverted");
    list[0] = 0;
    let no_pass = world.run(nexus, &[0x48, 1, 0, 0, 0, 0, 0, 0, 8, 0], &list);
    assert_eq!(no_pass.fault(), Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    let short = world.run(nexus, &[0x48, 1, 0, 0, 0, 0, 0, 0, 4, 0], &list[..4]);
    assert_eq!(short.fault(), Sense::INVALID_FIELD_IN_CDB);
    assert_eq!(
        world.run(nexus, &[0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0], &[]).fault(),
        Sense::INVALID_FIELD_IN_CDB
    );
    world.run(nexus, &[0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0], &[]).good();
    assert_eq!(world.env.memory.buffers_taken(), 0);
}

/// A world whose LUN 1 is encrypted with a key that can be changed.
fn encrypting() -> (World, NexusKey, Rc<Crypt>) {
    let mut world = World::new();
    let key = Key::new(&[1; 32], &[2; 32]).unwrap();
    let ram = Rc::new(Ram::new(&mut world.env, Geometry::new(512, 4096).unwrap()).unwrap());
    let crypt = Rc::new(Crypt::new(ram, &key, Keeping::Owner));
    assert_eq!(world.add_device(crypt.clone(), 2), 1);
    let nexus = world.nexus(1);
    let told = world.run_at(nexus, 1, &[0; 6], &[]);
    assert_eq!(told.fault(), Sense::POWER_ON);
    world.run_at(nexus, 1, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[7; 512]).good();
    (world, nexus, crypt)
}

const READ_FIRST: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const CRYPTO_ERASE: [u8; 10] = [0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_crypto_erase_ends_when_the_new_key_is_kept() {
    let (mut world, nexus, crypt) = encrypting();
    let erase = world.begin_as(nexus, 1, TaskAttribute::Simple, &CRYPTO_ERASE, 0);
    world.submit(erase, &[]);
    assert_eq!(world.answer(erase), None, "the key is not stored");
    assert_eq!(world.run_at(nexus, 1, &[0; 6], &[]).fault(), Sense::SANITIZE_IN_PROGRESS);
    assert!(crypt.poll_new_key().is_some());
    crypt.key_stored(true);
    world.answer(erase).expect("an answer").good();
    assert_ne!(world.run_at(nexus, 1, &READ_FIRST, &[]).good(), [7; 512]);
}

#[test]
fn a_crypto_erase_whose_key_is_lost_leaves_the_medium_unusable() {
    let (mut world, nexus, crypt) = encrypting();
    for (stored, immediate) in [(false, 0), (true, 0x80)] {
        let mut cdb = CRYPTO_ERASE;
        cdb[1] |= immediate;
        let erase = world.begin_as(nexus, 1, TaskAttribute::Simple, &cdb, 0);
        world.submit(erase, &[]);
        world.settle();
        assert!(crypt.poll_new_key().is_some());
        crypt.key_stored(stored);
        match stored {
            true => drop(world.answer(erase).expect("an answer").good()),
            false => {
                assert_eq!(world.answer(erase).expect("an answer").fault(), Sense::SANITIZE_FAILED);
                assert_eq!(world.run_at(nexus, 1, &READ_FIRST, &[]).fault(), Sense::SANITIZE_FAILED);
            }
        }
    }
    world.run_at(nexus, 1, &READ_FIRST, &[]).good();
}

#[test]
fn a_unit_has_a_crypto_erase_only_if_its_volume_has() {
    let (mut world, nexus, _) = encrypting();
    assert_eq!(world.run(nexus, &CRYPTO_ERASE, &[]).fault(), Sense::INVALID_FIELD_IN_CDB);
    let one = [0xa3, 0x0c, 2, 0x48, 0, 3, 0, 0, 16, 0, 0, 0];
    let all = [0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0];
    assert_eq!((world.run(nexus, &one, &[]).good()[1], world.run_at(nexus, 1, &one, &[]).good()[1]), (1, 3));
    let (without, with) = (world.run(nexus, &all, &[]).good(), world.run_at(nexus, 1, &all, &[]).good());
    assert_eq!(with.len(), without.len() + 8);
}

#[test]
fn format_leaves_nothing() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    for (flags, list) in [(0, &[][..]), (0x18, &[0; 4]), (0x38, &[0, 0x80, 0, 0, 0, 0, 0, 0])] {
        write(&mut world, nexus, 0, &[1; 8192]);
        world.run(nexus, &[0x04, flags, 0, 0, 0, 0], list).good();
        assert_eq!(read(&mut world, nexus, 0, 16), [0; 8192]);
    }
    let refused = |world: &mut World, list: &[u8]| world.run(nexus, &[0x04, 0x10, 0, 0, 0, 0], list).fault();
    for (wrong, list) in [("protection", [1, 0, 0, 0]), ("pattern", [0, 8, 0, 0]), ("defects", [0, 0, 0, 8])]
    {
        assert_eq!(refused(&mut world, &list), Sense::INVALID_FIELD_IN_PARAMETER_LIST, "{wrong}");
    }
    assert_eq!(refused(&mut world, &[0; 2]), Sense::PARAMETER_LIST_LENGTH);
    assert_eq!(world.run(nexus, &[0x04, 1, 0, 0, 0, 0], &[]).fault(), Sense::INVALID_FIELD_IN_CDB);
}

#[test]
fn nothing_else_goes_on_while_the_medium_is_formatted() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let format = world.begin(nexus, &[0x04, 0x10, 0, 0, 0, 0], 4);
    world.submit(format, &[0, 2, 0, 0]);
    let ready = world.begin(nexus, &[0; 6], 0);
    assert_eq!(world.answer(format).unwrap().status, Some(Status::Good), "IMMED");
    assert_eq!(world.answer(ready).unwrap().fault(), Sense::FORMAT_IN_PROGRESS);
    world.run(nexus, &[0; 6], &[]).good();
}

#[test]
fn nothing_else_goes_on_while_the_medium_is_sanitized() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let sanitize = world.begin(nexus, &[0x48, 0x82, 0, 0, 0, 0, 0, 0, 0, 0], 0);
    world.submit(sanitize, &[]);
    let ready = world.begin(nexus, &[0; 6], 0);
    assert_eq!(world.answer(sanitize).unwrap().status, Some(Status::Good));
    assert_eq!(world.answer(ready).unwrap().fault(), Sense::SANITIZE_IN_PROGRESS);
    world.run(nexus, &[0; 6], &[]).good();
}
