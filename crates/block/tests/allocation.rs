//! In steady state a request allocates nothing.

use block::device::{Crypt, File, Geometry, Keeping, Key, Ram};
use block::{BlockDevice, Done, Identity, Io, Op, Status, Volume};
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, OpenFile, Owner};
use stdx::mem::{CountingAllocator, Span};
use stdx::testing::TestEnv;

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

/// How often the device allocates in a thousand requests of each kind, after a hundred to warm up. What the world does is
/// not counted.
fn allocations(world: &mut TestEnv, device: &dyn BlockDevice, ops: &[Op]) -> u64 {
    let mut channel = device.open();
    let (data, expected) = (world.mem().take(4096).unwrap(), world.mem().take(4096).unwrap());
    world.mem().fill(data, 0);
    world.mem().fill(expected, 0);
    let (mut done, mut events): (Vec<Done>, _) = (Vec::with_capacity(16), Vec::with_capacity(16));
    let mut counted = 0;
    for round in 0..1100 {
        for &op in ops {
            let op = if let Op::CompareWrite { .. } = op { Op::CompareWrite { expected } } else { op };
            let data = if op.moves_data() { data } else { Span::EMPTY };
            let io = Io { tag: round, op, lba: round % 100, blocks: 1, fua: false, lend: false, data };
            let before = CountingAllocator::allocations();
            channel.submit(world, io).unwrap();
            channel.poll(world, &mut done);
            counted += if round < 100 { 0 } else { CountingAllocator::allocations() - before };
            while done.is_empty() {
                world.poll(&mut events, device.deadline());
                let before = CountingAllocator::allocations();
                events.drain(..).for_each(|event| device.handle_event(world, &event));
                channel.poll(world, &mut done);
                counted += if round < 100 { 0 } else { CountingAllocator::allocations() - before };
            }
            assert_eq!(done.pop().map(|done| done.status), Some(Status::Ok));
        }
    }
    counted
}

const BARE: [Op; 5] = [Op::Read, Op::Write, Op::Flush, Op::Zero { deallocate: false }, Op::Discard];

#[test]
fn ram() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let ram = Ram::new(&mut world, Geometry::new(4096, 1000).unwrap()).unwrap();
    assert_eq!(allocations(&mut world, &ram, &BARE), 0);
}

#[test]
fn volume() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let ram = Ram::new(&mut world, Geometry::new(4096, 1000).unwrap()).unwrap();
    let volume = Volume::new(Rc::new(ram), Identity::default());
    assert_eq!(allocations(&mut world, &volume, &BARE), 0);
    let made_of_others = [Op::Compare, Op::Verify, Op::Copy { from: 500 }];
    assert_eq!(allocations(&mut world, &volume, &made_of_others), 0);
}

#[test]
fn file() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let open = OpenFile { create: Some(4096 * 1000), ..OpenFile::existing(Path::new("volume")) };
    let file = File::open(&mut world, Owner(1), &open, Some(4096)).unwrap();
    assert_eq!(allocations(&mut world, &file, &BARE), 0);
}

#[test]
fn crypt() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let key = Key::new(&[1; 32], &[2; 32]).unwrap();
    let ram = Rc::new(Ram::new(&mut world, Geometry::new(4096, 1000).unwrap()).unwrap());
    let crypt = Crypt::new(ram, &key, Keeping::Nobody);
    assert_eq!(allocations(&mut world, &crypt, &BARE), 0);
    let open = OpenFile { create: Some(4096 * 1000), ..OpenFile::existing(Path::new("volume")) };
    let file = File::open(&mut world, Owner(1), &open, Some(4096)).unwrap();
    assert_eq!(allocations(&mut world, &Crypt::new(Rc::new(file), &key, Keeping::Nobody), &BARE), 0);
}

#[test]
fn the_counter_counts() {
    let before = CountingAllocator::allocations();
    let boxed = std::hint::black_box(Box::new(1));
    assert!(CountingAllocator::allocations() > before);
    drop(boxed);
}
