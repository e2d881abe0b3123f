//! In steady state the SRP initiator allocates nothing for a request, and neither does the target with its RAM volume.

mod srp_pair;

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use core::time::Duration;
use scsi::srp::initiator::InitiatorOptions;
use srp_pair::{World, io, options};
use stdx::env::Env;
use stdx::mem::CountingAllocator;
use verbs::Provider;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Submits all and waits for their ends; says how often the two ends allocated. What the device does is not counted.
fn round(world: &mut World, channel: &mut dyn Channel, ios: &[Io], done: &mut Vec<Done>) -> u64 {
    let mut allocations = 0;
    let mut counted = |act: &mut dyn FnMut()| {
        let before = CountingAllocator::allocations();
        act();
        allocations += CountingAllocator::allocations() - before;
    };
    counted(&mut || {
        for io in ios {
            channel.submit(&mut world.env, *io).unwrap();
        }
    });
    for _ in 0..60 {
        world.device.turn(&mut world.env);
        counted(&mut || world.turn_ends());
        counted(&mut || channel.poll(&mut world.env, done));
    }
    assert_eq!(done.len(), ios.len());
    assert!(done.drain(..).all(|done| done.status == Status::Ok));
    allocations
}

#[test]
fn nothing_is_allocated_for_a_request() {
    let quiet = InitiatorOptions { watch_interval: Duration::ZERO, ..options() };
    for options in [quiet.clone(), InitiatorOptions { immediate_max: 0, piece_max: Some(4096), ..quiet }] {
        let mut world = World::connected(options);
        let mut channel = world.disk().open();
        let mut ios = Vec::new();
        for tag in 0..30 {
            let len = if tag % 3 == 0 { 16 << 10 } else { 4096 };
            let data = world.env.mem().take(len).unwrap();
            let op = if tag % 2 == 0 { Op::Read } else { Op::Write };
            ios.push(io(tag, op, tag * 32, data));
        }
        let mut done = Vec::with_capacity(64);
        // Tables grow to the load first, and each place of the device's queues to a message.
        for _ in 0..400 {
            round(&mut world, channel.as_mut(), &ios, &mut done);
        }
        let allocations: u64 = (0..10).map(|_| round(&mut world, channel.as_mut(), &ios, &mut done)).sum();
        assert_eq!(allocations, 0, "allocations for 300 requests");
    }
}
