//! Datagram queue pairs.

use super::Setting;
use super::pair::{Pair, pattern};
use crate::{Destination, Origin, QpState, Status, Transport, Work};

const GRH: usize = 40;

pub(super) fn arrive(setting: &mut dyn Setting) {
    let mut pair = Pair::of(setting, Transport::UnreliableDatagram);
    let to = destination(&mut pair, 0x1234);
    for (len, immediate) in [(0, None), (1, Some(3)), (1024, None), (333, Some(u32::MAX))] {
        let bytes = pattern(len, 5);
        pair.fill(0, 0, &bytes);
        let (from, into) = (pair.sge(0, 0, len as u32), pair.sge(1, 0, 2000));
        pair.receive(1, 7, &[into]);
        pair.work(0, 8, Work::Datagram { to, immediate }, &[from]);
        let received = pair.success(1);
        assert_eq!((received.id, received.len), (7, (GRH + len) as u32));
        let origin = Origin { address: pair.setting.address(0), qpn: pair.info(0).qpn };
        assert_eq!((received.origin, received.immediate), (Some(origin), immediate));
        assert_eq!(pair.bytes(1, GRH, len), bytes);
        pair.success(0);
    }
}

pub(super) fn wrong_key(setting: &mut dyn Setting) {
    let mut pair = Pair::of(setting, Transport::UnreliableDatagram);
    let right = destination(&mut pair, 0x1234);
    let into = pair.sge(1, 0, 2000);
    let from = pair.sge(0, 0, 10);
    pair.receive(1, 1, &[into]);
    for to in [destination(&mut pair, 0x1235), Destination { qpn: right.qpn ^ 0x1_0000, ..right }] {
        pair.work(0, 1, Work::Datagram { to, immediate: None }, &[from]);
        pair.success(0);
    }
    pair.settle();
    assert_eq!(pair.polled(1), []);
    assert_eq!(pair.state(1), QpState::ReadyToSend);
    // The highest bit asks for the sender's own key, which is the right one.
    let to = Destination { queue_key: 0x8000_0000, ..right };
    pair.work(0, 2, Work::Datagram { to, immediate: None }, &[from]);
    pair.success(1);
}

pub(super) fn too_long(setting: &mut dyn Setting) {
    let mut pair = Pair::of(setting, Transport::UnreliableDatagram);
    let to = destination(&mut pair, 0x1234);
    let from = pair.sge(0, 0, 4097);
    pair.work(0, 1, Work::Datagram { to, immediate: None }, &[from]);
    pair.failure(0, Status::LocalLength);
}

fn destination(pair: &mut Pair<'_>, queue_key: u32) -> Destination {
    Destination { address: pair.setting.address(1), qpn: pair.info(1).qpn, queue_key }
}
