//! Two devices over bad networks, from many seeds: every request completes once and in order, every byte is where it should
//! be, and atomics are done exactly once.

mod support;

use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use stdx::prng::Prng;
use support::{Faults, World};
use verbs::conformance::Setting;
use verbs::{
    Access, Completion, CompletionKind, CqId, Data, Mtu, Peer, Provider, QpId, QpInit, ReceiveQueue,
    ReceiveRequest, Receives, Registered, Registration, Remote, SendRequest, Status, Transition, Transport,
    Work,
};

/// One end, and what its memory should be.
struct End {
    cq: CqId,
    qp: QpId,
    span: Span,
    memory: Registered,
    shadow: Vec<u8>,
    posted: u64,
    completed: u64,
    receives: u64,
    received: u64,
    sends: u64,
    /// What the peer's counter was before each of our additions.
    before: u64,
}

/// Memory of an end: what is read, what the peer writes, what receives fill, where reads go, a counter.
const SOURCE: u64 = 0;
const WRITTEN: u64 = 64 << 10;
const RECEIVED: u64 = 128 << 10;
const FETCHED: u64 = 192 << 10;
const COUNTER: u64 = 256 << 10;
const MEMORY: u64 = COUNTER + 64;
const AREA: u64 = 64 << 10;
const LONGEST: u64 = 20_000;
const ENTRIES: u32 = 24;

#[test]
fn everything_arrives_once() {
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

fn run(seed: u64) {
    let mut prng = Prng::new(seed);
    let faults = Faults {
        lost: prng.below(60),
        doubled: prng.below(50),
        delayed: prng.below(100),
        damaged: prng.below(20),
        inbox_bytes: [None, Some(4_000), Some(40_000)][prng.below(3) as usize],
    };
    let mtu = Mtu::ALL[prng.below(5) as usize];
    let window = prng.between(1, 64) as u32;
    let mut world = World::new(seed, faults, |config| rdma::Config {
        window_packets: window,
        burst_packets: 1 + window / 2,
        ..config
    });
    world.net.borrow_mut().run_max = prng.between(1, 20) as u16;
    let mut ends = [0, 1].map(|end| open(&mut world, end, &mut prng));
    connect(&mut world, &ends, mtu, &mut prng);
    let goal = 150;
    for turn in 0.. {
        assert!(turn < 400_000, "{:?} of {:?}", ends.each_ref().map(|end| end.completed), goal);
        for end in [0, 1] {
            collect(&mut world, &mut ends, end);
            if prng.chance(1, 3) {
                post_receive(&mut world, &mut ends, end);
            }
            if ends[end].posted < goal && prng.chance(1, 2) {
                post(&mut world, &mut ends, end, &mut prng);
            }
        }
        world.turn();
        if ends.iter().all(|end| end.completed == goal) {
            break;
        }
    }
    for _ in 0..200 {
        world.turn();
    }
    for end in [0, 1] {
        collect(&mut world, &mut ends, end);
        assert_eq!(ends[end].received, ends[1 - end].sends, "each send completes one receive");
        let mut bytes = vec![0; MEMORY as usize];
        world.envs[end].mem().read(ends[end].span, &mut bytes);
        let differs = bytes.iter().zip(&ends[end].shadow).position(|(is, should)| is != should);
        assert_eq!(differs, None, "memory of end {end}");
    }
}

fn open(world: &mut World, end: usize, prng: &mut Prng) -> End {
    let (device, env) = world.end(end);
    let region = env.mem().map(Kind::Shared, MEMORY).unwrap();
    let span = env.mem().whole(region).first(MEMORY as usize);
    let mut shadow = vec![0; MEMORY as usize];
    prng.fill(&mut shadow[..AREA as usize]);
    env.mem().write(span, &shadow);
    let pd = device.alloc_pd().unwrap();
    let cq = device.create_cq(Owner(1), 256).unwrap();
    let access = Access::LOCAL_WRITE.with(Access::REMOTE);
    let memory = device.register(env, pd, &Registration { pieces: &[span], address: 0, access }).unwrap();
    let init = QpInit {
        pd,
        transport: Transport::ReliableConnection,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: ENTRIES, sges: 1 },
        send_entries: ENTRIES,
        send_sges: 1,
        inline_bytes: 64,
    };
    let qp = device.create_qp(Owner(1), &init).unwrap();
    let counts = (0, 0, 0, 0, 0, 0);
    let (posted, completed, receives, received, sends, before) = counts;
    End { cq, qp, span, memory, shadow, posted, completed, receives, received, sends, before }
}

fn connect(world: &mut World, ends: &[End; 2], mtu: Mtu, prng: &mut Prng) {
    let psns = [prng.between(0xff_ff00, 0xff_ffff) as u32, prng.below(1 << 24) as u32];
    let depth = prng.between(1, 8) as u8;
    let numbers = [0, 1].map(|end: usize| world.devices[end].query_qp(ends[end].qp).unwrap().qpn);
    for end in [0, 1] {
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let peer = Peer {
            address: world.address(1 - end),
            qpn: numbers[1 - end],
            psn: psns[1 - end],
            mtu,
            responder_resources: depth,
            rnr_timer: 1,
        };
        let ready = Transition::ReadyToSend {
            psn: psns[end],
            ack_timeout: 8,
            retry_count: 7,
            rnr_retry_count: 7,
            initiator_depth: depth,
        };
        for transition in
            [Transition::Initialize { access, queue_key: 0 }, Transition::ReadyToReceive(Some(peer)), ready]
        {
            world.devices[end].modify_qp(ends[end].qp, &transition).unwrap();
        }
    }
}

fn post_receive(world: &mut World, ends: &mut [End; 2], end: usize) {
    let id = ends[end].receives;
    let sge = ends[end].memory.sge(RECEIVED + slot(id), LONGEST as u32);
    let queue = ReceiveQueue::Own(ends[end].qp);
    if world.devices[end].post_receive(queue, ReceiveRequest { id, scatter: &[sge] }).is_ok() {
        ends[end].receives += 1;
    }
}

fn post(world: &mut World, ends: &mut [End; 2], end: usize, prng: &mut Prng) {
    let id = ends[end].posted;
    let len = if prng.chance(1, 3) { prng.below(300) } else { prng.below(LONGEST) };
    let from = prng.below(AREA - len);
    let (key, other) = (ends[1 - end].memory.key, 1 - end);
    let source = ends[end].memory.sge(SOURCE + from, len as u32);
    let to = WRITTEN + prng.below(AREA - len);
    let remote = Remote { address: to, key };
    let counter = Remote { address: COUNTER, key };
    let bytes = ends[end].shadow[from as usize..(from + len) as usize].to_vec();
    let at = FETCHED + prng.below(AREA - len);
    let mut list = [source];
    let (work, sends) = match prng.below(6) {
        0 => (Work::Send, true),
        1 => (Work::SendImmediate(7), true),
        2 => (Work::Write(remote), false),
        3 => (Work::WriteImmediate(remote, 8), true),
        4 => {
            list = [ends[end].memory.sge(at, len as u32)];
            (Work::Read(Remote { address: from, key }), false)
        }
        _ => {
            list = [ends[end].memory.sge(COUNTER + 8, 8)];
            (Work::FetchAdd { at: counter, add: 1 + id }, false)
        }
    };
    let fence = prng.chance(1, 8);
    let request = SendRequest { fence, ..SendRequest::new(id, work, Data::Gather(&list)) };
    if world.devices[end].post_send(ends[end].qp, request).is_err() {
        return;
    }
    ends[end].posted += 1;
    match work {
        Work::Send | Work::SendImmediate(_) => {
            put(&mut ends[other].shadow, RECEIVED + slot(ends[end].sends), &bytes);
        }
        Work::Write(_) | Work::WriteImmediate(..) => put(&mut ends[other].shadow, to, &bytes),
        Work::Read(_) => {
            let bytes = ends[other].shadow[from as usize..(from + len) as usize].to_vec();
            put(&mut ends[end].shadow, at, &bytes);
        }
        _ => {
            let before = ends[end].before;
            put(&mut ends[end].shadow, COUNTER + 8, &before.to_ne_bytes());
            ends[end].before += 1 + id;
            let after = ends[end].before;
            put(&mut ends[other].shadow, COUNTER, &after.to_ne_bytes());
        }
    }
    ends[end].sends += u64::from(sends);
}

fn collect(world: &mut World, ends: &mut [End; 2], end: usize) {
    let mut done: Vec<Completion> = Vec::new();
    world.devices[end].poll_cq(ends[end].cq, usize::MAX, &mut done);
    for completion in done {
        assert_eq!(completion.status, Status::Success, "{completion:?}");
        let side = &mut ends[end];
        let next = match completion.kind {
            CompletionKind::Receive | CompletionKind::ReceiveWrite => &mut side.received,
            _ => &mut side.completed,
        };
        assert_eq!(completion.id, *next, "in order, and once");
        *next += 1;
    }
}

fn put(shadow: &mut [u8], at: u64, bytes: &[u8]) {
    shadow[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
}

/// Receives share the area in turn.
fn slot(id: u64) -> u64 {
    (id % 3) * LONGEST
}

const SEEDS: u64 = 150;
