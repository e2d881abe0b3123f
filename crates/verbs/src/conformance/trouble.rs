//! What goes wrong, and how both ends learn of it.

use super::Setting;
use super::pair::{ALL, Pair, Side};
use crate::{Data, Key, Object, QpState, SendRequest, Sge, Status, Transition, Transport, What, Work};

pub(super) fn late_receive(setting: &mut dyn Setting) {
    let transport = Transport::ReliableConnection;
    let sides = [0, 1].map(|end| Side::new(setting, end, transport));
    let mut pair = Pair { setting, sides };
    for end in [0, 1] {
        pair.modify(end, &Transition::Initialize { access: ALL, queue_key: 0 });
    }
    for end in [0, 1] {
        pair.raise(end, transport, 7);
    }
    let (from, to) = (pair.sge(0, 0, 3000), pair.sge(1, 0, 3000));
    pair.work(0, 1, Work::Send, &[from]);
    pair.work(0, 2, Work::Send, &[from]);
    pair.settle();
    assert_eq!(pair.polled(0), []);
    pair.receive(1, 5, &[to]);
    pair.receive(1, 6, &[to]);
    assert_eq!(pair.completions(1, 2).iter().map(|done| done.id).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(pair.completions(0, 2).iter().map(|done| done.id).collect::<Vec<_>>(), [1, 2]);
}

pub(super) fn no_receive(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let from = pair.sge(0, 0, 10);
    pair.work(0, 1, Work::Send, &[from]);
    pair.work(0, 2, Work::Send, &[from]);
    let done = pair.completions(0, 2);
    assert_eq!((done[0].id, done[0].status), (1, Status::RnrRetryExceeded));
    assert_eq!((done[1].id, done[1].status), (2, Status::Flushed));
    assert_eq!((pair.state(0), pair.state(1)), (QpState::Error, QpState::ReadyToSend));
}

pub(super) fn flushed(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 10), pair.sge(0, 100, 10));
    for id in 0..3 {
        pair.receive(0, id, &[to]);
        let list = [from];
        let request =
            SendRequest { signaled: false, ..SendRequest::new(10 + id, Work::Send, Data::Gather(&list)) };
        pair.send(0, request);
    }
    pair.modify(0, &Transition::Error);
    let mut ids: Vec<_> = pair
        .completions(0, 6)
        .iter()
        .map(|done| {
            assert_eq!(done.status, Status::Flushed);
            done.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 10, 11, 12], "unsignaled ones too");
    // What is posted in error is flushed, too.
    pair.work(0, 20, Work::Send, &[from]);
    pair.receive(0, 21, &[to]);
    let mut ids: Vec<_> = pair.completions(0, 2).iter().map(|done| done.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [20, 21]);
}

pub(super) fn short_receive(setting: &mut dyn Setting) {
    for len in [11, 5000] {
        let mut pair = Pair::connected(setting);
        let (from, to) = (pair.sge(0, 0, len), pair.sge(1, 0, len - 1));
        pair.receive(1, 1, &[to]);
        pair.work(0, 2, Work::Send, &[from]);
        let done = pair.failure(1, Status::LocalLength);
        assert_eq!(done.id, 1);
        pair.failure(0, Status::RemoteInvalidRequest);
        pair.settle();
        assert_eq!((pair.state(0), pair.state(1)), (QpState::Error, QpState::Error));
        let qp = pair.sides[0].qp;
        assert!(pair.events(0).iter().any(|event| event.what == What::QueuePairError(qp)));
    }
}

pub(super) fn wrong_list(setting: &mut dyn Setting) {
    let beyond = |pair: &Pair<'_>| pair.sge(0, super::pair::MEMORY - 1, 2);
    let unknown = |pair: &Pair<'_>| Sge { key: Key(0x7fff_0000), ..pair.sge(0, 0, 2) };
    let cases: [fn(&Pair<'_>) -> Sge; 2] = [beyond, unknown];
    for wrong in cases {
        let mut pair = Pair::connected(setting);
        let (from, to) = (wrong(&pair), pair.sge(1, 0, 10));
        pair.receive(1, 1, &[to]);
        pair.work(0, 2, Work::Send, &[from]);
        pair.failure(0, Status::LocalProtection);
        assert_eq!(pair.state(0), QpState::Error);
        let mut pair = Pair::connected(setting);
        let to = wrong(&pair);
        let from = pair.sge(1, 0, 2);
        pair.receive(0, 1, &[to]);
        pair.work(1, 2, Work::Send, &[from]);
        pair.failure(0, Status::LocalProtection);
        pair.failure(1, Status::RemoteOperation);
    }
}

pub(super) fn no_peer(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let qp = pair.sides[1].qp;
    let (device, env) = pair.setting.end(1);
    device.destroy(env, Object::Qp(qp)).unwrap();
    let remote = pair.remote(1, 0);
    let from = pair.sge(0, 0, 100);
    pair.work(0, 1, Work::Write(remote), &[from]);
    pair.work(0, 2, Work::Write(remote), &[from]);
    let done = pair.completions(0, 2);
    assert_eq!((done[0].status, done[1].status), (Status::RetryExceeded, Status::Flushed));
}
