//! In steady state a request over iSER allocates nothing in the initiator.

mod fabric;
mod world;

use block::{BlockDevice, Channel, Io, Op, Status};
use fabric::{Fabric, io, options};
use scsi::iscsi::initiator::InitiatorOptions;
use stdx::mem::CountingAllocator;
use verbs::Provider;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A round of requests, and how often the initiator allocated for them; what the device, the target and the test do is not
/// counted.
fn round(fabric: &mut Fabric, channel: &mut dyn Channel, ios: &[Io]) -> u64 {
    let mut done = Vec::with_capacity(ios.len());
    let mut allocations = 0;
    let mut counted = |fabric: &mut Fabric, act: &mut dyn FnMut(&mut Fabric)| {
        let before = CountingAllocator::allocations();
        act(fabric);
        allocations += CountingAllocator::allocations() - before;
    };
    counted(fabric, &mut |fabric| {
        ios.iter().for_each(|io| channel.submit(&mut fabric.world.env, *io).expect("room"));
    });
    for _ in 0..20 {
        fabric.device.turn(&mut fabric.world.env);
        fabric.dispatch();
        counted(fabric, &mut |fabric| {
            let initiator = fabric.initiator.as_ref().expect("connected");
            initiator.drive(&mut fabric.world.env, &mut fabric.device);
            channel.poll(&mut fabric.world.env, &mut done);
        });
        fabric.turn_target();
    }
    assert_eq!(done.iter().filter(|done| done.status == Status::Ok).count(), ios.len());
    allocations
}

#[test]
fn nothing_is_allocated_for_a_request() {
    let mut fabric = Fabric::connected(InitiatorOptions { commands_max: 64, ..options() });
    let mut channel = fabric.disk().open();
    let mut ios = Vec::new();
    for tag in 0..24 {
        // What goes along, what is fetched, and what is brought.
        let (op, len) = [(Op::Write, 4096), (Op::Write, 16 << 10), (Op::Read, 8192)][tag as usize % 3];
        let data = fabric.memory(len, tag as u8);
        ios.push(io(tag, op, tag * 64, data));
    }
    // Tables grow to the load first.
    let _: u64 = (0..40).map(|_| round(&mut fabric, channel.as_mut(), &ios)).sum();
    let allocations: u64 = (0..10).map(|_| round(&mut fabric, channel.as_mut(), &ios)).sum();
    assert_eq!(allocations, 0, "for {} requests", 10 * ios.len());
}
