//! Packets by hand: what a responder makes of each wrong one, and that no other queue pair notices (9.7.4.1, 9.9.3).

mod support;

use rdma::{Config, Congestion};
use std::time::Duration;
use stdx::env::{Env, Owner};
use stdx::mem::Kind;
use support::{Faults, Packet, World, forge};
use verbs::conformance::Setting;
use verbs::{
    Access, CqId, Data, Mtu, Peer, Provider, QpId, QpInit, QpState, ReceiveQueue, ReceiveRequest, Receives,
    Registered, Registration, Remote, SendRequest, Status, Transition, Transport, Work,
};
use wire::roce::{Acknowledge, AtomicEth, Extension, Headers, Nak, Opcode, Psn, Reth, Syndrome};

/// Our responder, and a peer of ink and paper.
struct Script {
    world: World,
    cq: CqId,
    qp: QpId,
    other: QpId,
    qpn: u32,
    memory: Registered,
    heard: usize,
}

const PSN: u32 = 0xff_fffe;
const MTU: usize = 256;
const PEER_QPN: u32 = 0x77;

#[test]
fn a_request_that_is_right_is_acknowledged() {
    let mut script = Script::new();
    script.send(Opcode::RcSendOnly, 0, Extension::Plain, &[1; 10]);
    assert_eq!(script.answers(), [(0, Syndrome::ACK, 1)]);
    script.send(Opcode::RcSendFirst, 1, Extension::Plain, &[1; MTU]);
    script.send(Opcode::RcSendLast, 2, Extension::Plain, &[1; 5]);
    assert_eq!(script.answers().last(), Some(&(2, Syndrome::ACK, 2)), "numbers wrap");
    assert_eq!(script.state(), QpState::ReadyToSend);
}

#[test]
fn who_sends_on_is_acknowledged_once_and_who_waits_at_once() {
    // A turn is a third of that.
    let ack_delay = Duration::from_micros(30);
    let mut script = Script::with(|config| Config { credits: false, ack_delay, ..config });
    for psn in 0..3 {
        script.put(Opcode::RcSendOnly, psn, Extension::Plain, &[1]);
        script.turn();
    }
    assert_eq!(script.answers(), []);
    script.turn();
    assert_eq!(script.answers(), [(2, Syndrome::ACK, 3)]);
    // A peer that waits is waited for once.
    script.put(Opcode::RcSendOnly, 3, Extension::Plain, &[1]);
    script.turn();
    assert_eq!(script.answers(), []);
    script.settle();
    assert_eq!(script.answers(), [(3, Syndrome::ACK, 4)]);
    script.post_receive();
    script.put(Opcode::RcSendOnly, 4, Extension::Plain, &[1]);
    script.turn();
    script.turn();
    assert_eq!(script.answers(), [(4, Syndrome::ACK, 5)]);
}

#[test]
fn an_answer_acknowledges_what_came_before() {
    let mut script = Script::with(|config| Config { credits: false, ..config });
    let read = Extension::Remote(Reth { address: 0, key: script.memory.key.0, len: 8 });
    script.put(Opcode::RcSendOnly, 0, Extension::Plain, &[1]);
    script.put(Opcode::RcReadRequest, 1, read, &[]);
    script.settle();
    let opcodes: Vec<_> = script.heard().iter().map(|headers| headers.bth.opcode).collect();
    assert_eq!(opcodes, [Opcode::RcReadResponseOnly]);
}

#[test]
fn a_gap_is_told_once_until_it_is_closed() {
    let mut script = Script::new();
    for psn in [2, 3, 4] {
        script.send(Opcode::RcSendOnly, psn, Extension::Plain, &[1]);
    }
    assert_eq!(script.answers(), [(0, Syndrome::Nak(Nak::PsnSequence), 0)]);
    script.send(Opcode::RcSendOnly, 0, Extension::Plain, &[1]);
    assert_eq!(script.answers(), [(0, Syndrome::ACK, 1)]);
    script.send(Opcode::RcSendOnly, 5, Extension::Plain, &[1]);
    assert_eq!(script.answers(), [(1, Syndrome::Nak(Nak::PsnSequence), 1)]);
}

#[test]
fn what_came_before_is_acknowledged_and_not_done_again() {
    let mut script = Script::new();
    for _ in 0..2 {
        script.send(Opcode::RcSendOnly, 0, Extension::Plain, &[1]);
        assert_eq!(script.answers(), [(0, Syndrome::ACK, 1)]);
    }
    let add = AtomicEth { address: 8, key: script.memory.key.0, swap_add: 5, compare: 0 };
    for _ in 0..3 {
        script.send(Opcode::RcFetchAdd, 1, Extension::Atomic(add), &[]);
        let answer = script.heard().pop().unwrap();
        let Extension::AtomicAcknowledge(_, original) = answer.extension else { panic!("{answer:?}") };
        assert_eq!(original, 0, "it is done once");
    }
}

#[test]
fn without_a_receive_the_peer_is_to_come_again() {
    let mut script = Script::new();
    for psn in 0..4 {
        script.send(Opcode::RcSendOnly, psn, Extension::Plain, &[1]);
    }
    script.answers();
    script.send(Opcode::RcSendOnly, 4, Extension::Plain, &[1]);
    script.send(Opcode::RcSendOnly, 5, Extension::Plain, &[1]);
    let answers = script.answers();
    assert!(matches!(answers[..], [(4, Syndrome::Rnr(timer), 4)] if timer.code() == 9), "{answers:?}");
    script.post_receive();
    script.send(Opcode::RcSendOnly, 4, Extension::Plain, &[1]);
    assert_eq!(script.answers(), [(4, Syndrome::ACK, 5)]);
}

#[test]
fn invalid_requests_are_refused() {
    let key = Script::new().memory.key.0;
    let reth = |len| Extension::Remote(Reth { address: 0, key, len });
    let odd = Extension::Atomic(AtomicEth { address: 4, key, swap_add: 1, compare: 0 });
    let scripts: &[&[(Opcode, Extension, usize)]] = &[
        &[(Opcode::RcSendMiddle, Extension::Plain, MTU)],
        &[(Opcode::RcSendLast, Extension::Plain, 10)],
        &[(Opcode::RcSendFirst, Extension::Plain, MTU - 4)],
        &[(Opcode::RcSendOnly, Extension::Plain, MTU + 4)],
        &[(Opcode::RcSendFirst, Extension::Plain, MTU), (Opcode::RcSendOnly, Extension::Plain, 1)],
        &[(Opcode::RcSendFirst, Extension::Plain, MTU), (Opcode::RcSendLast, Extension::Plain, 0)],
        &[(Opcode::RcSendFirst, Extension::Plain, MTU), (Opcode::RcWriteMiddle, Extension::Plain, MTU)],
        &[(Opcode::RcSendFirst, Extension::Plain, MTU), (Opcode::RcReadRequest, reth(8), 0)],
        &[(Opcode::RcWriteLast, Extension::Plain, 10)],
        &[(Opcode::RcWriteOnly, reth(11), 10)],
        &[(Opcode::RcWriteOnly, reth(9), 10)],
        &[(Opcode::RcWriteFirst, reth(MTU as u32 - 1), MTU)],
        &[(Opcode::RcWriteFirst, reth(MTU as u32 + 9), MTU), (Opcode::RcWriteLast, Extension::Plain, 8)],
        &[(Opcode::RcWriteOnly, reth(u32::MAX), 10)],
        &[(Opcode::RcReadRequest, reth(u32::MAX), 0)],
        &[(Opcode::RcFetchAdd, odd, 0)],
    ];
    for packets in scripts {
        refused(packets, Nak::InvalidRequest);
    }
}

#[test]
fn memory_that_may_not_be_used_is_refused() {
    let key = Script::new().memory.key.0;
    let at = |address, key, len| Extension::Remote(Reth { address, key, len });
    let atomic = |address| Extension::Atomic(AtomicEth { address, key, swap_add: 1, compare: 0 });
    for packet in [
        (Opcode::RcWriteOnly, at(4090, key, 10), 10),
        (Opcode::RcWriteOnly, at(u64::MAX, key, 10), 10),
        (Opcode::RcWriteOnly, at(0, key ^ 1, 10), 10),
        (Opcode::RcWriteOnly, at(0, 0, 10), 10),
        (Opcode::RcWriteFirst, at(4000, key, MTU as u32 + 1), MTU),
        (Opcode::RcReadRequest, at(4096, key, 1), 0),
        (Opcode::RcFetchAdd, atomic(4096), 0),
        (Opcode::RcSendOnlyInvalidate, Extension::Invalidate(key), 1),
    ] {
        refused(&[packet], Nak::RemoteAccess);
    }
}

#[test]
fn more_reads_than_agreed_are_refused() {
    let mut script = Script::new();
    let read = Extension::Remote(Reth { address: 0, key: script.memory.key.0, len: 8 });
    // Two are answered at once; what was answered makes room.
    for psn in 0..6 {
        script.send(Opcode::RcReadRequest, psn, read, &[]);
    }
    assert_eq!(script.heard().len(), 6);
    for psn in 6..9 {
        script.put(Opcode::RcReadRequest, psn, read, &[]);
    }
    script.settle();
    let last = script.heard().pop().unwrap();
    let Extension::Acknowledge(refusal) = last.extension else { panic!("{last:?}") };
    assert_eq!(refusal.syndrome, Syndrome::Nak(Nak::InvalidRequest));
}

#[test]
fn marked_packets_are_told_of_now_and_then() {
    let mut script = Script::new();
    script.world.net.borrow_mut().traffic_class = 3;
    for psn in 0..4 {
        script.send(Opcode::RcSendOnly, psn, Extension::Plain, &[1]);
    }
    // Four packets in 120 microseconds: the first is told of, and the one 50 microseconds later.
    let told: Vec<Headers> =
        script.heard().into_iter().filter(|heard| heard.extension == Extension::Notification).collect();
    assert_eq!(told.len(), 2);
    for notification in told {
        assert_eq!(notification.bth.opcode, Opcode::CongestionNotification);
        assert_eq!((notification.bth.destination, notification.bth.psn), (PEER_QPN, Psn::new(0)));
        assert!(notification.bth.backward_congestion && !notification.bth.ack_requested);
    }
    assert_eq!(script.world.devices[1].counters().np_ecn_marked_roce_packets, 4);
}

#[test]
fn a_notification_slows_answers_down_and_nothing_is_lost() {
    // Half of the line's rate is 5 bytes a microsecond, and it stays: no step is due.
    let congestion = Congestion {
        line_rate: 10_000_000,
        burst_bytes: 512,
        step_interval: Duration::from_secs(9),
        step_bytes: u64::MAX,
        ..Congestion::default()
    };
    let mut script = Script::with(|config| Config { congestion, credits: false, ..config });
    let read = Extension::Remote(Reth { address: 0, key: script.memory.key.0, len: 4096 });
    script.send(Opcode::RcReadRequest, 0, read, &[]);
    assert_eq!(script.heard().len(), 16, "without a notification all goes at once");
    script.send(Opcode::CongestionNotification, 0, Extension::Notification, &[]);
    script.send(Opcode::RcReadRequest, 16, read, &[]);
    let first = script.heard().len();
    assert!((2..5).contains(&first), "{first} packets of 272 bytes in 30 microseconds and a burst");
    let mut rest = 0;
    for _ in 0..33 {
        script.settle();
        rest += script.heard().len();
    }
    assert_eq!(first + rest, 16, "within a millisecond all has gone");
    assert_eq!(script.world.devices[1].counters().rp_cnp_handled, 1);
}

#[test]
fn strangers_and_damage_are_met_with_silence() {
    let mut script = Script::new();
    let good = script.packet(Opcode::RcSendOnly, 0, Extension::Plain, &[1; 20]);
    let mut cases = Vec::new();
    for len in [0, 3, 11, 12, 15, 16, 19] {
        cases.push(Packet { bytes: good.bytes[..len].to_vec(), ..good.clone() });
    }
    let change = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet.bytes[at] = value;
        packet
    };
    cases.push(change(0, 0x15));
    cases.push(change(1, 0x01));
    cases.push(change(20, 0xff));
    // Right in itself, but of another partition, queue pair, service or port.
    let sealed = |change: &dyn Fn(&mut Headers)| {
        let mut headers = script.headers(Opcode::RcSendOnly, 0, Extension::Plain);
        change(&mut headers);
        forge::seal(&headers, &[1; 20], "10.0.0.1", "10.0.0.2")
    };
    cases.push(sealed(&|headers| headers.bth.partition_key = 0x1234));
    cases.push(sealed(&|headers| headers.bth.destination ^= 0x1_0000));
    cases.push(sealed(&|headers| headers.bth.destination = 0xff_ffff));
    cases.push(sealed(&|headers| headers.bth.opcode = Opcode::UcSendOnly));
    let headers = script.headers(Opcode::RcSendOnly, 0, Extension::Plain);
    cases.push(forge::seal(&headers, &[1; 20], "10.0.0.3", "10.0.0.2"));
    for packet in cases {
        script.inject(packet);
        script.settle();
    }
    assert_eq!(script.heard(), []);
    assert_eq!(script.state(), QpState::ReadyToSend);
    script.send(Opcode::RcSendOnly, 0, Extension::Plain, &[1]);
    assert_eq!(script.answers(), [(0, Syndrome::ACK, 1)]);
}

#[test]
fn answers_to_what_was_not_asked_change_nothing() {
    let mut script = Script::new();
    let source = [script.memory.sge(0, 300)];
    let to = Remote { address: 0, key: script.memory.key };
    script.post(SendRequest::new(5, Work::Write(to), Data::Gather(&source)));
    let acknowledge = |syndrome| Extension::Acknowledge(Acknowledge { syndrome, message_number: 1 });
    let ack = acknowledge(Syndrome::ACK);
    let nak = acknowledge(Syndrome::Nak(Nak::RemoteAccess));
    let atomic = Extension::AtomicAcknowledge(Acknowledge { syndrome: Syndrome::ACK, message_number: 1 }, 7);
    for (opcode, psn, extension, payload) in [
        (Opcode::RcAcknowledge, 2, ack, 0),
        (Opcode::RcAcknowledge, 0xff_ffff, ack, 0),
        (Opcode::RcAcknowledge, 2, nak, 0),
        (Opcode::RcReadResponseOnly, 0, ack, 300),
        (Opcode::RcReadResponseMiddle, 1, Extension::Plain, MTU),
        (Opcode::RcAtomicAcknowledge, 0, atomic, 0),
    ] {
        script.answer(opcode, psn, extension, payload, "10.0.0.1");
        assert_eq!((script.state(), script.completions()), (QpState::ReadyToSend, vec![]), "{opcode:?}");
    }
    script.answer(Opcode::RcAcknowledge, 1, ack, 0, "10.0.0.3");
    assert_eq!(script.completions(), [], "a stranger acknowledges nothing");
    script.answer(Opcode::RcAcknowledge, 1, ack, 0, "10.0.0.1");
    assert_eq!(script.completions(), [(5, Status::Success)]);
}

#[test]
fn acknowledgements_tell_how_many_receives_there_are() {
    let mut script = Script::with(|config| Config { ack_delay: Duration::ZERO, ..config });
    script.send(Opcode::RcSendOnly, 0, Extension::Plain, &[1]);
    assert_eq!(script.answers(), [(0, Syndrome::Ack { credits: 3 }, 1)]);
    script.post_receive();
    script.post_receive();
    script.send(Opcode::RcSendOnly, 1, Extension::Plain, &[1]);
    // Four are left, for which the code is 4; of five it would be 4, too.
    assert_eq!(script.answers(), [(1, Syndrome::Ack { credits: 4 }, 2)]);
}

#[test]
fn sends_wait_for_the_receives_of_the_peer() {
    let mut script = Script::with(|config| config);
    let source = [script.memory.sge(0, 300)];
    for id in 0..3 {
        script.post(SendRequest::new(id, Work::Send, Data::Gather(&source)));
    }
    let acknowledge = |credits| {
        let syndrome = Syndrome::Ack { credits };
        Extension::Acknowledge(Acknowledge { syndrome, message_number: 1 })
    };
    let asks = |script: &mut Script| -> Vec<_> {
        let number = |headers: &Headers| (headers.bth.psn.value(), headers.bth.ack_requested);
        script.heard().iter().map(number).collect()
    };
    assert_eq!(asks(&mut script), [(0, true)], "nobody knows of a receive");
    script.answer(Opcode::RcAcknowledge, 0, acknowledge(0), 0, "10.0.0.1");
    assert_eq!(asks(&mut script), [(1, false), (2, true)], "one is taken, and there is none besides");
    script.answer(Opcode::RcAcknowledge, 1, acknowledge(2), 0, "10.0.0.1");
    assert_eq!(asks(&mut script), [(3, false), (4, false), (5, true)], "there are two");
    script.answer(Opcode::RcAcknowledge, 5, acknowledge(31), 0, "10.0.0.1");
    assert_eq!(script.completions().len(), 3);
}

#[test]
fn messages_that_follow_each_other_ask_for_one_acknowledgement() {
    let mut script = Script::new();
    let source = [script.memory.sge(0, 300)];
    let to = Remote { address: 0, key: script.memory.key };
    for (id, work) in [(1, Work::Write(to)), (2, Work::Send), (3, Work::Send)] {
        script.world.devices[1]
            .post_send(script.qp, SendRequest::new(id, work, Data::Gather(&source)))
            .unwrap();
    }
    script.settle();
    let asks: Vec<_> = script.heard().iter().map(|headers| headers.bth.ack_requested).collect();
    assert_eq!(asks, [false, false, false, false, false, true]);
    let ack = Extension::Acknowledge(Acknowledge { syndrome: Syndrome::ACK, message_number: 3 });
    script.answer(Opcode::RcAcknowledge, 5, ack, 0, "10.0.0.1");
    assert_eq!(script.completions(), [(1, Status::Success), (2, Status::Success), (3, Status::Success)]);
}

#[test]
fn a_message_before_one_that_fails_is_acknowledged_yet() {
    let mut script = Script::new();
    let source = [script.memory.sge(0, 8)];
    let beyond = [script.memory.sge(4090, 100)];
    let (good, bad) = (Data::Gather(&source), Data::Gather(&beyond));
    for (id, data) in [(1, good), (2, bad)] {
        script.world.devices[1].post_send(script.qp, SendRequest::new(id, Work::Send, data)).unwrap();
    }
    let mut asks = Vec::new();
    for _ in 0..1000 {
        script.settle();
        asks.extend(
            script.heard().iter().map(|headers| (headers.bth.psn.value(), headers.bth.ack_requested)),
        );
        if asks.contains(&(0, true)) {
            break;
        }
        let now = script.world.envs[1].now() + Duration::from_millis(1);
        script.world.set_now(now);
    }
    assert_eq!(asks, [(0, false), (0, true)], "it is asked for when time has passed");
    let ack = Extension::Acknowledge(Acknowledge { syndrome: Syndrome::ACK, message_number: 1 });
    script.answer(Opcode::RcAcknowledge, 0, ack, 0, "10.0.0.1");
    assert_eq!(script.completions(), [(1, Status::Success), (2, Status::LocalProtection)]);
}

#[test]
fn an_answer_of_another_length_ends_the_connection() {
    for (opcode, payload) in [
        (Opcode::RcReadResponseOnly, MTU),
        (Opcode::RcReadResponseFirst, MTU - 4),
        (Opcode::RcReadResponseFirst, 0),
        (Opcode::RcReadResponseLast, MTU),
    ] {
        let mut script = Script::new();
        let into = [script.memory.sge(0, 300)];
        let from = Remote { address: 0, key: script.memory.key };
        script.post(SendRequest::new(6, Work::Read(from), Data::Gather(&into)));
        let ack = Extension::Acknowledge(Acknowledge { syndrome: Syndrome::ACK, message_number: 1 });
        script.answer(opcode, 0, ack, payload, "10.0.0.1");
        assert_eq!(script.state(), QpState::Error, "{opcode:?}");
        assert_eq!(script.completions()[0], (6, Status::BadResponse), "{opcode:?}");
    }
}

/// The last of these packets is refused so, and the queue pair is in error; another of the same device is not.
fn refused(packets: &[(Opcode, Extension, usize)], nak: Nak) {
    let mut script = Script::new();
    for (psn, (opcode, extension, len)) in packets.iter().enumerate() {
        script.send(*opcode, psn as u32, *extension, &vec![1; *len]);
    }
    let answers = script.answers();
    let last = answers.last().unwrap_or_else(|| panic!("{packets:?}: nothing"));
    assert_eq!(last.1, Syndrome::Nak(nak), "{packets:?}");
    assert_eq!(script.state(), QpState::Error, "{packets:?}");
    assert_eq!(script.neighbour(), QpState::ReadyToSend, "another of the same device goes on");
}

impl Script {
    /// Its acknowledgements count no receives.
    fn new() -> Self {
        Self::with(|config| Config { credits: false, ack_delay: Duration::ZERO, ..config })
    }

    fn with(configure: impl Fn(Config) -> Config) -> Self {
        let mut world = World::new(1, Faults::default(), configure);
        world.net.borrow_mut().record = Some(Vec::new());
        let peer = Peer {
            address: world.address(0),
            qpn: PEER_QPN,
            psn: PSN,
            mtu: Mtu::Mtu256,
            responder_resources: 2,
            rnr_timer: 9,
        };
        let (device, env) = world.end(1);
        let region = env.mem().map(Kind::Shared, 4096).unwrap();
        let span = env.mem().whole(region);
        let pd = device.alloc_pd().unwrap();
        let cq = device.create_cq(Owner(1), 64).unwrap();
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let registration = Registration { pieces: &[span], address: 0, access };
        let memory = device.register(env, pd, &registration).unwrap();
        let init = QpInit {
            pd,
            transport: Transport::ReliableConnection,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: 8, sges: 1 },
            send_entries: 4,
            send_sges: 1,
            inline_bytes: 0,
        };
        let qp = device.create_qp(Owner(1), &init).unwrap();
        let qpn = device.query_qp(qp).unwrap().qpn;
        let ready = Transition::ReadyToSend {
            psn: 0,
            ack_timeout: 14,
            retry_count: 1,
            rnr_retry_count: 1,
            initiator_depth: 1,
        };
        let initialize = Transition::Initialize { access, queue_key: 0 };
        let other = device.create_qp(Owner(1), &init).unwrap();
        for transition in [initialize, Transition::ReadyToReceive(Some(peer)), ready] {
            device.modify_qp(qp, &transition).unwrap();
            device.modify_qp(other, &transition).unwrap();
        }
        let mut script = Self { world, cq, qp, other, qpn, memory, heard: 0 };
        (0..4).for_each(|_| script.post_receive());
        script
    }

    fn post(&mut self, request: SendRequest<'_>) {
        self.world.devices[1].post_send(self.qp, request).unwrap();
        self.settle();
    }

    /// A packet comes for our requests, whose numbers begin with 0.
    fn answer(&mut self, opcode: Opcode, psn: u32, extension: Extension, len: usize, source: &str) {
        let headers = Headers { bth: forge::bth(opcode, self.qpn, Psn::new(psn)), extension };
        self.inject(forge::seal(&headers, &vec![3; len], source, "10.0.0.2"));
        self.settle();
    }

    fn completions(&mut self) -> Vec<(u64, Status)> {
        let mut done = Vec::new();
        self.world.devices[1].poll_cq(self.cq, usize::MAX, &mut done);
        done.iter().map(|completion| (completion.id, completion.status)).collect()
    }

    fn post_receive(&mut self) {
        let scatter = [self.memory.sge(0, 4096)];
        let queue = ReceiveQueue::Own(self.qp);
        let request = ReceiveRequest { id: 1, scatter: &scatter };
        self.world.devices[1].post_receive(queue, request).unwrap();
    }

    fn headers(&self, opcode: Opcode, psn: u32, extension: Extension) -> Headers {
        let bth = forge::bth(opcode, self.qpn, Psn::new(PSN).plus(psn));
        Headers { bth, extension }
    }

    fn packet(&self, opcode: Opcode, psn: u32, extension: Extension, payload: &[u8]) -> Packet {
        forge::seal(&self.headers(opcode, psn, extension), payload, "10.0.0.1", "10.0.0.2")
    }

    /// A packet comes, and whatever it causes happens.
    fn send(&mut self, opcode: Opcode, psn: u32, extension: Extension, payload: &[u8]) {
        self.put(opcode, psn, extension, payload);
        self.settle();
    }

    /// A packet comes.
    fn put(&mut self, opcode: Opcode, psn: u32, extension: Extension, payload: &[u8]) {
        self.inject(self.packet(opcode, psn, extension, payload));
    }

    fn inject(&mut self, packet: Packet) {
        let now = self.world.envs[1].now();
        self.world.net.borrow_mut().inject(now, packet);
    }

    fn settle(&mut self) {
        (0..3).for_each(|_| self.turn());
    }

    /// Whatever is there by now happens.
    fn turn(&mut self) {
        let now = self.world.envs[1].now() + Duration::from_micros(10);
        self.world.set_now(now);
        self.world.work();
    }

    /// What was sent since the last look.
    fn heard(&mut self) -> Vec<Headers> {
        let net = self.world.net.borrow();
        let packets = &net.record.as_ref().unwrap()[self.heard..];
        self.heard += packets.len();
        packets.iter().map(|packet| Headers::decode(&packet.bytes, packet.bytes.len()).unwrap()).collect()
    }

    /// The acknowledgements among them: number (counted from the first), what they say, messages done.
    fn answers(&mut self) -> Vec<(i32, Syndrome, u32)> {
        let heard = self.heard();
        let answer = |headers: &Headers| match headers.extension {
            Extension::Acknowledge(acknowledge) => {
                let psn = headers.bth.psn.since(Psn::new(PSN));
                Some((psn, acknowledge.syndrome, acknowledge.message_number))
            }
            _ => None,
        };
        heard.iter().filter_map(answer).collect()
    }

    /// The state of another queue pair of the device, which has the same peer.
    fn neighbour(&self) -> QpState {
        self.world.devices[1].query_qp(self.other).unwrap().state
    }

    fn state(&self) -> QpState {
        self.world.devices[1].query_qp(self.qp).unwrap().state
    }
}
