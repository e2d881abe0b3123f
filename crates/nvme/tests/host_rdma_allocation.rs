//! In steady state nothing is allocated for a request over RDMA: not by the host, nor by the target at the other end of the
//! same device.

mod fabric;

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use fabric::{World, io, options};
use nvme::host::HostOptions;
use nvme::target::rdma::Limits;
use stdx::mem::CountingAllocator;

const DEPTH: u64 = 64;
const ROUNDS_BEFORE: u32 = 60;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Submits all and takes their ends; says how often something was allocated.
fn round(world: &mut World, channel: &mut dyn Channel, ios: &[Io], done: &mut Vec<Done>) -> u64 {
    let before = CountingAllocator::allocations();
    for io in ios {
        channel.submit(&mut world.env, *io).unwrap();
    }
    while done.len() < ios.len() {
        world.settle();
        channel.poll(&mut world.env, done);
    }
    let allocated = CountingAllocator::allocations() - before;
    assert!(done.drain(..).all(|done| done.status == Status::Ok));
    allocated
}

#[test]
fn nothing_is_allocated_for_a_request() {
    assert_eq!(stalls(Limits::default()), 0);
}

#[test]
fn nothing_is_allocated_for_a_request_that_waits_for_room() {
    assert!(stalls(Limits { sends: 3, ..Limits::default() }) > 0, "there was less room than requests");
}

/// Says how often requests waited at a server that allows this.
fn stalls(limits: Limits) -> u64 {
    let mut world = World::connected_with(HostOptions { io_queues: 2, ..options() }, limits);
    let mut channel = world.namespace().open();
    // Reads by keys, writes in capsules and by keys.
    let kinds = [(Op::Read, 4096), (Op::Write, 4096), (Op::Write, 32 << 10)];
    let rounds = kinds.map(|(op, len)| {
        let io = |tag: u64| io(tag, op, tag * 8, world.memory(len, tag as u8));
        (0..DEPTH).map(io).collect::<Vec<_>>()
    });
    let mut done = Vec::with_capacity(DEPTH as usize);
    let mut all = |world: &mut World| -> u64 {
        rounds.iter().map(|ios| round(world, channel.as_mut(), ios, &mut done)).sum()
    };
    // Tables grow to the load first, and every place of the rings of work has been used by every kind of it.
    for _ in 0..ROUNDS_BEFORE {
        all(&mut world);
    }
    assert_eq!(all(&mut world), 0);
    world.server.as_ref().unwrap().counters().stalls
}
