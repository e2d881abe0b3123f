//! Management datagrams and datagrams of strangers, forged and wrong: what they are met with, and that they exhaust nothing
//! and end nothing that is not theirs (12.4, 12.9, 9.8.3).

mod support;

use std::net::SocketAddr;
use std::time::Duration;
use stdx::env::{Env, Owner};
use stdx::mem::Kind;
use support::{Faults, Packet, World, forge};
use verbs::conformance::Setting;
use verbs::{
    Accept, Access, Connect, ConnectionEvent, ConnectionId, ConnectionWhat, Connections, CqId, Limits,
    MULTICAST_QPN, Parameters, PortSpace, Provider, QpId, QpInit, QpState, ReceiveQueue, ReceiveRequest,
    Receives, Registration, Transition, Transport,
};
use wire::cm::{
    ConnectReply, ConnectRequest, DisconnectRequest, MAD_LEN, Message, PortSpace as Space, Reject,
    RejectReason, Rejected, Service, ServiceId,
};
use wire::roce::{Deth, Extension, GENERAL_SERVICES_Q_KEY, Headers, Opcode, Psn};

const HERE: &str = "10.0.0.1";
const THERE: &str = "10.0.0.2";
const PORT: u16 = 7000;
const BACKLOG: u32 = 16;
const QUEUE_KEY: u32 = 0x1234;

/// Two devices; the second listens.
struct Lab {
    world: World,
    heard: usize,
}

#[test]
fn a_hundred_thousand_forged_requests_exhaust_nothing() {
    let mut lab = Lab::new();
    let template = lab.request();
    for number in 0..100_000_u32 {
        let request = ConnectRequest { local_id: number, qpn: number, ..template };
        let source = format!("10.{}.{}.{}", 1 + (number >> 16), number >> 8 & 0xff, number & 0xff);
        lab.inject(forge::message(&Message::ConnectRequest(request), &source, THERE));
        if number % 100 == 0 {
            lab.settle();
            lab.world.net.borrow_mut().record.as_mut().unwrap().clear();
        }
    }
    lab.settle();
    let asked = lab.requested();
    assert_eq!(asked.len(), BACKLOG as usize, "no more wait for an answer than may");
    for connection in asked {
        lab.world.devices[1].reject(connection, &[]).unwrap();
    }
    lab.connect();
}

#[test]
fn requests_that_cannot_be_granted_are_refused_with_the_reason() {
    let template = Lab::new().request();
    let mut datagram = template;
    datagram.service = Service::ReliableDatagram;
    let mut nobody = template;
    nobody.service_id = ServiceId::of_port(Space::Tcp, PORT + 1);
    let mut large = template;
    large.path_mtu = 7;
    let mut headless = template;
    headless.private_data = [0xff; 92];
    for (request, reason) in [
        (datagram, RejectReason::InvalidTransportService),
        (nobody, RejectReason::InvalidServiceId),
        (large, RejectReason::InvalidPathMtu),
        (headless, RejectReason::InvalidServiceId),
    ] {
        let mut lab = Lab::new();
        lab.hear();
        lab.inject(forge::message(&Message::ConnectRequest(request), HERE, THERE));
        lab.settle();
        let answers = lab.hear();
        let [Message::Reject(reject)] = answers[..] else { panic!("{answers:?}") };
        assert_eq!((reject.reason, reject.remote_id), (reason.code(), request.local_id));
        assert_eq!(lab.requested(), []);
    }
}

#[test]
fn management_datagrams_that_lie_are_dropped() {
    let mut lab = Lab::new();
    let (_, _, pairs) = lab.connect();
    let good = Message::ConnectRequest(lab.request()).encode(5);
    let mut lies = Vec::new();
    for len in [0, 1, 23, 24, 255, 257, 300, 1024, 4000] {
        let mut bytes = good.to_vec();
        bytes.resize(len, 0xff);
        lies.push(forge::management(&bytes, GENERAL_SERVICES_Q_KEY, HERE, THERE));
    }
    lies.push(forge::management(&good, QUEUE_KEY, HERE, THERE));
    lies.push(forge::management_of(0x8001, &good, GENERAL_SERVICES_Q_KEY, HERE, THERE));
    // Version, class, its version, method, attribute, transport service.
    for at in [0, 1, 2, 3, 16, 17] {
        let mut bytes = good;
        bytes[at] ^= 0x7f;
        lies.push(forge::management(&bytes, GENERAL_SERVICES_Q_KEY, HERE, THERE));
    }
    let count = lies.len() as u64;
    lab.hear();
    for lie in lies {
        lab.inject(lie);
        lab.settle();
    }
    assert_eq!(lab.hear(), []);
    assert_eq!(lab.requested(), []);
    assert_eq!(lab.world.devices[1].counters().bad_mads, count);
    // Lengths that are too long within messages that are long enough.
    for len in [73, 255] {
        let reject = Reject {
            local_id: 1,
            remote_id: 2,
            message: Rejected::Request,
            information_len: len,
            reason: 28,
            information: [0; 72],
            private_data: [0; 148],
        };
        let mut bytes = Message::Reject(reject).encode(1);
        bytes[24 + 9] = len << 1;
        lab.inject(forge::management(&bytes, GENERAL_SERVICES_Q_KEY, HERE, THERE));
        lab.settle();
    }
    assert_eq!(lab.states(pairs), [QpState::ReadyToSend; 2]);
}

#[test]
fn strangers_end_no_connection() {
    let mut lab = Lab::new();
    let (_, _, pairs) = lab.connect();
    let all = lab.world.net.borrow().record.clone().unwrap();
    let mut replies = all.iter().filter_map(forge::message_of).filter_map(|message| match message {
        Message::ConnectReply(reply) => Some(reply),
        _ => None,
    });
    let reply = replies.next_back().unwrap();
    let qpn = lab.world.devices[1].query_qp(pairs[1]).unwrap().qpn;
    let end = |local_id, remote_id, remote_qpn| {
        let request = DisconnectRequest { local_id, remote_id, remote_qpn, private_data: [0; 220] };
        Message::DisconnectRequest(request)
    };
    let refusal = |local_id, remote_id| {
        let message = Rejected::Reply;
        let (information, private_data) = ([0; 72], [0; 148]);
        Message::Reject(Reject {
            local_id,
            remote_id,
            message,
            information_len: 0,
            reason: 4,
            information,
            private_data,
        })
    };
    let (theirs, ours) = (reply.remote_id, reply.local_id);
    for packet in [
        forge::message(&end(theirs, ours, qpn), "10.0.0.3", THERE),
        forge::message(&refusal(theirs, ours), "10.0.0.3", THERE),
        forge::message(&end(theirs ^ 1, ours, qpn), HERE, THERE),
        forge::message(&end(theirs, ours ^ 1, qpn), HERE, THERE),
        forge::message(&end(theirs, ours, qpn ^ 1), HERE, THERE),
        forge::message(&refusal(theirs ^ 1, ours), HERE, THERE),
    ] {
        lab.inject(packet);
        lab.settle();
        assert_eq!(lab.states(pairs), [QpState::ReadyToSend; 2]);
    }
    lab.inject(forge::message(&end(theirs, ours, qpn), HERE, THERE));
    lab.settle();
    assert_eq!(lab.states(pairs)[1], QpState::Error, "who is right is heard");
}

#[test]
fn a_peer_that_came_back_ends_its_old_connection() {
    let mut lab = Lab::new();
    let (_, there, pairs) = lab.connect();
    let template = lab.request();
    let qpn = lab.world.devices[0].query_qp(pairs[0]).unwrap().qpn;
    lab.hear();
    let again = ConnectRequest { local_id: 4711, qpn, ..template };
    lab.inject(forge::message(&Message::ConnectRequest(again), HERE, THERE));
    lab.settle();
    let answers = lab.hear();
    let stale = |message: &Message| {
        matches!(message, Message::Reject(reject)
            if reject.reason == RejectReason::StaleConnection.code() && reject.remote_id == 4711)
    };
    assert!(answers.iter().any(stale), "{answers:?}");
    assert!(answers.iter().any(|message| matches!(message, Message::DisconnectRequest(_))), "{answers:?}");
    assert_eq!(lab.states(pairs)[1], QpState::Error);
    let event = lab.event(1);
    assert_eq!((event.connection, event.what), (there, ConnectionWhat::Disconnected));
    // What was old is gone, and the queue pair may be connected anew.
    lab.inject(forge::message(&Message::ConnectRequest(again), HERE, THERE));
    lab.settle();
    assert_eq!(lab.requested().len(), 1);
}

#[test]
fn a_peer_that_came_back_and_answers_ends_its_old_connection() {
    let mut lab = Lab::new();
    let (here, _, pairs) = lab.connect();
    let all = lab.world.net.borrow().record.clone().unwrap();
    let old = all.iter().filter_map(forge::message_of).find_map(|message| match message {
        Message::ConnectReply(reply) => Some(reply),
        _ => None,
    });
    let pair = lab.pair(0, Transport::ReliableConnection);
    let asked = lab.ask(pair);
    lab.hear();
    lab.settle();
    let request = lab.hear().into_iter().find_map(|message| match message {
        Message::ConnectRequest(request) => Some(request),
        _ => None,
    });
    // The same queue pair as that of the connection that is there.
    let again = ConnectReply { local_id: 4711, remote_id: request.unwrap().local_id, ..old.unwrap() };
    lab.inject(forge::message(&Message::ConnectReply(again), THERE, HERE));
    lab.settle();
    let answers = lab.hear();
    let stale = |message: &Message| {
        matches!(message, Message::Reject(reject) if reject.remote_id == 4711
            && (reject.reason, reject.message) == (RejectReason::StaleConnection.code(), Rejected::Reply))
    };
    assert!(answers.iter().any(stale), "{answers:?}");
    assert!(answers.iter().any(|message| matches!(message, Message::DisconnectRequest(_))), "{answers:?}");
    assert_eq!(lab.states([pairs[0], pairs[1]])[0], QpState::Error);
    let events = [lab.event(0), lab.event(0)];
    let refused = |event: &ConnectionEvent| {
        event.connection == asked && matches!(event.what, ConnectionWhat::Rejected { .. })
    };
    assert!(events.iter().any(refused), "{events:?}");
    let ended =
        |event: &ConnectionEvent| event.connection == here && event.what == ConnectionWhat::Disconnected;
    assert!(events.iter().any(ended), "{events:?}");
}

#[test]
fn who_asks_is_told_to_wait_before_asking_again() {
    let mut lab = Lab::new();
    let qp = lab.pair(0, Transport::ReliableConnection);
    lab.ask(qp);
    let until = lab.world.envs[0].now() + Duration::from_millis(2500);
    while lab.world.envs[0].now() < until {
        lab.world.turn();
    }
    let heard = lab.hear();
    let requests = heard.iter().filter(|message| matches!(message, Message::ConnectRequest(_)));
    assert_eq!(requests.count(), 1, "{heard:?}");
    let receipts = heard.iter().filter(|message| matches!(message, Message::MessageReceiptAck(_)));
    assert!(receipts.count() >= 2, "{heard:?}");
}

#[test]
fn who_asks_waits_as_long_as_the_answer_takes() {
    let mut lab = Lab::new();
    let qp = lab.pair(0, Transport::ReliableConnection);
    let here = lab.ask(qp);
    let asked = lab.event(1).connection;
    let until = lab.world.envs[0].now() + Duration::from_secs(20);
    while lab.world.envs[0].now() < until {
        lab.world.turn();
    }
    assert!(lab.world.devices[0].poll_connection().is_none(), "it is still waited for");
    let is_receipt = |message: &Message| matches!(message, Message::MessageReceiptAck(_));
    assert!(lab.hear().iter().any(is_receipt));
    let other = lab.pair(1, Transport::ReliableConnection);
    lab.accept(asked, other);
    let event = lab.event(0);
    assert!(matches!(event.what, ConnectionWhat::Established { .. }), "{event:?}");
    assert_eq!(event.connection, here);
}

#[test]
fn unreliable_connections_are_connected_with_their_kind_alone() {
    let mut lab = Lab::new();
    let qp = lab.pair(0, Transport::UnreliableConnection);
    lab.ask(qp);
    let asked = lab.event(1).connection;
    let (wrong, right) =
        (lab.pair(1, Transport::ReliableConnection), lab.pair(1, Transport::UnreliableConnection));
    let accept = |qp| Accept { qp, parameters: Parameters::default(), queue_key: 0, private_data: &[] };
    let (device, env) = lab.world.end(1);
    assert!(device.accept(env, Owner(1), asked, &accept(wrong)).is_err());
    lab.accept(asked, right);
    assert!(matches!(lab.event(0).what, ConnectionWhat::Established { .. }));
    assert_eq!(lab.states([qp, right]), [QpState::ReadyToSend; 2]);
}

#[test]
fn datagrams_with_anything_wrong_use_no_receive() {
    let mut lab = Lab::new();
    let qp = lab.pair(1, Transport::UnreliableDatagram);
    let (device, env) = lab.world.end(1);
    let region = env.mem().map(Kind::Shared, 8192).unwrap();
    let span = env.mem().whole(region);
    let info = device.query_qp(qp).unwrap();
    let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
    let memory = device.register(env, info.pd, &registration).unwrap();
    device.modify_qp(qp, &Transition::ReadyToReceive(None)).unwrap();
    let request = ReceiveRequest { id: 9, scatter: &[memory.sge(0, 8192)] };
    device.post_receive(ReceiveQueue::Own(qp), request).unwrap();
    let deth = Deth { queue_key: QUEUE_KEY, source: 0x99 };
    let headers = |opcode, deth| Headers {
        bth: forge::bth(opcode, info.qpn, Psn::new(0)),
        extension: Extension::Datagram(deth),
    };
    let right = headers(Opcode::UdSendOnly, deth);
    let wrong_key = headers(Opcode::UdSendOnly, Deth { queue_key: QUEUE_KEY ^ 1, ..deth });
    let mut wrong_partition = right;
    wrong_partition.bth.partition_key = 0x7123;
    let mut nobody = right;
    nobody.bth.destination ^= 0x1_0000;
    let connected =
        Headers { bth: forge::bth(Opcode::RcSendOnly, info.qpn, Psn::new(0)), extension: Extension::Plain };
    for (headers, len) in
        [(wrong_key, 8), (wrong_partition, 8), (nobody, 8), (connected, 8), (right, 4100), (right, 6000)]
    {
        lab.inject(forge::seal(&headers, &vec![7; len], HERE, THERE));
        lab.settle();
        assert_eq!(lab.world.devices[1].query_qp(qp).unwrap().receives, 1, "{headers:?} of {len}");
    }
    lab.inject(forge::seal(&right, &[7; 8], HERE, THERE));
    lab.settle();
    let left = lab.world.devices[1].query_qp(qp).unwrap();
    assert_eq!((left.receives, left.state), (0, QpState::ReadyToReceive));
}

#[test]
fn what_is_sent_to_a_group_reaches_members_alone_and_only_if_it_is_right() {
    const GROUP: &str = "239.1.2.3";
    let mut lab = Lab::new();
    let (member, other) =
        (lab.pair(1, Transport::UnreliableDatagram), lab.pair(1, Transport::UnreliableDatagram));
    let (device, env) = lab.world.end(1);
    let region = env.mem().map(Kind::Shared, 8192).unwrap();
    let span = env.mem().whole(region);
    for qp in [member, other] {
        let pd = device.query_qp(qp).unwrap().pd;
        let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
        let memory = device.register(env, pd, &registration).unwrap();
        device.modify_qp(qp, &Transition::ReadyToReceive(None)).unwrap();
        let request = ReceiveRequest { id: 9, scatter: &[memory.sge(0, 8192)] };
        device.post_receive(ReceiveQueue::Own(qp), request).unwrap();
    }
    device.attach(env, member, GROUP.parse().unwrap()).unwrap();
    let qpn = device.query_qp(member).unwrap().qpn;
    let deth = Deth { queue_key: QUEUE_KEY, source: 0x99 };
    let headers = |qpn, deth| Headers {
        bth: forge::bth(Opcode::UdSendOnly, qpn, Psn::new(0)),
        extension: Extension::Datagram(deth),
    };
    let right = headers(MULTICAST_QPN, deth);
    let wrong_key = headers(MULTICAST_QPN, Deth { queue_key: QUEUE_KEY ^ 1, ..deth });
    let one = headers(qpn, deth);
    let mut wrong_partition = right;
    wrong_partition.bth.partition_key = 0x7123;
    let bth = forge::bth(Opcode::RcSendOnly, MULTICAST_QPN, Psn::new(0));
    let connected = Headers { bth, extension: Extension::Plain };
    let receives = |lab: &Lab| [member, other].map(|qp| lab.world.devices[1].query_qp(qp).unwrap().receives);
    // To the group, and one that is right but not sent to it.
    let cases = [wrong_key, one, wrong_partition, connected].map(|headers| (headers, GROUP));
    for (headers, to) in cases.into_iter().chain([(right, THERE)]) {
        lab.inject(forge::seal(&headers, &[7; 8], HERE, to));
        lab.settle();
        assert_eq!(receives(&lab), [1, 1], "{headers:?} to {to}");
    }
    lab.inject(forge::seal(&right, &[7; 8], HERE, GROUP));
    lab.settle();
    assert_eq!(receives(&lab), [0, 1]);
}

impl Lab {
    fn new() -> Self {
        let limits = Limits { backlog: BACKLOG, connections: 64, ..Limits::default() };
        let mut world = World::new(1, Faults::default(), |config| rdma::Config { limits, ..config });
        world.net.borrow_mut().record = Some(Vec::new());
        let address = SocketAddr::new(THERE.parse().unwrap(), PORT);
        world.devices[1].listen(Owner(1), PortSpace::Tcp, address).unwrap();
        Self { world, heard: 0 }
    }

    /// A queue pair that takes receives.
    fn pair(&mut self, end: usize, transport: Transport) -> QpId {
        let device = &mut self.world.devices[end];
        let pd = device.alloc_pd().unwrap();
        let cq: CqId = device.create_cq(Owner(1), 16).unwrap();
        let init = QpInit {
            pd,
            transport,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: 4, sges: 1 },
            send_entries: 4,
            send_sges: 1,
            inline_bytes: 0,
        };
        let qp = device.create_qp(Owner(1), &init).unwrap();
        let initialize = Transition::Initialize { access: Access::NONE, queue_key: QUEUE_KEY };
        device.modify_qp(qp, &initialize).unwrap();
        qp
    }

    fn ask(&mut self, qp: QpId) -> ConnectionId {
        let to = SocketAddr::new(THERE.parse().unwrap(), PORT);
        let connect = Connect {
            space: PortSpace::Tcp,
            to,
            from: None,
            qp: Some(qp),
            parameters: Parameters::default(),
            private_data: &[],
        };
        let (device, env) = self.world.end(0);
        device.connect(env, Owner(1), &connect).unwrap()
    }

    fn accept(&mut self, asked: ConnectionId, qp: QpId) {
        let accept = Accept { qp, parameters: Parameters::default(), queue_key: 0, private_data: &[] };
        let (device, env) = self.world.end(1);
        device.accept(env, Owner(1), asked, &accept).unwrap();
    }

    /// Makes a connection: both ends' names for it, and their queue pairs.
    fn connect(&mut self) -> (ConnectionId, ConnectionId, [QpId; 2]) {
        let pairs = [0, 1].map(|end| self.pair(end, Transport::ReliableConnection));
        let here = self.ask(pairs[0]);
        let asked = self.event(1).connection;
        self.accept(asked, pairs[1]);
        for end in [0, 1] {
            let event = self.event(end);
            assert!(matches!(event.what, ConnectionWhat::Established { .. }), "{event:?}");
        }
        (here, asked, pairs)
    }

    /// A request as our device makes it, for the port that is listened on.
    fn request(&mut self) -> ConnectRequest {
        let qp = self.pair(0, Transport::ReliableConnection);
        let to = SocketAddr::new("10.0.0.9".parse().unwrap(), PORT);
        let connect = Connect {
            space: PortSpace::Tcp,
            to,
            from: None,
            qp: Some(qp),
            parameters: Parameters::default(),
            private_data: &[],
        };
        let (device, env) = self.world.end(0);
        let asked = device.connect(env, Owner(1), &connect).unwrap();
        self.settle();
        self.world.devices[0].release(asked);
        let made = self.hear().into_iter().rev().find_map(|message| match message {
            Message::ConnectRequest(request) => Some(request),
            _ => None,
        });
        made.unwrap()
    }

    fn inject(&mut self, packet: Packet) {
        let now = self.world.envs[1].now();
        self.world.net.borrow_mut().inject(now, packet);
    }

    fn settle(&mut self) {
        for _ in 0..6 {
            let now = self.world.envs[1].now() + Duration::from_micros(10);
            self.world.set_now(now);
            self.world.work();
        }
    }

    /// The next thing that happens to a connection of an end.
    fn event(&mut self, end: usize) -> ConnectionEvent {
        for _ in 0..10_000 {
            if let Some(event) = self.world.devices[end].poll_connection() {
                return event;
            }
            self.world.turn();
        }
        panic!("nothing happened at end {end}");
    }

    /// Requests that the second device told of.
    fn requested(&mut self) -> Vec<ConnectionId> {
        let device = &mut self.world.devices[1];
        let events = core::iter::from_fn(|| device.poll_connection());
        let is_request = |event: &ConnectionEvent| matches!(event.what, ConnectionWhat::Requested { .. });
        events.filter(is_request).map(|event| event.connection).collect()
    }

    /// Messages that were sent since the last look.
    fn hear(&mut self) -> Vec<Message> {
        let net = self.world.net.borrow();
        let all = net.record.as_ref().unwrap();
        let packets = all.get(self.heard..).unwrap_or(all);
        self.heard = all.len();
        packets.iter().filter_map(forge::message_of).collect()
    }

    fn states(&self, pairs: [QpId; 2]) -> [QpState; 2] {
        [0, 1].map(|end: usize| self.world.devices[end].query_qp(pairs[end]).unwrap().state)
    }
}

/// What every management datagram is long.
const _: () = assert!(MAD_LEN == 256);
