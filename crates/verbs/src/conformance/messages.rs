//! Sends and receives.

use super::Setting;
use super::pair::{Pair, RECEIVE_ENTRIES, SGES, pattern};
use crate::{CompletionKind, Data, PostError, SendRequest, Transport, Work};
use stdx::mem::{Kind, Span};

pub(super) fn of_all_lengths(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    for (round, len) in [0, 1, 3, 4, 1023, 1024, 1025, 2048, 5000, 100_001].into_iter().enumerate() {
        let bytes = pattern(len, round as u8);
        pair.fill(0, 0, &bytes);
        let (from, to) = (pair.sge(0, 0, len as u32), pair.sge(1, 0, 120_000));
        pair.receive(1, 100, &[to]);
        pair.work(0, 200, Work::Send, &[from]);
        let received = pair.success(1);
        assert_eq!((received.id, received.kind), (100, CompletionKind::Receive));
        assert_eq!((received.len, received.qp), (len as u32, pair.sides[1].qp));
        assert_eq!((received.immediate, received.invalidated, received.origin), (None, None, None));
        assert_eq!(pair.bytes(1, 0, len), bytes, "{len} bytes");
        let sent = pair.success(0);
        assert_eq!((sent.id, sent.kind, sent.qp), (200, CompletionKind::Send, pair.sides[0].qp));
    }
}

pub(super) fn in_order(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let count = u64::from(RECEIVE_ENTRIES);
    for round in 0..3u8 {
        for id in 0..count {
            let to = pair.sge(1, id * 4096, 4096);
            pair.receive(1, id, &[to]);
            let bytes = pattern(3000, id as u8 ^ round);
            pair.fill(0, id as usize * 4096, &bytes);
            let from = pair.sge(0, id * 4096, 3000);
            pair.work(0, 1000 + id, Work::Send, &[from]);
        }
        let received: Vec<_> = pair.completions(1, count as usize).iter().map(|done| done.id).collect();
        assert_eq!(received, (0..count).collect::<Vec<_>>());
        let sent: Vec<_> = pair.completions(0, count as usize).iter().map(|done| done.id).collect();
        assert_eq!(sent, (1000..1000 + count).collect::<Vec<_>>());
        for id in 0..count {
            assert_eq!(pair.bytes(1, id as usize * 4096, 3000), pattern(3000, id as u8 ^ round));
        }
    }
    assert_eq!(pair.polled(0), []);
    assert_eq!(pair.polled(1), []);
}

pub(super) fn with_immediate_data(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    for len in [0, 10, 3000] {
        let (from, to) = (pair.sge(0, 0, len), pair.sge(1, 0, 4000));
        pair.receive(1, 1, &[to]);
        pair.work(0, 2, Work::SendImmediate(0xdead_beef), &[from]);
        let received = pair.success(1);
        assert_eq!((received.immediate, received.len), (Some(0xdead_beef), len));
        pair.success(0);
    }
}

pub(super) fn gathered_and_scattered(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let bytes = pattern(6000, 3);
    pair.fill(0, 10, &bytes[..1500]);
    pair.fill(0, 20_000, &bytes[1500..1501]);
    pair.fill(0, 5000, &bytes[1501..]);
    let from = [pair.sge(0, 10, 1500), pair.sge(0, 20_000, 1), pair.sge(0, 0, 0), pair.sge(0, 5000, 4499)];
    let to = [pair.sge(1, 1, 999), pair.sge(1, 8000, 3), pair.sge(1, 2000, 4998), pair.sge(1, 9000, 500)];
    pair.receive(1, 1, &to);
    pair.work(0, 2, Work::Send, &from);
    assert_eq!(pair.success(1).len, 6000);
    assert_eq!(pair.bytes(1, 1, 999), bytes[..999]);
    assert_eq!(pair.bytes(1, 8000, 3), bytes[999..1002]);
    assert_eq!(pair.bytes(1, 2000, 4998), bytes[1002..]);
    assert_eq!(pair.bytes(1, 9000, 500), [0; 500], "the rest of the list stays as it was");
    assert_eq!(pair.bytes(1, 0, 1), [0]);
    pair.success(0);
}

pub(super) fn inline(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let mut bytes = *b"these bytes change after the request was posted";
    let to = pair.sge(1, 0, 100);
    pair.receive(1, 1, &[to]);
    pair.receive(1, 2, &[to]);
    pair.send(0, SendRequest::new(3, Work::Send, Data::Inline(&bytes)));
    bytes.fill(0);
    let remote = pair.remote(1, 500);
    pair.send(0, SendRequest::new(4, Work::Write(remote), Data::Inline(b"written inline")));
    pair.send(0, SendRequest::new(5, Work::Send, Data::Inline(&[])));
    assert_eq!(pair.success(1).len, 47);
    assert_eq!(pair.success(1).len, 0);
    assert_eq!(pair.bytes(1, 0, 47), b"these bytes change after the request was posted");
    assert_eq!(pair.bytes(1, 500, 14), b"written inline");
    pair.completions(0, 3);
}

pub(super) fn of_own_memory(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let mem = pair.setting.end(0).1.mem();
    let unknown = mem.map(Kind::Shared, 8192).expect("memory");
    let span = mem.whole(unknown).first(8192);
    let bytes = pattern(6000, 5);
    mem.write(span.slice(100, 1500), &bytes[..1500]);
    mem.write(span.slice(3000, 4500), &bytes[1500..]);
    let list = [span.slice(100, 1500), Span::EMPTY, span.slice(3000, 4500)];
    let (to, remote) = (pair.sge(1, 0, 6000), pair.remote(1, 10_000));
    pair.receive(1, 1, &[to]);
    pair.send(0, SendRequest::new(2, Work::Send, Data::Own(&list)));
    assert_eq!(pair.success(1).len, 6000);
    pair.success(0);
    assert_eq!(pair.bytes(1, 0, 6000), bytes);
    pair.send(0, SendRequest::new(3, Work::Write(remote), Data::Own(&list)));
    pair.success(0);
    assert_eq!(pair.bytes(1, 10_000, 6000), bytes);
    let back = [span.slice(7000, 1000), span.slice(0, 100)];
    pair.send(0, SendRequest::new(4, Work::Read(remote), Data::Own(&back)));
    assert_eq!(pair.success(0).len, 1100);
    let mut read = [0; 1100];
    let mem = pair.setting.end(0).1.mem();
    mem.read(back[0], &mut read[..1000]);
    mem.read(back[1], &mut read[1000..]);
    assert_eq!(read, bytes[..1100]);
    let long = [span.first(1); SGES as usize + 1];
    let refused = pair.try_send(0, SendRequest::new(5, Work::Send, Data::Own(&long)));
    assert_eq!(refused, Err(PostError::TooLong));
    pair.settle();
    pair.setting.end(0).1.mem().unmap(unknown);
}

pub(super) fn unsignaled(setting: &mut dyn Setting) {
    let mut pair = Pair::connected(setting);
    let (from, to) = (pair.sge(0, 0, 10), pair.sge(1, 0, 10));
    for round in 0..40u64 {
        pair.receive(1, round, &[to]);
        let signaled = round % 8 == 7;
        let list = [from];
        let request = SendRequest { signaled, ..SendRequest::new(round, Work::Send, Data::Gather(&list)) };
        pair.send(0, request);
        pair.success(1);
        if signaled {
            assert_eq!(pair.success(0).id, round);
        }
    }
    pair.settle();
    assert_eq!(pair.polled(0), []);
    assert_eq!(pair.info(0).sends, 0);
}

pub(super) fn unreliable(setting: &mut dyn Setting) {
    let mut pair = Pair::of(setting, Transport::UnreliableConnection);
    let bytes = pattern(5000, 9);
    pair.fill(0, 0, &bytes);
    let (from, to) = (pair.sge(0, 0, 5000), pair.sge(1, 0, 5000));
    pair.receive(1, 1, &[to]);
    pair.work(0, 2, Work::SendImmediate(7), &[from]);
    let received = pair.success(1);
    assert_eq!((received.len, received.immediate), (5000, Some(7)));
    assert_eq!(pair.bytes(1, 0, 5000), bytes);
    pair.success(0);
    let remote = pair.remote(1, 10_000);
    pair.work(0, 3, Work::Write(remote), &[from]);
    pair.success(0);
    pair.settle();
    assert_eq!(pair.bytes(1, 10_000, 5000), bytes);
    // Without a receive the message is lost, and nobody is told.
    pair.work(0, 4, Work::Send, &[from]);
    pair.success(0);
    pair.settle();
    pair.receive(1, 5, &[to]);
    pair.work(0, 6, Work::Send, &[from]);
    assert_eq!(pair.success(1).id, 5);
    pair.success(0);
}
