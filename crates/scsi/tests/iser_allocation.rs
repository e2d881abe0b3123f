//! In steady state a command over iSER allocates nothing in what carries it, the session, the target or its RAM volume.

mod world;

use stdx::mem::CountingAllocator;
use verbs::endpoint::Happening;
use verbs::{Connections, Provider};
use wire::iser::Header;
use world::initiator::Initiator;
use world::rdma::RdmaWorld;
use world::{Settings, pattern};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Sends messages, and counts the allocations of the target's side until all are answered.
fn serve(world: &mut RdmaWorld, messages: &[(Header, Vec<u8>)], connection: stdx::slab::Key) -> u64 {
    let (mut allocations, mut answers) = (0, 0);
    for (header, pdu) in messages {
        world.send(connection, *header, pdu);
    }
    for _ in 0..20 {
        world.device.turn(&mut world.world.env);
        while let Some(event) = world.device.poll_event() {
            match event.owner.0 >> 32 == 7 {
                true => world.host.handle_event(&mut world.device, &event),
                false => world.transport.handle_event(&mut world.device, &event),
            }
        }
        assert!(world.device.poll_connection().is_none());
        let RdmaWorld { world: inner, device, transport, .. } = world;
        let before = CountingAllocator::allocations();
        transport.poll(&mut inner.env, device, &mut inner.server, &mut inner.target);
        allocations += CountingAllocator::allocations() - before;
        while let Some(happening) = world.host.poll(&mut world.world.env, &mut world.device) {
            let Happening::Received { connection, received } = happening else { continue };
            world.host.release(&mut world.device, connection, received);
            answers += 1;
        }
    }
    assert_eq!(answers, messages.len());
    allocations
}

#[test]
fn nothing_is_allocated_for_a_command() {
    let settings = Settings { queue_depth: 64, ..Settings::default() };
    let mut world = RdmaWorld::with(settings, scsi::iscsi::target::iser::Limits::default());
    let (connection, mut host) = world.ready(1);
    let data = pattern(4096, 1);
    let (read, write) =
        (Header { read: Some(world.at(0)), write: None }, Header { write: Some(world.at(8192)), read: None });
    let round = |world: &mut RdmaWorld, host: &mut Initiator| {
        let mut messages = vec![];
        for tag in (0..30).step_by(3) {
            messages.push((read, host.read_blocks(tag, 8, 8)));
            messages.push((Header::default(), host.write_blocks(tag + 1, 8, &data, 4096, true)));
            messages.push((write, host.write_blocks(tag + 2, 16, &data, 0, true)));
        }
        serve(world, &messages, connection)
    };
    // Tables grow to the load first, and each place of the device's queues to a message.
    let _: u64 = (0..40).map(|_| round(&mut world, &mut host)).sum();
    let allocations: u64 = (0..10).map(|_| round(&mut world, &mut host)).sum();
    assert_eq!(allocations, 0, "allocations for 300 commands");
}
