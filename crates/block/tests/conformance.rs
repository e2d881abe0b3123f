//! Every device of this crate passes the suite, and devices with planted bugs do not.

use block::conformance::{self, Fault, Promises, Setting};
use block::device::{Crypt, Delay, Error, File, Geometry, Keeping, Key, Latencies, Null, Partition, Ram};
use block::{BlockDevice, Identity, Volume};
use core::time::Duration;
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, OpenFile, Owner};
use stdx::testing::TestEnv;

/// A world and how to make a device in it.
struct Bench<F> {
    world: TestEnv,
    promises: Promises,
    make: F,
    /// How to make it again after a crash, if it survives one.
    again: Option<Make>,
}

type Make = fn(&mut TestEnv) -> Rc<dyn BlockDevice>;

impl<F: FnMut(&mut TestEnv) -> Rc<dyn BlockDevice>> Setting for Bench<F> {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.world
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        (self.make)(&mut self.world)
    }

    fn promises(&self) -> Promises {
        self.promises
    }

    fn crash(&mut self, device: Rc<dyn BlockDevice>) -> Option<Rc<dyn BlockDevice>> {
        let again = self.again?;
        device.close(&mut self.world);
        self.world.files.cut_power();
        Some(again(&mut self.world))
    }
}

const BARE: Promises = Promises { keeps: true, grows: true, composes: false };

/// Runs the suite over a few seeds.
fn examine(promises: Promises, make: impl Fn(&mut TestEnv) -> Rc<dyn BlockDevice>) -> Result<(), Fault> {
    (0..SEEDS).try_for_each(|seed| {
        let world = TestEnv::seeded(seed, 256 << 20);
        conformance::run(&mut Bench { world, promises, make: &make, again: None }, seed)
    })
}

/// Runs the suite over a few seeds with a volume in a file, in worlds that `prepare` makes special and that lose power.
fn examine_stable(promises: Promises, prepare: fn(&mut TestEnv), open: Make) -> Result<(), Fault> {
    (0..SEEDS).try_for_each(|seed| {
        let mut world = TestEnv::seeded(seed, 256 << 20);
        prepare(&mut world);
        let make = |world: &mut TestEnv| {
            world.files.remove("volume");
            open(world)
        };
        conformance::run(&mut Bench { world, promises, make, again: Some(open) }, seed)
    })
}

fn examine_file(prepare: fn(&mut TestEnv), open: Make) -> Result<(), Fault> {
    examine_stable(BARE, prepare, open)
}

fn open_file(world: &mut TestEnv, block_size: u32, direct: bool) -> Rc<dyn BlockDevice> {
    let create = Some(1000 * u64::from(block_size) + 100);
    let open = OpenFile { direct, create, ..OpenFile::existing(Path::new("volume")) };
    Rc::new(File::open(world, Owner(7), &open, Some(block_size)).unwrap())
}

const SEEDS: u64 = 5;

fn geometry(block_size: u32) -> Geometry {
    Geometry::new(block_size, 3000).unwrap()
}

#[test]
fn ram() {
    for size in [512, 4096] {
        examine(BARE, |world| Rc::new(Ram::new(world, geometry(size)).unwrap())).unwrap();
    }
}

#[test]
fn null() {
    for size in [512, 4096] {
        examine(Promises { keeps: false, ..BARE }, |_| Rc::new(Null::new(geometry(size)))).unwrap();
    }
}

#[test]
fn volume() {
    for size in [512, 4096] {
        examine(Promises { composes: true, ..BARE }, |world| {
            let ram = Ram::new(world, geometry(size)).unwrap();
            Rc::new(Volume::new(Rc::new(ram), Identity::default()))
        })
        .unwrap();
    }
}

#[test]
fn delay() {
    let latencies = Latencies {
        read_average: Duration::from_micros(100),
        read_p99: Duration::from_millis(2),
        write_average: Duration::ZERO,
        write_p99: Duration::from_millis(1),
    };
    examine(BARE, |world| {
        let ram = Ram::new(world, geometry(512)).unwrap();
        Rc::new(Delay::new(Rc::new(ram), latencies, 3))
    })
    .unwrap();
}

fn encrypted(base: Rc<dyn BlockDevice>) -> Crypt {
    Crypt::new(base, &Key::new(&[1; 32], &[2; 32]).unwrap(), Keeping::Nobody)
}

#[test]
fn crypt() {
    for size in [512, 4096] {
        examine(BARE, |world| Rc::new(encrypted(Rc::new(Ram::new(world, geometry(size)).unwrap())))).unwrap();
        examine(BARE, |world| {
            let ram = Rc::new(Ram::new(world, geometry(size)).unwrap());
            let volume = Volume::new(ram, Identity::default());
            Rc::new(encrypted(Rc::new(volume)))
        })
        .unwrap();
    }
}

#[test]
fn crypt_on_a_file() {
    examine_file(|_| (), |world| Rc::new(encrypted(open_file(world, 512, false)))).unwrap();
    let narrow = |world: &mut TestEnv| world.files.under_way_max = 2;
    examine_file(narrow, |world| Rc::new(encrypted(open_file(world, 4096, false)))).unwrap();
    let direct = |world: &mut TestEnv| world.files.alignment = 4096;
    examine_file(direct, |world| Rc::new(encrypted(open_file(world, 4096, true)))).unwrap();
}

#[test]
fn volume_on_a_slow_crypt() {
    examine(Promises { composes: true, ..BARE }, |world| {
        let ram = Rc::new(Ram::new(world, geometry(512)).unwrap());
        let latencies = Latencies { write_p99: Duration::from_millis(1), ..Latencies::default() };
        let crypt = encrypted(Rc::new(Delay::new(ram, latencies, 5)));
        Rc::new(Volume::new(Rc::new(crypt), Identity::default()))
    })
    .unwrap();
}

#[test]
fn error() {
    examine(BARE, |world| Rc::new(Error::new(Rc::new(Ram::new(world, geometry(512)).unwrap())))).unwrap();
}

#[test]
fn partition() {
    examine(BARE, |world| {
        let ram = Rc::new(Ram::new(world, Geometry::new(512, 1200).unwrap()).unwrap());
        Rc::new(Partition::new(ram, 23, 1000).unwrap())
    })
    .unwrap();
}

#[test]
fn partition_of_a_claimed_volume() {
    examine(Promises { composes: true, ..BARE }, |world| {
        let ram = Rc::new(Ram::new(world, Geometry::new(512, 1500).unwrap()).unwrap());
        let claim = Rc::new(Volume::new(ram, Identity::default())).claim("a partition").unwrap();
        Rc::new(Partition::new(Rc::new(claim), 23, 1300).unwrap())
    })
    .unwrap();
}

#[test]
fn volume_on_a_partition_of_a_slow_file() {
    let promises = Promises { composes: true, ..BARE };
    examine_stable(
        promises,
        |_| (),
        |world| {
            let file = open_file(world, 512, false);
            let latencies = Latencies { read_p99: Duration::from_millis(1), ..Latencies::default() };
            let delay = Rc::new(Delay::new(file, latencies, 1));
            let partition = Partition::new(delay, 7, 800).unwrap();
            Rc::new(Volume::new(Rc::new(partition), Identity::default()))
        },
    )
    .unwrap();
}

#[test]
fn file() {
    examine_file(|_| (), |world| open_file(world, 512, false)).unwrap();
    examine_file(|_| (), |world| open_file(world, 4096, false)).unwrap();
}

#[test]
fn file_past_the_page_cache() {
    examine_file(|world| world.files.alignment = 4096, |world| open_file(world, 4096, true)).unwrap();
    examine_file(|world| world.files.alignment = 512, |world| open_file(world, 512, true)).unwrap();
}

#[test]
fn file_that_cannot_punch() {
    examine_file(|world| world.files.can_punch = false, |world| open_file(world, 512, false)).unwrap();
}

#[test]
fn file_in_a_narrow_world() {
    examine_file(|world| world.files.under_way_max = 2, |world| open_file(world, 512, false)).unwrap();
}

#[test]
fn a_disk_that_lies_about_sync_is_found() {
    let found = examine_file(|world| world.files.sync_lies = true, |world| open_file(world, 512, false));
    assert!(matches!(found, Err(Fault::Lost { .. })), "{found:?}");
}
