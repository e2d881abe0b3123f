//! Memory of the peer: writes, reads, atomics, windows, rights.

use super::Setting;
use super::pair::{ALL, Pair, Side, pattern};
use crate::{
    Access, CompletionKind, Data, QpState, Registration, Remote, SendRequest, Sge, Status, Transition,
    Transport, WindowKind, Work,
};

pub(super) fn written(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    for (round, len) in [0, 1, 1024, 4097, 70_000].into_iter().enumerate() {
        let bytes = pattern(len, round as u8);
        pair.fill(0, 100, &bytes);
        pair.fill(1, 0, &vec![0xee; len + 20]);
        let (from, remote) = (pair.sge(0, 100, len as u32), pair.remote(1, 10));
        pair.work(0, 5, Work::Write(remote), &[from]);
        let done = pair.success(0);
        assert_eq!((done.id, done.kind), (5, CompletionKind::Write));
        assert_eq!(pair.bytes(1, 10, len), bytes);
        assert_eq!(pair.bytes(1, 0, 10), [0xee; 10]);
        assert_eq!(pair.bytes(1, 10 + len, 10), [0xee; 10]);
    }
    assert_eq!(pair.polled(1), [], "the peer is not told");
}

pub(super) fn read(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let lens = [0, 1, 1024, 4097, 70_000];
    for (id, len) in lens.into_iter().enumerate() {
        pair.fill(1, 0, &pattern(80_000, 7));
        let (to, remote) = (pair.sge(0, 50, len), pair.remote(1, 33));
        pair.work(0, id as u64, Work::Read(remote), &[to]);
        let done = pair.success(0);
        assert_eq!((done.id, done.kind, done.len), (id as u64, CompletionKind::Read, len));
        assert_eq!(pair.bytes(0, 50, len as usize), pattern(80_000, 7)[33..33 + len as usize]);
    }
    // More at once than the depth allows, between other work, with a fence.
    for id in 0..12 {
        let (to, remote) = (pair.sge(0, id * 3000, 3000), pair.remote(1, id * 100));
        pair.work(0, id, Work::Read(remote), &[to]);
    }
    let (from, remote) = (pair.sge(0, 0, 3000), pair.remote(1, 200_000));
    let list = [from];
    let fenced =
        SendRequest { fence: true, ..SendRequest::new(12, Work::Write(remote), Data::Gather(&list)) };
    pair.send(0, fenced);
    let ids: Vec<_> = pair.completions(0, 13).iter().map(|done| done.id).collect();
    assert_eq!(ids, (0..13).collect::<Vec<_>>());
    for id in 0..12 {
        assert_eq!(pair.bytes(0, id * 3000, 3000), pattern(80_000, 7)[id * 100..id * 100 + 3000]);
    }
    assert_eq!(pair.bytes(1, 200_000, 3000), pattern(80_000, 7)[..3000], "the write came after the read");
}

pub(super) fn written_with_immediate(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let bytes = pattern(3000, 1);
    pair.fill(0, 0, &bytes);
    pair.receive(1, 9, &[]);
    let (from, remote) = (pair.sge(0, 0, 3000), pair.remote(1, 64));
    pair.work(0, 1, Work::WriteImmediate(remote, 42), &[from]);
    let done = pair.success(1);
    assert_eq!((done.id, done.kind), (9, CompletionKind::ReceiveWrite));
    assert_eq!((done.len, done.immediate), (3000, Some(42)));
    assert_eq!(pair.bytes(1, 64, 3000), bytes);
    assert_eq!(pair.success(0).kind, CompletionKind::Write);
}

pub(super) fn atomics(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    pair.fill(1, 16, &5u64.to_ne_bytes());
    let (to, at) = (pair.sge(0, 0, 8), pair.remote(1, 16));
    let mut run = |work, expected: u64, after: u64| {
        pair.work(0, 1, work, &[to]);
        pair.success(0);
        assert_eq!(pair.bytes(0, 0, 8), expected.to_ne_bytes());
        assert_eq!(pair.bytes(1, 16, 8), after.to_ne_bytes());
    };
    run(Work::FetchAdd { at, add: 3 }, 5, 8);
    run(Work::FetchAdd { at, add: u64::MAX }, 8, 7);
    run(Work::CompareSwap { at, compare: 8, swap: 100 }, 7, 7);
    run(Work::CompareSwap { at, compare: 7, swap: 100 }, 7, 100);
    let odd = pair.remote(1, 20);
    pair.work(0, 2, Work::FetchAdd { at: odd, add: 1 }, &[to]);
    pair.failure(0, Status::RemoteInvalidRequest);
}

pub(super) fn rights(setting: &mut dyn Setting) {
    let len = super::pair::MEMORY;
    let beyond = |work: fn(Remote) -> Work<'static>, offset: u64, bytes: u32| (work, offset, bytes);
    let cases = [
        beyond(Work::Write, len - 10, 11),
        beyond(Work::Write, u64::MAX, 1),
        beyond(Work::Read, len, 1),
        beyond(|at| Work::FetchAdd { at, add: 1 }, len, 8),
    ];
    for (work, offset, bytes) in cases {
        let mut pair = Pair::connected(setting);
        let whole = pair.bytes(1, 0, len as usize);
        let memory = pair.sides[1].memory;
        let remote = Remote { address: memory.address.wrapping_add(offset), key: memory.key };
        let local = pair.sge(0, 0, bytes);
        pair.work(0, 1, work(remote), &[local]);
        pair.failure(0, Status::RemoteAccess);
        assert_eq!(pair.state(0), QpState::Error);
        pair.settle();
        assert_eq!(pair.state(1), QpState::Error);
        assert_eq!(pair.bytes(1, 0, len as usize), whole);
    }
    for access in [Access::NONE, Access::LOCAL_WRITE, Access::REMOTE_READ] {
        let mut pair = Pair::connected(setting);
        let (pd, span) = (pair.sides[1].pd, pair.sides[1].span);
        let (device, env) = pair.setting.end(1);
        let registration = Registration { pieces: &[span], address: 0, access };
        let region = device.register(env, pd, &registration).unwrap();
        let local = pair.sge(0, 0, 8);
        pair.work(0, 1, Work::Write(Remote { address: 0, key: region.key }), &[local]);
        pair.failure(0, Status::RemoteAccess);
    }
    queue_pairs_have_rights_too(setting);
    let mut pair = Pair::connected(setting);
    let stranger = Side::new(pair.setting, 1, Transport::ReliableConnection).memory;
    let local = pair.sge(0, 0, 8);
    pair.work(0, 1, Work::Read(Remote { address: stranger.address, key: stranger.key }), &[local]);
    pair.failure(0, Status::RemoteAccess);
}

fn queue_pairs_have_rights_too(setting: &mut dyn Setting) {
    let transport = Transport::ReliableConnection;
    let sides = [0, 1].map(|end| Side::new(setting, end, transport));
    let mut pair = Pair { setting, sides };
    pair.modify(0, &Transition::Initialize { access: ALL, queue_key: 0 });
    pair.modify(1, &Transition::Initialize { access: Access::REMOTE_READ, queue_key: 0 });
    pair.raise(0, transport, 2);
    pair.raise(1, transport, 2);
    let (local, remote) = (pair.sge(0, 0, 8), pair.remote(1, 0));
    pair.work(0, 1, Work::Read(remote), &[local]);
    pair.success(0);
    pair.work(0, 2, Work::Write(remote), &[local]);
    pair.failure(0, Status::RemoteAccess);
}

pub(super) fn windows(setting: &mut dyn Setting) {
    for kind in [WindowKind::Domain, WindowKind::QueuePair] {
        let mut pair = Pair::connected(setting);
        let pd = pair.sides[1].pd;
        let window = pair.setting.end(1).0.alloc_window(pd, kind).unwrap().with_life(3);
        let part = pair.sge(1, 100, 50);
        pair.work(1, 1, Work::Bind { window, part, access: Access::REMOTE_WRITE }, &[]);
        assert_eq!(pair.success(1).kind, CompletionKind::Bind);
        let bytes = pattern(50, 4);
        pair.fill(0, 0, &bytes);
        let (local, remote) = (pair.sge(0, 0, 50), Remote { address: part.address, key: window });
        pair.work(0, 2, Work::Write(remote), &[local]);
        pair.success(0);
        assert_eq!(pair.bytes(1, 100, 50), bytes);
        if kind == WindowKind::QueuePair {
            pair.work(1, 3, Work::Invalidate(window), &[]);
        } else {
            let none = Sge { len: 0, ..part };
            pair.work(1, 3, Work::Bind { window, part: none, access: Access::NONE }, &[]);
        }
        pair.success(1);
        pair.work(0, 4, Work::Write(remote), &[local]);
        pair.failure(0, Status::RemoteAccess);
    }
    let mut pair = Pair::connected(setting);
    let pd = pair.sides[1].pd;
    let window = pair.setting.end(1).0.alloc_window(pd, WindowKind::Domain).unwrap();
    let part = pair.sge(1, super::pair::MEMORY, 1);
    pair.work(1, 1, Work::Bind { window, part, access: Access::REMOTE_READ }, &[]);
    pair.failure(1, Status::WindowBind);
}

pub(super) fn registered_by_work(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (pd, span) = (pair.sides[1].pd, pair.sides[1].span);
    let key = pair.setting.end(1).0.alloc_region(pd, 2).unwrap();
    let local = pair.sge(0, 0, 600);
    pair.fill(0, 0, &pattern(600, 8));
    for round in 1..4 {
        let key = key.with_life(key.life().wrapping_add(round));
        let pieces = [span.slice(5000, 500), span.slice(1000, 500)];
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE);
        let (from, to) = (pair.sge(1, 0, 64), pair.sge(0, 2000, 64));
        pair.receive(0, 7, &[to]);
        pair.work(1, 1, Work::Register { key, pieces: &pieces, address: 9, access }, &[]);
        // What follows work that concerns no peer is not held up by it.
        pair.work(1, 5, Work::Send, &[from]);
        assert_eq!(pair.success(1).kind, CompletionKind::Register);
        assert_eq!(pair.success(0).kind, CompletionKind::Receive);
        assert_eq!(pair.success(1).kind, CompletionKind::Send);
        pair.work(0, 2, Work::Write(Remote { address: 9, key }), &[local]);
        pair.success(0);
        assert_eq!(pair.bytes(1, 5000, 500), pattern(600, 8)[..500]);
        assert_eq!(pair.bytes(1, 1000, 100), pattern(600, 8)[500..]);
        if round == 3 {
            let other = key.with_life(key.life().wrapping_add(1));
            let mut close = |key| pair.setting.end(1).0.close_region(pd, key);
            assert_eq!([other, key, key].map(&mut close), [false, true, false], "at once, and once");
            continue;
        }
        pair.work(1, 3, Work::Invalidate(key), &[]);
        assert_eq!(pair.success(1).kind, CompletionKind::Invalidate);
    }
    pair.work(0, 4, Work::Write(Remote { address: 9, key }), &[local]);
    pair.failure(0, Status::RemoteAccess);
    registered_behind_what_is_sent_again(setting);
}

/// Memory is registered behind a message that finds no receive, and the peer told of it by another: all is done once, in order.
fn registered_behind_what_is_sent_again(setting: &mut dyn Setting) {
    let transport = Transport::ReliableConnection;
    let sides = [0, 1].map(|end| Side::new(setting, end, transport));
    let mut pair = Pair { setting, sides };
    for end in [0, 1] {
        pair.modify(end, &Transition::Initialize { access: ALL, queue_key: 0 });
    }
    for end in [0, 1] {
        pair.raise(end, transport, TRIES_WITHOUT_END);
    }
    let (pd, span) = (pair.sides[1].pd, pair.sides[1].span);
    let keys = [0, 1].map(|_| pair.setting.end(1).0.alloc_region(pd, 1).unwrap());
    let (from, access) = (pair.sge(1, 0, 64), Access::LOCAL_WRITE.with(Access::REMOTE_WRITE));
    for (id, key) in (0..).zip(keys) {
        let pieces = [span.slice(1000 * (id as usize + 1), 100)];
        pair.work(1, 3 * id, Work::Send, &[from]);
        pair.work(1, 3 * id + 1, Work::Register { key, pieces: &pieces, address: 0, access }, &[]);
        pair.work(1, 3 * id + 2, Work::Send, &[from]);
    }
    pair.settle();
    for id in 0..4 {
        let to = pair.sge(0, 64 * id, 64);
        pair.receive(0, id, &[to]);
        pair.settle();
    }
    let done = pair.completions(1, 6);
    assert!(done.iter().map(|done| (done.id, done.status)).eq((0..6).map(|id| (id, Status::Success))));
    let received: Vec<_> = pair.completions(0, 4).iter().map(|done| done.id).collect();
    assert_eq!(received, [0, 1, 2, 3]);
    let local = pair.sge(0, 2000, 100);
    pair.fill(0, 2000, &pattern(100, 3));
    for (place, key) in [1000, 2000].into_iter().zip(keys) {
        pair.work(0, 9, Work::Write(Remote { address: 0, key }), &[local]);
        pair.success(0);
        assert_eq!(pair.bytes(1, place, 100), pattern(100, 3));
    }
}

pub(super) fn invalidated_by_peer(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (pd, span) = (pair.sides[1].pd, pair.sides[1].span);
    let key = pair.setting.end(1).0.alloc_region(pd, 1).unwrap().with_life(200);
    let access = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE);
    pair.work(1, 1, Work::Register { key, pieces: &[span], address: 0, access }, &[]);
    pair.success(1);
    let (local, to) = (pair.sge(0, 0, 2000), pair.sge(1, 0, 2000));
    pair.receive(1, 2, &[to]);
    pair.work(0, 3, Work::SendInvalidate(key), &[local]);
    let done = pair.success(1);
    assert_eq!((done.invalidated, done.len, done.immediate), (Some(key), 2000, None));
    pair.success(0);
    pair.work(0, 4, Work::Write(Remote { address: 0, key }), &[local]);
    pair.failure(0, Status::RemoteAccess);
    // What was registered for good cannot be closed by a peer.
    let mut pair = Pair::connected(setting);
    let (key, to) = (pair.sides[1].memory.key, pair.sge(1, 0, 10));
    pair.receive(1, 5, &[to]);
    pair.work(0, 6, Work::SendInvalidate(key), &[]);
    let status = pair.completions(0, 1)[0].status;
    assert!(matches!(status, Status::RemoteAccess | Status::RemoteOperation), "{status:?}");
}

/// The retry count that means without end.
const TRIES_WITHOUT_END: u8 = 7;
