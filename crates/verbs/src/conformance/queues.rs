//! Queues: what they refuse, what they tell, how they end.

use super::Setting;
use super::pair::{ALL, INLINE, OWNER, Pair, SEND_ENTRIES, SGES, Side, init};
use crate::{
    Access, CreateError, Data, DestroyError, Event, ModifyError, Notify, Object, PostError, QpState,
    ReceiveQueue, ReceiveRequest, Receives, Registration, SendRequest, Status, Transition, Transport, What,
    Work,
};
use std::collections::BTreeSet;

pub(super) fn full(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 1), pair.sge(1, 0, 1));
    for id in 0..u64::from(SEND_ENTRIES) {
        pair.work(0, id, Work::Send, &[from]);
    }
    let sges = [from];
    let one_more = SendRequest::new(99, Work::Send, Data::Gather(&sges));
    let qp = pair.sides[0].qp;
    let rejected = pair.setting.end(0).0.post_send(qp, one_more).unwrap_err();
    assert_eq!((rejected.request.id, rejected.why), (99, PostError::Full));
    for id in 0..u64::from(super::pair::RECEIVE_ENTRIES) {
        pair.receive(1, id, &[to]);
    }
    let queue = ReceiveQueue::Own(pair.sides[1].qp);
    let request = ReceiveRequest { id: 98, scatter: &[] };
    let rejected = pair.setting.end(1).0.post_receive(queue, request).unwrap_err();
    assert_eq!((rejected.request.id, rejected.why), (98, PostError::Full));
    pair.completions(0, SEND_ENTRIES as usize);
    pair.completions(1, SEND_ENTRIES as usize);
    pair.receive(1, 1, &[to]);
    pair.work(0, 99, Work::Send, &[from]);
    assert_eq!(pair.success(0).id, 99);
}

pub(super) fn refused(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let sges = [pair.sge(0, 0, 1); SGES as usize + 1];
    let long = [0; INLINE as usize + 1];
    let remote = pair.remote(1, 0);
    let to = crate::Destination { address: pair.setting.address(1), qpn: 1, queue_key: 1 };
    let cases = [
        (Work::Send, Data::Gather(&sges), PostError::TooLong),
        (Work::Send, Data::Inline(&long), PostError::TooLong),
        (Work::Read(remote), Data::Inline(b"no"), PostError::Unsupported),
        (Work::Datagram { to, immediate: None }, Data::NONE, PostError::Unsupported),
    ];
    for (work, data, why) in cases {
        assert_eq!(pair.try_send(0, SendRequest::new(1, work, data)), Err(why));
    }
    let queue = ReceiveQueue::Own(pair.sides[0].qp);
    let rejected = pair.setting.end(0).0.post_receive(queue, ReceiveRequest { id: 2, scatter: &sges });
    assert_eq!(rejected.unwrap_err().why, PostError::TooLong);
    for (transport, work) in [
        (Transport::UnreliableConnection, Work::Read(remote)),
        (Transport::UnreliableConnection, Work::SendInvalidate(remote.key)),
        (Transport::UnreliableDatagram, Work::Send),
        (Transport::UnreliableDatagram, Work::Write(remote)),
    ] {
        let mut pair = Pair::of(setting, transport);
        assert_eq!(pair.try_send(0, SendRequest::new(1, work, Data::NONE)), Err(PostError::Unsupported));
    }
    refused_objects(setting);
}

fn refused_objects(setting: &mut dyn Setting) {
    let side = Side::new(setting, 0, Transport::ReliableConnection);
    let (device, env) = setting.end(0);
    let limits = *device.limits();
    let wrong = Registration { pieces: &[side.span], address: 0, access: Access::REMOTE_WRITE };
    assert_eq!(device.register(env, side.pd, &wrong), Err(CreateError::Invalid));
    assert_eq!(device.create_cq(OWNER, limits.cq_entries + 1), Err(CreateError::TooLarge));
    assert_eq!(device.create_srq(OWNER, side.pd, 1, limits.sges + 1), Err(CreateError::TooLarge));
    let wish = init(side.pd, side.cq, Transport::ReliableConnection);
    let too_many = crate::QpInit { send_entries: limits.queue_entries + 1, ..wish };
    assert_eq!(device.create_qp(OWNER, &too_many), Err(CreateError::TooLarge));
    device.destroy(env, Object::Qp(side.qp)).unwrap();
    device.destroy(env, Object::Cq(side.cq)).unwrap();
    assert_eq!(device.create_qp(OWNER, &wish), Err(CreateError::NotFound));
    assert_eq!(device.modify_qp(side.qp, &Transition::Reset), Err(ModifyError::NotFound));
    assert_eq!(device.query_qp(side.qp), None);
}

pub(super) fn states(setting: &mut dyn Setting) {
    let transport = Transport::ReliableConnection;
    let sides = [0, 1].map(|end| Side::new(setting, end, transport));
    let mut pair = Pair { setting, sides };
    let qp = pair.sides[0].qp;
    let ready = Transition::ReadyToSend {
        psn: 0,
        ack_timeout: 14,
        retry_count: 7,
        rnr_retry_count: 7,
        initiator_depth: 1,
    };
    let queue = ReceiveQueue::Own(qp);
    let early = pair.setting.end(0).0.post_receive(queue, ReceiveRequest { id: 1, scatter: &[] });
    assert_eq!(early.unwrap_err().why, PostError::State);
    for transition in [ready, Transition::Drain, Transition::Resume, Transition::Error] {
        assert_eq!(pair.setting.end(0).0.modify_qp(qp, &transition), Err(ModifyError::State));
    }
    pair.modify(0, &Transition::Initialize { access: ALL, queue_key: 0 });
    assert_eq!(pair.state(0), QpState::Initialized);
    let request = SendRequest::new(1, Work::Send, Data::NONE);
    assert_eq!(pair.try_send(0, request), Err(PostError::State));
    let no_peer = pair.setting.end(0).0.modify_qp(qp, &Transition::ReadyToReceive(None));
    assert_eq!(no_peer, Err(ModifyError::Invalid));
    pair.modify(1, &Transition::Initialize { access: ALL, queue_key: 0 });
    pair.raise(0, transport, 7);
    assert_eq!(pair.state(0), QpState::ReadyToSend);
    assert!(pair.info(0).peer.is_some());
    pair.modify(0, &Transition::Error);
    pair.modify(0, &Transition::Reset);
    assert_eq!((pair.state(0), pair.info(0).peer), (QpState::Reset, None));
}

pub(super) fn shared(setting: &mut dyn Setting) {
    let transport = Transport::ReliableConnection;
    let sides = [0, 1].map(|end| Side::new(setting, end, transport));
    let mut pair = Pair { setting, sides };
    let side = pair.sides[1];
    let device = pair.setting.end(1).0;
    let srq = device.create_srq(OWNER, side.pd, 4, 2).unwrap();
    let wish = crate::QpInit { receives: Receives::Shared(srq), ..init(side.pd, side.cq, transport) };
    pair.sides[1].qp = device.create_qp(OWNER, &wish).unwrap();
    for end in [0, 1] {
        pair.modify(end, &Transition::Initialize { access: ALL, queue_key: 0 });
    }
    for end in [0, 1] {
        pair.raise(end, transport, 2);
    }
    let (from, to) = (pair.sge(0, 0, 2000), pair.sge(1, 0, 2000));
    let device = pair.setting.end(1).0;
    for id in 0..4 {
        device.post_receive(ReceiveQueue::Shared(srq), ReceiveRequest { id, scatter: &[to] }).unwrap();
    }
    let full = device.post_receive(ReceiveQueue::Shared(srq), ReceiveRequest { id: 9, scatter: &[] });
    assert_eq!(full.unwrap_err().why, PostError::Full);
    device.arm_srq(srq, 3);
    let mut used = BTreeSet::new();
    for id in 0..3 {
        pair.work(0, id, Work::Send, &[from]);
        // In which order they are used is the device's affair.
        used.insert(pair.success(1).id);
        pair.success(0);
    }
    assert!(used.len() == 3 && used.iter().all(|id| *id < 4), "{used:?}");
    let told = pair.events(1);
    let low = Event { owner: OWNER, what: What::SrqLimitReached(srq) };
    assert_eq!(told.iter().filter(|event| **event == low).count(), 1, "{told:?}");
    let (device, env) = pair.setting.end(1);
    assert_eq!(device.destroy(env, Object::Srq(srq)), Err(DestroyError::Busy));
}

pub(super) fn armed(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 10), pair.sge(1, 0, 10));
    let cq = pair.sides[1].cq;
    let told = Event { owner: OWNER, what: What::Completion(cq) };
    for round in 0..3 {
        pair.setting.end(1).0.arm_cq(cq, Notify::All);
        for id in 0..2 {
            pair.receive(1, id, &[to]);
            pair.work(0, id, Work::Send, &[from]);
        }
        pair.completions(0, 2);
        let events = pair.events(1);
        assert_eq!(events.iter().filter(|event| **event == told).count(), 1, "round {round}: {events:?}");
        pair.completions(1, 2);
    }
    pair.receive(1, 9, &[to]);
    pair.work(0, 9, Work::Send, &[from]);
    pair.success(1);
    assert!(!pair.events(1).contains(&told), "it was not armed");
}

pub(super) fn solicited(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 3000), pair.sge(1, 0, 3000));
    let cq = pair.sides[1].cq;
    let told = Event { owner: OWNER, what: What::Completion(cq) };
    pair.setting.end(1).0.arm_cq(cq, Notify::Solicited);
    for solicited in [false, true] {
        pair.receive(1, 1, &[to]);
        let list = [from];
        let request = SendRequest { solicited, ..SendRequest::new(1, Work::Send, Data::Gather(&list)) };
        pair.send(0, request);
        pair.success(1);
        assert_eq!(pair.events(1).contains(&told), solicited);
        pair.success(0);
    }
}

pub(super) fn drained(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 10), pair.sge(1, 0, 10));
    pair.receive(1, 1, &[to]);
    pair.work(0, 1, Work::Send, &[from]);
    pair.success(0);
    pair.modify(0, &Transition::Drain);
    pair.settle();
    assert_eq!(pair.state(0), QpState::SendQueueDrained);
    let drained = Event { owner: OWNER, what: What::SendQueueDrained(pair.sides[0].qp) };
    assert!(pair.events(0).contains(&drained));
    pair.receive(1, 2, &[to]);
    pair.work(0, 2, Work::Send, &[from]);
    pair.settle();
    assert_eq!(pair.polled(0), [], "what is posted now waits");
    pair.modify(0, &Transition::Resume);
    assert_eq!(pair.success(0).id, 2);
}

pub(super) fn destroyed(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let side = pair.sides[0];
    let (device, env) = pair.setting.end(0);
    assert_eq!(device.destroy(env, Object::Cq(side.cq)), Err(DestroyError::Busy));
    assert_eq!(device.destroy(env, Object::Pd(side.pd)), Err(DestroyError::Busy));
    assert_eq!(device.destroy(env, Object::Qp(side.qp)), Ok(()));
    assert_eq!(device.destroy(env, Object::Qp(side.qp)), Err(DestroyError::NotFound));
    assert_eq!(device.destroy(env, Object::Memory(side.memory.key)), Ok(()));
    assert_eq!(device.destroy(env, Object::Memory(side.memory.key)), Err(DestroyError::NotFound));
    assert_eq!(device.destroy(env, Object::Pd(side.pd)), Ok(()));
    assert_eq!(device.destroy(env, Object::Cq(side.cq)), Ok(()));
    let from = pair.sge(1, 0, 10);
    pair.work(1, 1, Work::Send, &[from]);
    pair.failure(1, Status::RetryExceeded);
}
