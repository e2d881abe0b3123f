//! In steady state a command allocates nothing in the transport, the target or its RAM volume.

mod world;

use stdx::mem::CountingAllocator;
use wire::iscsi::{Opcode, R2t};
use world::initiator::Initiator;
use world::{Settings, World, pattern};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// One turn of the server, whose allocations are counted; those of the test's own work are not.
fn turn(world: &mut World, initiator: &Initiator, bytes: &[u8]) -> u64 {
    world.env.stream(initiator.stream).sent.clear();
    world.env.deliver(initiator.stream, bytes);
    let before = CountingAllocator::allocations();
    while let Some(event) = world.env.next_event() {
        world.server.handle_event(&mut world.env, &mut world.target, &event);
    }
    world.server.poll(&mut world.env, &mut world.target);
    let allocations = CountingAllocator::allocations() - before;
    assert!(!world.env.stream(initiator.stream).sent.is_empty());
    allocations
}

#[test]
fn nothing_is_allocated_for_a_command() {
    for digests in ["", "HeaderDigest=CRC32C DataDigest=CRC32C"] {
        let mut world = World::with(Settings { queue_depth: 128, ..Settings::default() });
        let mut initiator = world.log_in(digests);
        let bytes = initiator.test_unit_ready(0);
        turn(&mut world, &initiator, &bytes);
        let data = pattern(4096, 1);
        let large = pattern(32 << 10, 2);
        let mut round = || {
            let reads: Vec<u8> = (0..127).flat_map(|tag| initiator.read_blocks(tag, 8, 8)).collect();
            let mut allocations = turn(&mut world, &initiator, &reads);
            let writes: Vec<u8> =
                (0..127).flat_map(|tag| initiator.write_blocks(tag, 8, &data, 4096, true)).collect();
            allocations += turn(&mut world, &initiator, &writes);
            let asking = initiator.write_blocks(0, 0, &large, 0, true);
            allocations += turn(&mut world, &initiator, &asking);
            let answers = world.answers(&mut initiator);
            assert_eq!(answers[0].opcode(), Opcode::R2t);
            world.env.stream(initiator.stream).sent.reserve(1 << 20);
            let transfer_tag = R2t::decode(&answers[0].bhs).unwrap().transfer_tag;
            let bytes = initiator.data_out(0, transfer_tag, 0, 0, &large, true);
            allocations + turn(&mut world, &initiator, &bytes)
        };
        // Tables grow to the load first.
        let _: u64 = (0..3).map(|_| round()).sum();
        let allocations: u64 = (0..10).map(|_| round()).sum();
        assert_eq!(allocations, 0, "allocations for {} commands", 10 * 255);
    }
}
