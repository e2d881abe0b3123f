//! A device with one connected queue pair, for whatever may come to it: between areas of its memory lie bytes that nothing
//! may change.

use super::{Faults, Packet, World, forge};
use rdma::Config;
use std::time::Duration;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use verbs::conformance::Setting;
use verbs::{
    Access, Completion, CqId, Mtu, Peer, Provider, QpId, QpInit, QpState, ReceiveQueue, ReceiveRequest,
    Receives, Registered, Registration, SendRequest, Transition, Transport,
};
use wire::roce::BTH_LEN;

/// The device is the second of the world; its peer is nobody.
pub struct Victim {
    pub world: World,
    pub memory: Registered,
    pub cq: CqId,
    pub qp: QpId,
    pub qpn: u32,
    /// Where its memory lies.
    pub span: Span,
    guards: [Span; 2],
    /// Requests that were posted, and those that completed.
    pub posted: u64,
    pub completed: u64,
}

/// The number of the first packet, of either side.
pub const PSN: u32 = 0xff_fffa;
/// The peer's address, and that of the device.
pub const PEER: &str = "10.0.0.7";
pub const DEVICE: &str = "10.0.0.2";
const STRANGER: &str = "10.0.0.8";
/// Bytes that may be written.
pub const LEN: usize = 8192;
const GUARD: usize = 4096;
pub const FILL: u8 = 0xa5;
/// What lies beside the memory, as a whole: a fuzzer follows comparisons byte by byte, which takes longer than all else.
const UNTOUCHED: [u8; GUARD] = [FILL; GUARD];

impl Victim {
    pub fn new(transport: Transport) -> Self {
        Self::with(transport, Access::LOCAL_WRITE.with(Access::REMOTE))
    }

    /// The same, with a queue pair that allows no more than this.
    pub fn with(transport: Transport, allowed: Access) -> Self {
        let mut world =
            World::new(1, Faults::default(), |config| Config { ack_delay: Duration::ZERO, ..config });
        world.net.borrow_mut().record = Some(Vec::new());
        let (device, env) = world.end(1);
        let region = env.mem().map(Kind::Shared, (LEN + 2 * GUARD) as u64).unwrap();
        let whole = env.mem().whole(region).first(LEN + 2 * GUARD);
        env.mem().fill(whole, FILL);
        let guards = [whole.first(GUARD), whole.slice(GUARD + LEN, GUARD)];
        let pd = device.alloc_pd().unwrap();
        let cq = device.create_cq(Owner(1), 1024).unwrap();
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let registration = Registration { pieces: &[whole.slice(GUARD, LEN)], address: 0, access };
        let memory = device.register(env, pd, &registration).unwrap();
        let init = QpInit {
            pd,
            transport,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: 8, sges: 1 },
            send_entries: 8,
            send_sges: 1,
            inline_bytes: 64,
        };
        let qp = device.create_qp(Owner(1), &init).unwrap();
        let qpn = device.query_qp(qp).unwrap().qpn;
        let peer = Peer {
            address: PEER.parse().unwrap(),
            qpn: 0x77,
            psn: PSN,
            mtu: Mtu::Mtu1024,
            responder_resources: 4,
            rnr_timer: 1,
        };
        let ready = Transition::ReadyToSend {
            psn: PSN,
            ack_timeout: 14,
            retry_count: 3,
            rnr_retry_count: 3,
            initiator_depth: 4,
        };
        let initialize = Transition::Initialize { access: allowed, queue_key: 0 };
        for transition in [initialize, Transition::ReadyToReceive(Some(peer)), ready] {
            device.modify_qp(qp, &transition).unwrap();
        }
        let span = whole.slice(GUARD, LEN);
        Self { world, memory, cq, qp, qpn, span, guards, posted: 0, completed: 0 }
    }

    pub fn receive(&mut self, len: u32) {
        let scatter = [self.memory.sge(0, len.min(LEN as u32))];
        let request = ReceiveRequest { id: 1, scatter: &scatter };
        let posted = self.world.devices[1].post_receive(ReceiveQueue::Own(self.qp), request);
        self.posted += u64::from(posted.is_ok());
    }

    pub fn send(&mut self, request: SendRequest<'_>) {
        self.posted += u64::from(self.world.devices[1].post_send(self.qp, request).is_ok());
    }

    /// A packet comes, its bytes put right as far as `mend` says: queue pair and partition (1), number (2), key and address
    /// (4), length (8); by a stranger (16).
    pub fn hear(&mut self, mut bytes: Vec<u8>, mend: u8, number: u8) {
        if mend & 8 != 0 && bytes.len() >= BTH_LEN {
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[1] &= !0x3f;
        }
        if mend & 1 != 0 && bytes.len() >= BTH_LEN {
            bytes[2..4].copy_from_slice(&[0xff, 0xff]);
            bytes[5..8].copy_from_slice(&self.qpn.to_be_bytes()[1..]);
        }
        if mend & 2 != 0 && bytes.len() >= BTH_LEN {
            let psn = PSN.wrapping_add(u32::from(number)) & 0xff_ffff;
            bytes[9..12].copy_from_slice(&psn.to_be_bytes()[1..]);
        }
        if mend & 4 != 0
            && let Some(header) = bytes.get_mut(BTH_LEN..BTH_LEN + 16)
        {
            header[..6].fill(0);
            header[6] &= 0x1f;
            header[8..12].copy_from_slice(&self.memory.key.0.to_be_bytes());
        }
        let source = if mend & 16 == 0 { PEER } else { STRANGER };
        let packet = if bytes.len() < BTH_LEN {
            let address = |text: &str| std::net::SocketAddr::new(text.parse().unwrap(), 4791);
            Packet { from: address(source), to: address(DEVICE), bytes }
        } else {
            forge::close(bytes, source, DEVICE)
        };
        let now = self.world.envs[1].now();
        self.world.net.borrow_mut().inject(now, packet);
    }

    /// Time passes, and all laws hold.
    pub fn pass(&mut self, time: Duration) {
        for time in [Duration::from_micros(10), time] {
            let now = self.world.envs[1].now() + time;
            self.world.set_now(now);
            self.world.work();
        }
        let mut done: Vec<Completion> = Vec::new();
        self.world.devices[1].poll_cq(self.cq, usize::MAX, &mut done);
        self.completed += done.len() as u64;
        assert!(self.completed <= self.posted, "what is posted completes once");
        while self.world.devices[1].poll_event().is_some() {}
        let mut bytes = [0; GUARD];
        for guard in self.guards {
            self.world.envs[1].mem().read(guard, &mut bytes);
            assert!(bytes == UNTOUCHED, "nothing is written beyond a region");
        }
    }

    /// The queue pair goes into error, and everything completes.
    pub fn end(&mut self) {
        let state = self.world.devices[1].query_qp(self.qp).unwrap().state;
        if state != QpState::Error {
            self.world.devices[1].modify_qp(self.qp, &Transition::Error).unwrap();
        }
        self.pass(Duration::ZERO);
        let info = self.world.devices[1].query_qp(self.qp).unwrap();
        assert_eq!((info.sends, info.receives), (0, 0), "everything is flushed");
    }
}
