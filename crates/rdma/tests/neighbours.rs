//! Two devices of one machine reach each other through shared memory, and the suite passes as over the network.

mod support;

use rdma::Config;
use stdx::mem::Kind;
use support::World;
use verbs::conformance::{CHECKS, run};

const USERS: [u32; 2] = [1000, 1000];

#[test]
fn neighbours_conform_with_published_memory() {
    run(|| Box::new(World::on_one_machine(Kind::Published, USERS, |config| config)));
}

#[test]
fn neighbours_conform_with_memory_of_any_kind() {
    run(|| Box::new(World::on_one_machine(Kind::Shared, USERS, |config| config)));
}

/// The smallest rings: everything waits for room.
#[test]
fn neighbours_conform_with_tiny_rings() {
    let tiny = |config: Config| {
        let neighbours = shm::Config { records: 16, bytes: 16 << 10, memories: 1, ..config.neighbours };
        Config { neighbours, ..config }
    };
    run(|| Box::new(World::on_one_machine(Kind::Shared, USERS, tiny)));
}

/// Every check's connections and bytes, by where they went.
fn through_memory(world: &mut World) -> u64 {
    let counters = world.devices[0].neighbour_counters();
    counters.direct_bytes + counters.ring_bytes
}

#[test]
fn bytes_go_where_they_should() {
    let check = CHECKS.iter().find(|(name, _)| *name == "writes place their bytes and no others").unwrap().1;
    let mut world = World::on_one_machine(Kind::Published, USERS, |config| config);
    check(&mut world);
    assert!(world.devices[0].neighbour_counters().direct_bytes > 70_000, "what is published is copied once");
    let mut world = World::on_one_machine(Kind::Shared, USERS, |config| config);
    check(&mut world);
    assert!(world.devices[0].neighbour_counters().ring_bytes > 70_000);
    assert_eq!(world.devices[0].neighbour_counters().direct_bytes, 0);
    let off =
        |config: Config| Config { neighbours: shm::Config { enabled: false, ..config.neighbours }, ..config };
    let mut world = World::on_one_machine(Kind::Published, USERS, off);
    check(&mut world);
    assert_eq!(through_memory(&mut world), 0, "over the network");
}

#[test]
fn another_users_device_is_reached_over_the_network() {
    let check = CHECKS.iter().find(|(name, _)| *name == "messages of all lengths arrive").unwrap().1;
    let mut world = World::on_one_machine(Kind::Published, [1000, 1001], |config| config);
    check(&mut world);
    assert_eq!((through_memory(&mut world), world.devices[0].neighbours()), (0, 0));
    let mut world = World::on_one_machine(Kind::Published, [1000, 1001], |config| {
        let other_users = [Some(1000), Some(1001), None, None];
        Config { neighbours: shm::Config { other_users, ..config.neighbours }, ..config }
    });
    check(&mut world);
    assert!(through_memory(&mut world) > 0, "unless it is let in");
}
