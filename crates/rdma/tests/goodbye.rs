//! What was taken is acknowledged, even if its receiver takes no more.

mod support;

use stdx::env::{Env, Owner};
use stdx::mem::Kind;
use support::{Faults, World};
use verbs::conformance::Setting;
use verbs::{
    Access, Completion, CqId, Data, Peer, Provider, QpId, QpInit, ReceiveQueue, ReceiveRequest, Receives,
    Registration, SendRequest, Status, Transition, Transport, Work,
};

#[test]
fn a_message_that_ends_a_connection_is_acknowledged() {
    let mut world = World::new(1, Faults::default(), |config| config);
    let ends = [0, 1].map(|end| queue_pair(&mut world, end));
    let places = [0, 1].map(|end: usize| world.devices[end].query_qp(ends[end].0).unwrap().qpn);
    for end in [0, 1] {
        let other = 1 - end;
        let address = world.devices[other].config().address;
        let mtu = world.devices[end].config().mtu;
        let peer = Peer { address, qpn: places[other], psn: 7, mtu, responder_resources: 1, rnr_timer: 12 };
        let ready = Transition::ReadyToSend {
            psn: 7,
            ack_timeout: 14,
            retry_count: 7,
            rnr_retry_count: 7,
            initiator_depth: 1,
        };
        world.devices[end].modify_qp(ends[end].0, &Transition::ReadyToReceive(Some(peer))).unwrap();
        world.devices[end].modify_qp(ends[end].0, &ready).unwrap();
    }
    let request = SendRequest::new(1, Work::Send, Data::Inline(b"the last word"));
    world.devices[0].post_send(ends[0].0, request).unwrap();
    let taken = next(&mut world, 1, ends[1].1);
    assert_eq!((taken.status, taken.len), (Status::Success, 13));
    world.devices[1].modify_qp(ends[1].0, &Transition::Error).unwrap();
    assert_eq!(next(&mut world, 0, ends[0].1).status, Status::Success, "the sender never heard of it");
}

/// A queue pair with a receive, and where it completes.
fn queue_pair(world: &mut World, end: usize) -> (QpId, CqId) {
    let (device, env) = (&mut world.devices[end], &mut world.envs[end]);
    let pd = device.alloc_pd().unwrap();
    let cq = device.create_cq(Owner(1), 16).unwrap();
    let init = QpInit {
        pd,
        transport: Transport::ReliableConnection,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: 4, sges: 1 },
        send_entries: 4,
        send_sges: 1,
        inline_bytes: 64,
    };
    let qp = device.create_qp(Owner(1), &init).unwrap();
    let initialize = Transition::Initialize { access: Access::NONE, queue_key: 0 };
    device.modify_qp(qp, &initialize).unwrap();
    let region = env.mem().map(Kind::Shared, 4096).unwrap();
    let span = env.mem().whole(region);
    let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
    let memory = device.register(env, pd, &registration).unwrap();
    let scatter = [memory.sge(0, 64)];
    device.post_receive(ReceiveQueue::Own(qp), ReceiveRequest { id: 9, scatter: &scatter }).unwrap();
    (qp, cq)
}

/// The next completion of an end.
fn next(world: &mut World, end: usize, cq: CqId) -> Completion {
    let mut done = Vec::new();
    for _ in 0..1000 {
        if world.devices[end].poll_cq(cq, 1, &mut done) > 0 {
            return done[0];
        }
        world.turn();
    }
    panic!("nothing is done");
}
