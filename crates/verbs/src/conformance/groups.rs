//! Multicast groups.

use super::Setting;
use super::pair::{Pair, pattern};
use crate::{AttachError, Destination, MULTICAST_QPN, Transport, Work};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const GRH: usize = 40;

pub(super) fn members(setting: &mut dyn Setting) {
    let group = group(setting);
    let mut pair = Pair::of(setting, Transport::UnreliableDatagram);
    let to = Destination { address: group, qpn: MULTICAST_QPN, queue_key: 0x1234 };
    let (from, into) = (pair.sge(0, 0, 100), pair.sge(1, 0, 2000));
    let bytes = pattern(100, 3);
    pair.fill(0, 0, &bytes);
    pair.receive(1, 1, &[into]);
    // Who is no member gets nothing, and neither do members without the key.
    pair.work(0, 1, Work::Datagram { to, immediate: None }, &[from]);
    pair.success(0);
    let other = Destination { queue_key: 0x1235, ..to };
    attach(&mut pair, group).unwrap();
    pair.work(0, 2, Work::Datagram { to: other, immediate: None }, &[from]);
    pair.success(0);
    pair.settle();
    assert_eq!(pair.polled(1), []);
    pair.work(0, 3, Work::Datagram { to, immediate: Some(7) }, &[from]);
    let received = pair.success(1);
    assert_eq!((received.len, received.immediate), ((GRH + 100) as u32, Some(7)));
    assert_eq!(received.origin.map(|origin| origin.qpn), Some(pair.info(0).qpn));
    assert_eq!(pair.bytes(1, GRH, 100), bytes);
    pair.success(0);
    pair.receive(1, 2, &[into]);
    detach(&mut pair, group).unwrap();
    pair.work(0, 4, Work::Datagram { to, immediate: None }, &[from]);
    pair.success(0);
    pair.settle();
    assert_eq!(pair.polled(1), []);
}

pub(super) fn refused(setting: &mut dyn Setting) {
    let group = group(setting);
    let mut pair = Pair::of(setting, Transport::UnreliableDatagram);
    let own = pair.setting.address(1);
    assert_eq!(attach(&mut pair, own), Err(AttachError::Address));
    assert_eq!(detach(&mut pair, group), Err(AttachError::NotFound));
    let mut pair = Pair::of(setting, Transport::ReliableConnection);
    assert_eq!(attach(&mut pair, group), Err(AttachError::Unsupported));
}

fn attach(pair: &mut Pair<'_>, group: IpAddr) -> Result<(), AttachError> {
    let qp = pair.sides[1].qp;
    let (device, env) = pair.setting.end(1);
    device.attach(env, qp, group)
}

fn detach(pair: &mut Pair<'_>, group: IpAddr) -> Result<(), AttachError> {
    let qp = pair.sides[1].qp;
    let (device, env) = pair.setting.end(1);
    device.detach(env, qp, group)
}

/// A group of the ends' version: for documentation (RFC 6676), and one that does not leave its link.
fn group(setting: &dyn Setting) -> IpAddr {
    if setting.address(1).is_ipv4() {
        Ipv4Addr::new(233, 252, 0, 7).into()
    } else {
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0xdb8, 7).into()
    }
}
