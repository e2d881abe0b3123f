//! No work request, packet or completion costs an allocation once everything has been used.

mod support;

use std::net::IpAddr;
use stdx::env::Owner;
use stdx::mem::{CountingAllocator, Kind};
use support::{Faults, World};
use verbs::conformance::Setting;
use verbs::{
    Access, Completion, Data, Mtu, Peer, Provider, QpInit, ReceiveQueue, ReceiveRequest, Receives,
    Registered, Registration, Remote, SendRequest, Status, Transition, Transport, Work,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn nothing_is_allocated_for_a_request() {
    let world = World::new(1, Faults::default(), |config| config);
    assert_eq!(spent_on_requests(world), 0, "allocations in a hundred rounds of eight requests");
}

#[test]
fn nothing_is_allocated_for_a_neighbours_request() {
    for kind in [Kind::Published, Kind::Shared] {
        let world = World::on_one_machine(kind, [1, 1], |config| config);
        assert_eq!(spent_on_requests(world), 0, "{kind:?}: allocations in a hundred rounds");
    }
}

/// What the later hundred of two hundred rounds allocate.
fn spent_on_requests(mut world: World) -> u64 {
    let ends = [0, 1].map(|end| open(&mut world, end));
    let address = [0, 1].map(|end| world.address(end));
    let numbers = [0, 1].map(|end: usize| world.devices[end].query_qp(ends[end].0).unwrap().qpn);
    for end in [0, 1] {
        connect(&mut world, end, ends[end].0, address[1 - end], numbers[1 - end]);
    }
    let mut done = Vec::with_capacity(64);
    let mut spent = 0;
    for round in 0..200 {
        let before = in_devices(&world);
        exchange(&mut world, &ends, &mut done);
        if round >= 100 {
            spent += in_devices(&world) - before;
        }
    }
    spent
}

type End = (verbs::QpId, verbs::CqId, Registered);

/// Allocations of the devices' turns: the network of the tests allocates, too, and counts for itself.
fn in_devices(world: &World) -> u64 {
    CountingAllocator::allocations() - world.allocations()
}

fn open(world: &mut World, end: usize) -> End {
    let kind = world.memory_kind();
    let (device, env) = world.end(end);
    let region = env.mem().map(kind, 1 << 20).unwrap();
    let span = env.mem().whole(region);
    let pd = device.alloc_pd().unwrap();
    let cq = device.create_cq(Owner(1), 64).unwrap();
    let access = Access::LOCAL_WRITE.with(Access::REMOTE);
    let memory = device.register(env, pd, &Registration { pieces: &[span], address: 0, access }).unwrap();
    let init = QpInit {
        pd,
        transport: Transport::ReliableConnection,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: 8, sges: 2 },
        send_entries: 8,
        send_sges: 2,
        inline_bytes: 64,
    };
    (device.create_qp(Owner(1), &init).unwrap(), cq, memory)
}

fn connect(world: &mut World, end: usize, qp: verbs::QpId, address: IpAddr, qpn: u32) {
    let peer = Peer { address, qpn, psn: 0, mtu: Mtu::Mtu1024, responder_resources: 4, rnr_timer: 1 };
    let ready = Transition::ReadyToSend {
        psn: 0,
        ack_timeout: 14,
        retry_count: 7,
        rnr_retry_count: 7,
        initiator_depth: 4,
    };
    let access = Access::LOCAL_WRITE.with(Access::REMOTE);
    let initialize = Transition::Initialize { access, queue_key: 0 };
    for transition in [initialize, Transition::ReadyToReceive(Some(peer)), ready] {
        world.devices[end].modify_qp(qp, &transition).unwrap();
    }
}

/// Sends, writes, reads and an atomic, each way.
fn exchange(world: &mut World, ends: &[End; 2], done: &mut Vec<Completion>) {
    for end in [0, 1] {
        let (qp, _, memory) = ends[end];
        let there = ends[1 - end].2;
        let scatter = [memory.sge(500_000, 10_000)];
        let queue = ReceiveQueue::Own(qp);
        world.devices[end].post_receive(queue, ReceiveRequest { id: 1, scatter: &scatter }).unwrap();
        let remote = Remote { address: 100_000, key: there.key };
        let long = [memory.sge(0, 5000), memory.sge(20_000, 3000)];
        let eight = [memory.sge(64, 8)];
        for (work, data) in [
            (Work::Write(remote), Data::Gather(&long)),
            (Work::Read(remote), Data::Gather(&long)),
            (Work::FetchAdd { at: remote, add: 1 }, Data::Gather(&eight)),
            (Work::Write(remote), Data::Inline(b"inline")),
            (Work::Send, Data::Gather(&long)),
        ] {
            world.devices[end].post_send(qp, SendRequest::new(2, work, data)).unwrap();
        }
    }
    let mut left = 12;
    while left > 0 {
        world.turn();
        for end in [0, 1] {
            done.clear();
            left -= world.devices[end].poll_cq(ends[end].1, 64, done);
            assert!(done.iter().all(|done| done.status == Status::Success));
        }
    }
}
