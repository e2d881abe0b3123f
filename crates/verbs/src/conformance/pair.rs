//! Two queue pairs that are connected, each with memory of its own: what most checks begin with.

use super::Setting;
use crate::{
    Access, Completion, CqId, Data, Event, Mtu, PdId, Peer, PostError, QpId, QpInfo, QpInit, QpState,
    ReceiveQueue, ReceiveRequest, Receives, Registered, Registration, Remote, SendRequest, Sge, Status,
    Transition, Transport, Work,
};
use stdx::env::Owner;
use stdx::mem::Span;

/// One end.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) pd: PdId,
    pub(super) cq: CqId,
    pub(super) qp: QpId,
    pub(super) span: Span,
    pub(super) memory: Registered,
}

/// Both ends.
pub(super) struct Pair<'a> {
    pub(super) setting: &'a mut dyn Setting,
    pub(super) sides: [Side; 2],
}

/// What the checks' queue pairs are made with.
pub(super) const SEND_ENTRIES: u32 = 16;
pub(super) const RECEIVE_ENTRIES: u32 = 16;
pub(super) const SGES: u32 = 4;
pub(super) const INLINE: u32 = 64;
pub(super) const MEMORY: u64 = 256 << 10;
pub(super) const OWNER: Owner = Owner(77);
const PSNS: [u32; 2] = [0xff_fff0, 5];
const QUEUE_KEY: u32 = 0x1234;

/// Everything that peers and owners may do.
pub(super) const ALL: Access = Access::LOCAL_WRITE.with(Access::REMOTE).with(Access::WINDOW_BIND);

impl Side {
    /// A queue pair in [`QpState::Reset`], and memory.
    pub(super) fn new(setting: &mut dyn Setting, end: usize, transport: Transport) -> Self {
        let kind = setting.memory_kind();
        let (device, env) = setting.end(end);
        let region = env.mem().map(kind, MEMORY).expect("memory");
        let span = env.mem().whole(region).first(MEMORY as usize);
        let pd = device.alloc_pd().expect("a domain");
        let cq = device.create_cq(OWNER, 64).expect("a completion queue");
        let registration = Registration { pieces: &[span], address: 0x10_0000, access: ALL };
        let memory = device.register(env, pd, &registration).expect("a region");
        let qp = device.create_qp(OWNER, &init(pd, cq, transport)).expect("a queue pair");
        Self { pd, cq, qp, span, memory }
    }
}

/// What a queue pair of the checks is like.
pub(super) fn init(pd: PdId, cq: CqId, transport: Transport) -> QpInit {
    QpInit {
        pd,
        transport,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: RECEIVE_ENTRIES, sges: SGES },
        send_entries: SEND_ENTRIES,
        send_sges: SGES,
        inline_bytes: INLINE,
    }
}

impl<'a> Pair<'a> {
    /// A reliable connection.
    pub(super) fn connected(setting: &'a mut dyn Setting) -> Self {
        Self::of(setting, Transport::ReliableConnection)
    }

    /// A connection, or two datagram queue pairs, that send.
    pub(super) fn of(setting: &'a mut dyn Setting, transport: Transport) -> Self {
        let sides = [0, 1].map(|end| Side::new(setting, end, transport));
        let mut pair = Self { setting, sides };
        for end in [0, 1] {
            pair.modify(end, &Transition::Initialize { access: ALL, queue_key: QUEUE_KEY });
        }
        for end in [0, 1] {
            pair.raise(end, transport, 2);
        }
        pair
    }

    /// Takes one end from initialized to sending, with so many tries for want of a receive.
    pub(super) fn raise(&mut self, end: usize, transport: Transport, rnr_retry_count: u8) {
        let peer = Peer {
            address: self.setting.address(1 - end),
            qpn: self.info(1 - end).qpn,
            psn: PSNS[1 - end],
            mtu: Mtu::Mtu1024,
            responder_resources: 4,
            rnr_timer: 1,
        };
        let is_connected = transport != Transport::UnreliableDatagram;
        self.modify(end, &Transition::ReadyToReceive(is_connected.then_some(peer)));
        let ready = Transition::ReadyToSend {
            psn: PSNS[end],
            ack_timeout: 8,
            retry_count: 3,
            rnr_retry_count,
            initiator_depth: 4,
        };
        self.modify(end, &ready);
    }

    pub(super) fn modify(&mut self, end: usize, transition: &Transition) {
        let qp = self.sides[end].qp;
        self.setting.end(end).0.modify_qp(qp, transition).expect("a transition that is allowed");
    }

    pub(super) fn info(&mut self, end: usize) -> QpInfo {
        let qp = self.sides[end].qp;
        self.setting.end(end).0.query_qp(qp).expect("the queue pair is there")
    }

    pub(super) fn state(&mut self, end: usize) -> QpState {
        self.info(end).state
    }

    pub(super) fn sge(&self, end: usize, offset: u64, len: u32) -> Sge {
        self.sides[end].memory.sge(offset, len)
    }

    pub(super) fn remote(&self, end: usize, offset: u64) -> Remote {
        let memory = self.sides[end].memory;
        Remote { address: memory.address + offset, key: memory.key }
    }

    pub(super) fn fill(&mut self, end: usize, offset: usize, bytes: &[u8]) {
        let span = self.sides[end].span.from(offset);
        self.setting.end(end).1.mem().write(span, bytes);
    }

    pub(super) fn bytes(&mut self, end: usize, offset: usize, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        let span = self.sides[end].span.from(offset);
        self.setting.end(end).1.mem().read(span, &mut out);
        out
    }

    pub(super) fn try_send(&mut self, end: usize, request: SendRequest<'_>) -> Result<(), PostError> {
        let qp = self.sides[end].qp;
        self.setting.end(end).0.post_send(qp, request).map_err(|rejected| rejected.why)
    }

    pub(super) fn send(&mut self, end: usize, request: SendRequest<'_>) {
        self.try_send(end, request).expect("there is room");
    }

    pub(super) fn work(&mut self, end: usize, id: u64, work: Work<'_>, sges: &[Sge]) {
        self.send(end, SendRequest::new(id, work, Data::Gather(sges)));
    }

    pub(super) fn receive(&mut self, end: usize, id: u64, scatter: &[Sge]) {
        let queue = ReceiveQueue::Own(self.sides[end].qp);
        let posted = self.setting.end(end).0.post_receive(queue, ReceiveRequest { id, scatter });
        posted.map_err(|rejected| rejected.why).expect("there is room");
    }

    /// What has completed at an end so far.
    pub(super) fn polled(&mut self, end: usize) -> Vec<Completion> {
        let mut done = Vec::new();
        let cq = self.sides[end].cq;
        self.setting.end(end).0.poll_cq(cq, usize::MAX, &mut done);
        done
    }

    /// Lets time go on until `count` completions came to an end.
    pub(super) fn completions(&mut self, end: usize, count: usize) -> Vec<Completion> {
        let mut done = Vec::new();
        let cq = self.sides[end].cq;
        for _ in 0..PATIENCE_TURNS {
            self.setting.end(end).0.poll_cq(cq, count - done.len(), &mut done);
            if done.len() == count {
                return done;
            }
            self.setting.turn();
        }
        panic!("{} of {count} completions came to end {end}: {done:?}", done.len());
    }

    /// Lets time go on until one completion came, which went well.
    pub(super) fn success(&mut self, end: usize) -> Completion {
        let done = self.completions(end, 1)[0];
        assert_eq!(done.status, Status::Success, "{done:?}");
        done
    }

    /// Lets time go on until one completion came, which went so.
    pub(super) fn failure(&mut self, end: usize, status: Status) -> Completion {
        let done = self.completions(end, 1)[0];
        assert_eq!(done.status, status, "{done:?}");
        done
    }

    /// Lets time go on for a while.
    pub(super) fn settle(&mut self) {
        for _ in 0..SETTLING_TURNS {
            self.setting.turn();
        }
    }

    /// What has happened at an end so far.
    pub(super) fn events(&mut self, end: usize) -> Vec<Event> {
        let device = self.setting.end(end).0;
        core::iter::from_fn(|| device.poll_event()).collect()
    }
}

/// Bytes that tell where they belong.
pub(super) fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}

const PATIENCE_TURNS: usize = 100_000;
const SETTLING_TURNS: usize = 50;
