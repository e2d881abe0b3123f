//! Two devices of one machine reach each other through shared memory, and the suite passes as over the network.

mod support;

use rdma::Config;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stdx::env::{Env, Owner};
use stdx::mem::Kind;
use stdx::time::Time;
use support::World;
use verbs::conformance::{CHECKS, Setting, run};
use verbs::{
    Accept, Access, Connect, ConnectionWhat, Connections, Data, Parameters, PortSpace, Provider, QpInit,
    QpState, ReceiveQueue, ReceiveRequest, Receives, SendRequest, Status, Transition, Transport, Work,
};

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

/// Sees that there was something.
#[derive(Debug)]
struct Glimpse(Arc<AtomicU64>);

impl rdma::Tap for Glimpse {
    fn datagram(&mut self, _now: Time, _datagram: &wire::pcap::Datagram<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Who looks at a device's datagrams sees them all; the peer, who would rather be a neighbour, follows.
#[test]
fn a_device_that_is_looked_at_makes_datagrams() {
    let check = CHECKS.iter().find(|(name, _)| *name == "messages of all lengths arrive").unwrap().1;
    for end in [0, 1] {
        let mut world = World::on_one_machine(Kind::Published, USERS, |config| config);
        let seen = Arc::new(AtomicU64::new(0));
        world.devices[end].set_tap(Box::new(Glimpse(Arc::clone(&seen))));
        check(&mut world);
        assert_eq!((through_memory(&mut world), world.devices[0].neighbours()), (0, 0));
        assert!(seen.load(Ordering::Relaxed) > 10);
    }
}

/// One is killed while requests of the other are under way: they fail at once, and so does the connection.
#[test]
fn a_peer_that_is_killed_is_missed() {
    let mut world = World::on_one_machine(Kind::Published, USERS, |config| config);
    let mut ends = Vec::new();
    for end in [0, 1] {
        let device = &mut world.devices[end];
        let (pd, cq) = (device.alloc_pd().unwrap(), device.create_cq(Owner(1), 64).unwrap());
        let init = QpInit {
            pd,
            transport: Transport::ReliableConnection,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: 8, sges: 0 },
            send_entries: 8,
            send_sges: 0,
            inline_bytes: 8,
        };
        let qp = device.create_qp(Owner(1), &init).unwrap();
        device.modify_qp(qp, &Transition::Initialize { access: Access::NONE, queue_key: 0 }).unwrap();
        device.post_receive(ReceiveQueue::Own(qp), ReceiveRequest { id: 1, scatter: &[] }).unwrap();
        ends.push((qp, cq));
    }
    let to = SocketAddr::new(world.address(1), 7000);
    world.devices[1].listen(Owner(1), PortSpace::Tcp, to).unwrap();
    let (space, parameters) = (PortSpace::Tcp, Parameters::default());
    let connect = Connect { space, to, from: None, qp: Some(ends[0].0), parameters, private_data: &[] };
    world.devices[0].connect(&mut world.envs[0], Owner(1), &connect).unwrap();
    let mut is_established = false;
    while !is_established {
        world.turn();
        if let Some(event) = world.devices[1].poll_connection()
            && matches!(event.what, ConnectionWhat::Requested { .. })
        {
            let accept = Accept { qp: ends[1].0, parameters, queue_key: 0, private_data: &[] };
            world.devices[1].accept(&mut world.envs[1], Owner(1), event.connection, &accept).unwrap();
        }
        let told = world.devices[0].poll_connection();
        is_established = told.is_some_and(|event| matches!(event.what, ConnectionWhat::Established { .. }));
    }
    let (qp, cq) = ends[0];
    let mut done = Vec::new();
    world.devices[0].post_send(qp, SendRequest::new(2, Work::Send, Data::NONE)).unwrap();
    while world.devices[0].poll_cq(cq, 8, &mut done) == 0 {
        world.turn();
    }
    assert_eq!((done[0].status, world.devices[0].neighbours()), (Status::Success, 1));
    // The second send finds no receive, so that it is under way when the end comes.
    for id in [3, 4] {
        world.devices[0].post_send(qp, SendRequest::new(id, Work::Send, Data::NONE)).unwrap();
    }
    world.turn();
    world.envs[1].die();
    let killed_at = world.envs[0].now();
    let mut told = None;
    while told.is_none() {
        world.turn_alone(0);
        told = world.devices[0].poll_connection();
    }
    assert_eq!(told.unwrap().what, ConnectionWhat::Disconnected);
    assert!(world.envs[0].now() - killed_at < std::time::Duration::from_millis(2));
    done.clear();
    world.turn_alone(0);
    world.devices[0].poll_cq(cq, 8, &mut done);
    let outcomes: Vec<_> = done.iter().map(|done| (done.id, done.status)).collect();
    assert_eq!(outcomes, [(3, Status::RetryExceeded), (4, Status::Flushed), (1, Status::Flushed)]);
    assert_eq!(world.devices[0].query_qp(qp).unwrap().state, QpState::Error);
    assert_eq!(world.devices[0].neighbours(), 0);
}
