//! One end of a connection between two Linux machines is played by us: what the other sent is given to our device, and what
//! our device sends must be what the machine sent, byte for byte but for the CRC, which covers the IP header's number.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod support;

use frames::Datagram;
use std::net::IpAddr;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use support::{Faults, World, forge};
use verbs::conformance::Setting;
use verbs::{
    Access, Completion, Data, Mtu, Peer, Provider, QpId, QpInit, ReceiveQueue, ReceiveRequest, Receives,
    Registered, Registration, SendRequest, Status, Transition, Transport, Work,
};
use wire::roce::icrc::Network;
use wire::roce::{Action, Headers, ICRC_LEN};

/// Our end.
struct Player {
    world: World,
    qp: QpId,
    cq: verbs::CqId,
    span: Span,
    memory: Registered,
    /// How many of our packets were compared.
    compared: usize,
}

#[test]
fn a_reliable_connection_is_answered_as_the_kernel_answers() {
    for address in ["10.77.0.11", "10.77.0.12"] {
        assert_eq!(play("rc_pingpong", address, Transport::ReliableConnection), 25);
    }
}

#[test]
fn an_unreliable_connection_sends_what_the_kernel_sends() {
    for address in ["10.77.0.11", "10.77.0.12"] {
        assert_eq!(play("uc_pingpong", address, Transport::UnreliableConnection), 20);
    }
}

/// Plays the machine at `address`; says how many packets were the same.
fn play(capture: &str, address: &str, transport: Transport) -> usize {
    let ours: IpAddr = address.parse().unwrap();
    let datagrams = frames::datagrams(capture);
    let mut player = Player::new(&datagrams, ours, transport);
    for (index, datagram) in datagrams.iter().enumerate() {
        if source(datagram) != ours {
            player.hear(datagram);
            continue;
        }
        let headers = headers(datagram);
        if headers.bth.opcode.action() == Action::Send && headers.bth.opcode.position().begins() {
            player.say(&message(&datagrams[index..], ours));
        }
        player.compare(datagram, capture);
    }
    player.compared
}

impl Player {
    fn new(datagrams: &[Datagram], ours: IpAddr, transport: Transport) -> Self {
        let theirs = if ours.to_string().ends_with('1') { "10.77.0.12" } else { "10.77.0.11" };
        let mut world = World::at([theirs, &ours.to_string()], 1, Faults::default(), |config| rdma::Config {
            // The kernel counts no credits, and does not wait for more to acknowledge.
            credits: false,
            ack_delay: std::time::Duration::ZERO,
            ..config
        });
        world.net.borrow_mut().record = Some(Vec::new());
        let request = |from_us: bool| {
            let is_wanted = |datagram: &&Datagram| {
                (source(datagram) == ours) == from_us && !headers(datagram).bth.opcode.is_response()
            };
            headers(datagrams.iter().find(is_wanted).unwrap()).bth
        };
        let (to_us, from_us) = (request(false), request(true));
        let (device, env) = world.end(1);
        let region = env.mem().map(Kind::Shared, 1 << 16).unwrap();
        let span = env.mem().whole(region);
        let pd = device.alloc_pd().unwrap();
        let cq = device.create_cq(Owner(1), 256).unwrap();
        let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
        let memory = device.register(env, pd, &registration).unwrap();
        let init = QpInit {
            pd,
            transport,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: 64, sges: 1 },
            send_entries: 8,
            send_sges: 1,
            inline_bytes: 0,
        };
        let qp = device.create_qp(Owner(1), &init).unwrap();
        let peer = Peer {
            address: theirs.parse().unwrap(),
            qpn: from_us.destination,
            psn: to_us.psn.value(),
            mtu: Mtu::Mtu1024,
            responder_resources: 1,
            rnr_timer: 12,
        };
        let ready = Transition::ReadyToSend {
            psn: from_us.psn.value(),
            ack_timeout: 14,
            retry_count: 7,
            rnr_retry_count: 7,
            initiator_depth: 1,
        };
        let initialize = Transition::Initialize { access: Access::NONE, queue_key: 0 };
        for transition in [initialize, Transition::ReadyToReceive(Some(peer)), ready] {
            device.modify_qp(qp, &transition).unwrap();
        }
        for id in 0..64 {
            let scatter = [memory.sge(0, 4096)];
            device.post_receive(ReceiveQueue::Own(qp), ReceiveRequest { id, scatter: &scatter }).unwrap();
        }
        Self { world, qp, cq, span, memory, compared: 0 }
    }

    /// A packet of the other machine comes, for the number that our queue pair has.
    fn hear(&mut self, datagram: &Datagram) {
        let now = self.world.envs[1].now();
        let (from, to) = (source(datagram).to_string(), self.world.address(1).to_string());
        let mut bytes = datagram.bytes[..datagram.bytes.len() - ICRC_LEN].to_vec();
        let number = self.world.devices[1].query_qp(self.qp).unwrap().qpn.to_be_bytes();
        bytes[DESTINATION].copy_from_slice(&number[1..]);
        let packet = forge::close(bytes, &from, &to);
        self.world.net.borrow_mut().inject(now, packet);
        self.settle();
    }

    /// Our program sends a message.
    fn say(&mut self, bytes: &[u8]) {
        self.world.envs[1].mem().write(self.span.from(8192), bytes);
        let list = [self.memory.sge(8192, bytes.len() as u32)];
        let request = SendRequest::new(1, Work::Send, Data::Gather(&list));
        self.world.devices[1].post_send(self.qp, request).unwrap();
        self.settle();
    }

    /// Lets what is there happen, and no time pass besides.
    fn settle(&mut self) {
        for _ in 0..3 {
            let now = self.world.envs[1].now() + std::time::Duration::from_micros(10);
            self.world.set_now(now);
            self.world.work();
        }
        let mut done: Vec<Completion> = Vec::new();
        self.world.devices[1].poll_cq(self.cq, usize::MAX, &mut done);
        assert!(done.iter().all(|done| done.status == Status::Success), "{done:?}");
    }

    /// Our next packet must be this one.
    fn compare(&mut self, expected: &Datagram, capture: &str) {
        let net = self.world.net.borrow();
        let sent = net.record.as_ref().unwrap().get(self.compared);
        let sent = sent.unwrap_or_else(|| panic!("{capture} {}: nothing was sent", expected.frame));
        let len = expected.bytes.len() - ICRC_LEN;
        assert_eq!(sent.bytes.len(), expected.bytes.len(), "{capture} {}", expected.frame);
        assert_eq!(headers_of(&sent.bytes), headers(expected), "{capture} {}", expected.frame);
        assert_eq!(sent.bytes[..len], expected.bytes[..len], "{capture} {}", expected.frame);
        drop(net);
        self.compared += 1;
    }
}

/// The payload of the message that begins here.
fn message(datagrams: &[Datagram], ours: IpAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    for datagram in datagrams.iter().filter(|datagram| source(datagram) == ours) {
        let headers = headers(datagram);
        if headers.bth.opcode.action() != Action::Send {
            continue;
        }
        let len = headers.payload_len(datagram.bytes.len());
        bytes.extend_from_slice(&datagram.bytes[headers.len()..headers.len() + len]);
        if headers.bth.opcode.position().ends() {
            break;
        }
    }
    bytes
}

fn headers(datagram: &Datagram) -> Headers {
    headers_of(&datagram.bytes)
}

fn headers_of(bytes: &[u8]) -> Headers {
    Headers::decode(bytes, bytes.len()).unwrap()
}

fn source(datagram: &Datagram) -> IpAddr {
    match datagram.network {
        Network::V4 { source, .. } => source.into(),
        Network::V6 { source, .. } => source.into(),
    }
}

/// Where a packet says for which queue pair it is (9.2).
const DESTINATION: std::ops::Range<usize> = 5..8;
