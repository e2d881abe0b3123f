//! A device with queue pairs of every service, and a neighbour that writes whatever it likes into its own area.
//!
//! Layouts are spelled out here once more: a neighbour that lies is not bound to what the crate has to offer.

#![allow(dead_code)] // Each of those who use it uses only a part.

use core::net::{IpAddr, Ipv4Addr};
use shm::{Config, HasLane, Lane, Neighbourhood};
use stdx::conformance::links::Machine;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, LinkId, LinkName, Owner};
use stdx::mem::{Kind, RegionId, Span};
use verbs::parts::Registry;
use verbs::{
    Access, Completion, CqId, Data, Mtu, Peer, QpId, QpInit, ReceiveQueue, ReceiveRequest, Receives,
    Registered, Registration, Remote, SendRequest, Transition, Transport, Work,
};

/// What the provider of this test keeps with each queue pair.
#[derive(Debug, Default)]
pub struct Engine(Lane);

impl HasLane for Engine {
    fn lane(&self) -> &Lane {
        &self.0
    }

    fn lane_mut(&mut self) -> &mut Lane {
        &mut self.0
    }
}

/// Both processes.
pub struct World {
    pub env: StillEnv,
    pub registry: Registry<Engine>,
    pub hood: Neighbourhood,
    /// A reliable, an unreliable and a datagram queue pair.
    pub qps: [QpId; 3],
    pub cq: CqId,
    /// What peers may use: the middle third of `span`.
    pub open: Registered,
    span: Span,
    pub hostile: StillEnv,
    pub link: LinkId,
    /// Its area, and how many records it wrote.
    pub area: RegionId,
    written: u32,
    /// The victim's area, once it was looked at.
    theirs: Option<RegionId>,
}

impl World {
    /// Linked, with requests of the victim's under way.
    pub fn new() -> Self {
        let machine = Machine::default();
        let (mut env, mut hostile) = (StillEnv::on(&machine, 1, 1), StillEnv::on(&machine, 1, 2));
        let config = Config { records: RECORDS, bytes: BYTES, ..Config::default() };
        let hood = Neighbourhood::open(&mut env, Owner(1), OURS, PORT, config);
        let mut registry: Registry<Engine> = Registry::new(verbs::Limits::default());
        let region = env.mem().map(Kind::Published, 3 * THIRD as u64).unwrap();
        let span = env.mem().whole(region);
        env.mem().fill(span, GUARD);
        let pd = registry.alloc_pd().unwrap();
        let cq = registry.create_cq(Owner(1), 1024).unwrap();
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let pieces = [span.slice(THIRD, THIRD)];
        let open = registry.register(pd, &Registration { pieces: &pieces, address: 0, access }).unwrap();
        let qps = SERVICES.map(|transport| {
            let receives = Receives::Own { entries: 16, sges: 1 };
            let (send_cq, receive_cq) = (cq, cq);
            let (send_entries, send_sges, inline_bytes) = (16, 1, 64);
            let init = QpInit {
                pd,
                transport,
                send_cq,
                receive_cq,
                receives,
                send_entries,
                send_sges,
                inline_bytes,
            };
            registry.create_qp(Owner(1), &init).unwrap()
        });
        let link =
            hostile.connect_link(Owner(2), &LinkName::new(&format!("weft-rdma/{PORT}/{OURS}"))).unwrap();
        let area = hostile.mem().map(Kind::Published, AREA_LEN).unwrap();
        hostile.send_link(link, &hello(), Some(area)).unwrap();
        let mut world =
            Self { env, registry, hood, qps, cq, open, span, hostile, link, area, written: 0, theirs: None };
        world.turn();
        for (qp, transport) in world.qps.into_iter().zip(SERVICES) {
            world.raise(qp, transport);
        }
        world.work();
        world.turn();
        assert_eq!(world.hood.linked(), 1);
        world
    }

    fn raise(&mut self, qp: QpId, transport: Transport) {
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let peer = Peer {
            address: THEIRS,
            qpn: THEIR_QPN,
            psn: 100,
            mtu: Mtu::Mtu4096,
            responder_resources: 4,
            rnr_timer: 1,
        };
        let peer = (transport != Transport::UnreliableDatagram).then_some(peer);
        let ready = Transition::ReadyToSend {
            psn: 500,
            ack_timeout: 8,
            retry_count: 3,
            rnr_retry_count: 3,
            initiator_depth: 4,
        };
        let initialize = Transition::Initialize { access, queue_key: 5 };
        for transition in [initialize, Transition::ReadyToReceive(peer), ready] {
            self.registry.apply(qp, &transition).unwrap();
            if matches!(transition, Transition::ReadyToReceive(_)) {
                self.hood.consider(&mut self.registry, qp, 100);
            }
        }
        self.registry.qps.get_mut(qp.0).unwrap().engine.0.begin(500);
    }

    /// Posts some of everything.
    pub fn work(&mut self) {
        let list = [self.open.sge(0, 1000)];
        let eight = [self.open.sge(0, 8)];
        let remote = Remote { address: 0, key: self.open.key };
        for qp in self.qps {
            for id in 0..4 {
                let request = ReceiveRequest { id, scatter: &list };
                let _ = self.registry.post_receive(ReceiveQueue::Own(qp), request);
            }
            for (work, data) in [
                (Work::Send, Data::Gather(&list)),
                (Work::Read(remote), Data::Gather(&list)),
                (Work::FetchAdd { at: remote, add: 1 }, Data::Gather(&eight)),
                (Work::Write(remote), Data::Inline(b"written")),
            ] {
                let _ = self.registry.post_send(qp, SendRequest::new(9, work, data));
            }
        }
    }

    /// The neighbour writes a record; `bytes` are what comes behind the stamp, and may be too few.
    pub fn write(&mut self, bytes: &[u8]) {
        let at = FRONT + (self.written % RECORDS) as usize * RECORD_LEN;
        let slot = self.hostile.mem().whole(self.area).slice(at, RECORD_LEN);
        self.hostile.mem().write(slot.from(4), &bytes[..bytes.len().min(RECORD_LEN - 4)]);
        self.written = self.written.wrapping_add(1);
        self.hostile.mem().store(slot, self.written);
    }

    /// The neighbour says how many records it has taken.
    pub fn say_consumed(&mut self, consumed: u32) {
        let place = self.hostile.mem().whole(self.area).slice(64, 4);
        self.hostile.mem().store(place, consumed);
    }

    /// The neighbour sends a message over the link, with its area again if it likes.
    pub fn say(&mut self, bytes: &[u8], with_area: bool) {
        if !bytes.is_empty() {
            let _ = self.hostile.send_link(self.link, bytes, with_area.then_some(self.area));
        }
    }

    /// The victim's turn; its laws hold.
    pub fn turn(&mut self) {
        let mut events = Vec::new();
        let now = self.env.now() + core::time::Duration::from_micros(100);
        self.env.set_now(now);
        self.env.poll(&mut events, None);
        events.iter().for_each(|event| self.hood.handle_event(event));
        self.hood.receive(&mut self.registry, &mut self.env);
        while self.hood.poll_heard().is_some() || self.hood.poll_lost().is_some() {}
        let now = self.env.now();
        for qp in self.qps {
            while self.hood.poll_woken().is_some() {}
            self.hood.serve(&mut self.registry, self.env.mem(), now, qp);
        }
        self.hood.finish(&mut self.registry, &mut self.env);
        self.hood.check(&self.registry);
        assert!(self.is_guarded(), "no byte outside the region changes");
    }

    /// What the victim says of its sleep.
    pub fn asleep(&mut self) -> u32 {
        let mut bytes = [0; 256];
        while let Ok(message) = self.hostile.recv_link(self.link, &mut bytes) {
            self.theirs = self.theirs.or(message.memory);
        }
        let theirs = self.theirs.expect("the victim said hello");
        let mem = self.hostile.mem();
        mem.load(mem.whole(theirs).first(4))
    }

    /// What has completed.
    pub fn done(&mut self) -> Vec<Completion> {
        let mut done = Vec::new();
        self.registry.cqs.poll(self.cq, usize::MAX, &mut done);
        done
    }

    fn is_guarded(&mut self) -> bool {
        let mut bytes = vec![0; 3 * THIRD];
        self.env.mem().read(self.span.first(3 * THIRD), &mut bytes);
        bytes[..THIRD] == UNTOUCHED && bytes[2 * THIRD..] == UNTOUCHED
    }

    /// The number of a queue pair of the victim's.
    pub fn qpn(&self, which: usize) -> u32 {
        self.registry.qps.get(self.qps[which].0).unwrap().qpn
    }
}

/// A record's bytes behind its stamp.
pub struct Forged {
    pub opcode: u8,
    pub flags: u8,
    pub memory: u16,
    /// Destination, source, number, acknowledged, length, total, immediate, key.
    pub words: [u32; 8],
    pub address: u64,
    pub tail: [u64; 2],
}

impl Forged {
    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.opcode, self.flags];
        bytes.extend_from_slice(&self.memory.to_ne_bytes());
        self.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        bytes.extend_from_slice(&self.address.to_ne_bytes());
        self.tail.iter().for_each(|number| bytes.extend_from_slice(&number.to_ne_bytes()));
        bytes
    }
}

/// A hello with an honest area.
pub fn hello() -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(b"weftshm\x01");
    bytes.push(4);
    bytes.extend_from_slice(&[10, 0, 0, 2]);
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&PORT.to_le_bytes());
    bytes.extend_from_slice(&RECORDS.to_le_bytes());
    bytes.extend_from_slice(&BYTES.to_le_bytes());
    bytes
}

const SERVICES: [Transport; 3] =
    [Transport::ReliableConnection, Transport::UnreliableConnection, Transport::UnreliableDatagram];
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub const THEIR_QPN: u32 = 77;
const PORT: u16 = 4791;
const RECORDS: u32 = 64;
const BYTES: u32 = 16 << 10;
const FRONT: usize = 4096;
const RECORD_LEN: usize = 64;
const AREA_LEN: u64 = FRONT as u64 + RECORDS as u64 * RECORD_LEN as u64 + BYTES as u64;
const THIRD: usize = 8192;
const GUARD: u8 = 0xa5;
/// What lies beside the memory, as a whole: a fuzzer follows comparisons byte by byte, which takes longer than all else.
const UNTOUCHED: [u8; THIRD] = [GUARD; THIRD];
