//! A station tells what happened before it waits.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use verbs::loopback::Loopback;
use verbs::station::{DATAGRAM_QUEUE_KEY, Happening, Station};
use verbs::{
    Access, CompletionKind, Data, Destination, Limits, Provider, ReceiveQueue, Receives, SendRequest, Status,
    Transition, Transport, Work,
};

#[test]
fn what_is_done_at_once_is_told_at_once() {
    let device = Loopback::new(Limits::default(), ADDRESS);
    let mut station = Station::new(StillEnv::new(1), device, 16).unwrap();
    let receives = Receives::Own { entries: 4, sges: 1 };
    let qp = station.queue_pair(Transport::UnreliableDatagram, receives, 4, Access::NONE).unwrap();
    let ready = Transition::ReadyToSend {
        psn: 0,
        ack_timeout: 0,
        retry_count: 0,
        rnr_retry_count: 0,
        initiator_depth: 0,
    };
    station.device.modify_qp(qp, &Transition::ReadyToReceive(None)).unwrap();
    station.device.modify_qp(qp, &ready).unwrap();
    let memory = station.memory(100, Access::LOCAL_WRITE).unwrap();
    assert!(station.receive(ReceiveQueue::Own(qp), 1, &memory, 0, 100));
    let qpn = station.device.query_qp(qp).unwrap().qpn;
    let to = Destination { address: ADDRESS, qpn, queue_key: DATAGRAM_QUEUE_KEY };
    let work = Work::Datagram { to, immediate: None };
    station.device.post_send(qp, SendRequest::new(2, work, Data::Inline(b"hello"))).unwrap();

    let began = station.env.now();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let Some(Happening::Done(done)) = station.next(Some(began + Duration::from_secs(1))) else {
            panic!("nothing was done");
        };
        assert_eq!(done.status, Status::Success);
        kinds.push(done.kind);
    }
    assert!(kinds.contains(&CompletionKind::Send) && kinds.contains(&CompletionKind::Receive), "{kinds:?}");
    assert_eq!(station.env.now(), began, "it waited though there was something to tell");
    assert_eq!(station.next(Some(began + Duration::from_secs(1))), None);
    assert!(
        station.env.now() >= began + Duration::from_secs(1),
        "it did not wait for what was still to come"
    );
}

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
