//! In steady state a command allocates nothing in the transport, the target or its RAM volume.

mod support;

use nvme::target::Target;
use nvme::target::tcp::Limits;
use stdx::env::StreamId;
use stdx::mem::CountingAllocator;
use support::host::{Answer, Form, SUBSYSTEM};
use support::{World, long_write, pattern, read, write};
use wire::nvme::Nqn;
use wire::nvme::tcp::{DataAlignment, Digests, H2cData};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// One turn of the server, whose allocations are counted; those of the test's own work are not.
fn turn(world: &mut World<Target>, stream: StreamId, bytes: &[u8]) -> u64 {
    world.env.stream(stream).sent.clear();
    world.env.deliver(stream, bytes);
    let before = CountingAllocator::allocations();
    while let Some(event) = world.env.next_event() {
        world.server.handle_event(&mut world.env, &mut world.target, &event);
    }
    world.server.poll(&mut world.env, &mut world.target);
    let allocations = CountingAllocator::allocations() - before;
    assert!(!world.env.stream(stream).sent.is_empty());
    allocations
}

#[test]
fn nothing_is_allocated_for_a_command() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let form = Form { digests, alignment: DataAlignment::default() };
        let mut world = World::nvme(&Nqn::parse(SUBSYSTEM).unwrap(), 4096, Limits::default());
        let stream = world.enabled_io(&form);
        let reads: Vec<u8> = (0..127).flat_map(|id| form.capsule(&read(id, 8, 8), &[])).collect();
        let data = pattern(4096, 1);
        let writes: Vec<u8> = (0..127).flat_map(|id| form.capsule(&write(id, 8, 8), &data)).collect();
        let asking = form.capsule(&long_write(0, 0, 64), &[]);
        let data = pattern(32 << 10, 2);
        let mut round = || {
            let mut allocations = turn(&mut world, stream, &reads);
            allocations += turn(&mut world, stream, &writes);
            allocations += turn(&mut world, stream, &asking);
            let answers = world.answers(stream, &form);
            let [Answer::Ready(ready)] = answers[..] else { panic!("{answers:?}") };
            world.env.stream(stream).sent.reserve(1 << 20);
            let transfer_tag = ready.transfer_tag;
            let header = H2cData { command_id: 0, transfer_tag, offset: 0, length: 32 << 10, last: true };
            allocations + turn(&mut world, stream, &form.data(&header, &data))
        };
        // Tables grow to the load first.
        let _: u64 = (0..3).map(|_| round()).sum();
        let allocations: u64 = (0..10).map(|_| round()).sum();
        assert_eq!(allocations, 0, "allocations for {} commands", 10 * 255);
    }
}
