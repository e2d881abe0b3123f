//! Every device of this crate passes the suite.

mod common;

use block::conformance::{self, Promises, Setting};
use block::device::{Geometry, Null, Ram};
use block::{BlockDevice, Identity, Volume, conformance::Fault};
use common::World;
use std::rc::Rc;
use stdx::env::Env;

/// A world and how to make a device in it.
struct Bench<F> {
    world: World,
    promises: Promises,
    make: F,
}

impl<F: FnMut(&mut World) -> Rc<dyn BlockDevice>> Setting for Bench<F> {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.world
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        (self.make)(&mut self.world)
    }

    fn promises(&self) -> Promises {
        self.promises
    }
}

const BARE: Promises = Promises { keeps: true, grows: true, composes: false };

/// Runs the suite over a few seeds.
fn examine(promises: Promises, make: impl Fn(&mut World) -> Rc<dyn BlockDevice>) -> Result<(), Fault> {
    (0..SEEDS).try_for_each(|seed| {
        conformance::run(&mut Bench { world: World::new(seed), promises, make: &make }, seed)
    })
}

const SEEDS: u64 = 5;

fn geometry(block_size: u32) -> Geometry {
    Geometry::new(block_size, 1000).unwrap()
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
    examine(Promises { composes: true, ..BARE }, |world| {
        let ram = Ram::new(world, geometry(512)).unwrap();
        Rc::new(Volume::new(Rc::new(ram), Identity::default()))
    })
    .unwrap();
}
