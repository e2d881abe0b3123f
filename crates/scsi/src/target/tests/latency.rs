//! How long commands take, counted.

use super::world::World;
use block::volume::{Histogram, HistogramConfig};
use core::time::Duration;

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const MILLISECOND: Duration = Duration::from_millis(1);

fn histogram() -> Option<Histogram> {
    let (granularity, min_ns, max_ns) = (7, 1000, 1_000_000_000);
    Histogram::new(HistogramConfig { kind: None, granularity, min_ns, max_ns })
}

/// Commands counted, and those of them that took less than half a millisecond.
fn counted(world: &World) -> Option<(u64, u64)> {
    let histogram = world.target.histogram(world.device)?;
    Some((histogram.counts().iter().sum(), histogram.below(500_000)))
}

#[test]
fn a_command_is_counted_from_its_delivery_to_its_outcome_while_that_is_asked_for() {
    let mut world = World::new();
    let nexus = world.nexus(1);
    let before = world.begin(nexus, &TEST_UNIT_READY, 0);
    let (device, counting) = (world.device, histogram());
    world.target.set_histogram(device, counting).expect("the device");
    // It was delivered before anybody wanted to know.
    world.submit(before, &[]);
    world.answer(before).expect("an answer").good();
    assert_eq!(counted(&world), Some((0, 0)));

    world.run(nexus, &TEST_UNIT_READY, &[]).good();
    let slow = world.begin(nexus, &[0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0], 512);
    world.env.now += MILLISECOND;
    world.submit(slow, &[7; 512]);
    world.answer(slow).expect("an answer").good();
    assert_eq!(counted(&world), Some((2, 1)));

    world.target.set_histogram(device, None).expect("the device");
    world.run(nexus, &TEST_UNIT_READY, &[]).good();
    assert_eq!(counted(&world), None);
}

#[test]
fn what_a_lost_nexus_asked_for_is_not_counted() {
    let mut world = World::new();
    let (lost, device) = (world.nexus(1), world.device);
    world.target.set_histogram(device, histogram()).expect("the device");
    world.begin(lost, &TEST_UNIT_READY, 0);
    crate::target::Executor::lose(&mut world.target, &mut world.env, lost);
    world.settle();
    assert_eq!(counted(&world), Some((0, 0)));
}
