//! Much at once through a narrow place: what finds no room is lost, and what finds some comes late. Senders have to get by with
//! what room there is, and lose no connection over it.

mod support;

use core::time::Duration;
use stdx::env::{Env, Owner};
use stdx::mem::Kind;
use support::{Bottleneck, Faults, World};
use verbs::conformance::Setting;
use verbs::{
    Access, CqId, Data, Mtu, Peer, Provider, QpId, QpInit, Receives, Registered, Registration, Remote,
    SendRequest, Status, Transition, Transport, Work,
};

#[test]
fn writes_get_through_where_few_packets_find_room() {
    // What a socket of Linux's usual size holds of packets of a kilobyte.
    let bottleneck = Bottleneck { each: Duration::from_micros(20), room: 90 };
    let done = play(&Load { reads: false, ..MANY }, bottleneck, Duration::ZERO);
    assert!(done.sent < 2 * MANY.packets(), "{done:?}");
}

#[test]
fn writes_get_through_a_line_that_is_longer_than_their_patience() {
    // Others stand before them, for longer than eight times the agreed time-out of 67 milliseconds.
    let line = Duration::from_millis(900);
    let bottleneck = Bottleneck { each: Duration::from_micros(400), room: 4000 };
    let done = play(&Load { reads: false, ..MANY }, bottleneck, line);
    assert!(done.sent < 2 * MANY.packets(), "{done:?}");
}

#[test]
fn reads_get_through_where_few_packets_find_room() {
    let bottleneck = Bottleneck { each: Duration::from_micros(20), room: 90 };
    let done = play(&MANY, bottleneck, Duration::ZERO);
    assert!(done.sent < 2 * MANY.packets(), "{done:?}");
}

#[test]
fn reads_get_through_where_a_small_part_of_each_finds_room() {
    // What a socket of Linux's usual size holds of packets that take as much of it as two pages each.
    let each = Duration::from_micros(20);
    let done = play(&LONG, Bottleneck { each, room: 26 }, Duration::ZERO);
    assert!(done.sent < LONG.packets() + 100, "what was asked for found room: {done:?}");
    assert!(done.took < 2 * each * LONG.packets() as u32, "{done:?}");
}

/// What is moved.
#[derive(Clone, Copy, Debug)]
struct Load {
    reads: bool,
    /// Bytes of a message.
    len: u32,
    messages: u64,
    /// Messages under way.
    depth: u64,
    /// What the devices know of the bottleneck, if it is their socket.
    inbox_bytes: Option<u32>,
}

impl Load {
    /// Packets that would do if none were lost.
    const fn packets(&self) -> u64 {
        self.messages * (self.len as u64 >> 10)
    }
}

/// What it took.
#[derive(Debug)]
struct Done {
    /// Packets that the sender of bytes sent.
    sent: u64,
    took: Duration,
}

/// Moves all messages, behind others that take so long.
fn play(load: &Load, bottleneck: Bottleneck, line: Duration) -> Done {
    let faults = Faults { inbox_bytes: load.inbox_bytes, ..Faults::default() };
    let mut world = World::new(7, faults, |config| config);
    let start = world.envs[0].now();
    world.net.borrow_mut().bottleneck = Some(bottleneck);
    world.net.borrow_mut().free_at = [start + line; 2];
    let ends = [0, 1].map(|end| open(&mut world, end, load));
    for end in [0, 1] {
        connect(&mut world, &ends, end);
    }
    let (mut posted, mut completed, mut done) = (0, 0, Vec::new());
    for turn in 0.. {
        assert!(turn < 1_000_000, "{completed} of {load:?}");
        while posted < load.messages && posted - completed < load.depth {
            let data = [ends[0].memory.sge(0, load.len)];
            let from = Remote { address: 0, key: ends[1].memory.key };
            let work = if load.reads { Work::Read(from) } else { Work::Write(from) };
            let request = SendRequest::new(posted, work, Data::Gather(&data));
            world.devices[0].post_send(ends[0].qp, request).unwrap();
            posted += 1;
        }
        world.turn();
        world.devices[0].poll_cq(ends[0].cq, usize::MAX, &mut done);
        for completion in done.drain(..) {
            assert_eq!(completion.status, Status::Success, "message {completed}");
            completed += 1;
        }
        if completed == load.messages {
            break;
        }
    }
    let sent = world.devices[usize::from(load.reads)].counters().sent_pkts;
    Done { sent, took: world.envs[0].now().since(start) }
}

/// One end.
struct End {
    cq: CqId,
    qp: QpId,
    memory: Registered,
}

fn open(world: &mut World, end: usize, load: &Load) -> End {
    let (device, env) = world.end(end);
    let region = env.mem().map(Kind::Shared, u64::from(load.len)).unwrap();
    let span = env.mem().whole(region);
    let pd = device.alloc_pd().unwrap();
    let cq = device.create_cq(Owner(1), 64).unwrap();
    let access = Access::LOCAL_WRITE.with(Access::REMOTE);
    let memory = device.register(env, pd, &Registration { pieces: &[span], address: 0, access }).unwrap();
    let init = QpInit {
        pd,
        transport: Transport::ReliableConnection,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: 1, sges: 1 },
        send_entries: load.depth as u32,
        send_sges: 1,
        inline_bytes: 0,
    };
    let qp = device.create_qp(Owner(1), &init).unwrap();
    End { cq, qp, memory }
}

fn connect(world: &mut World, ends: &[End; 2], end: usize) {
    let (peer, address) = (ends[1 - end].qp, world.address(1 - end));
    let qpn = world.devices[1 - end].query_qp(peer).unwrap().qpn;
    let device = &mut world.devices[end];
    let access = Access::REMOTE;
    device.modify_qp(ends[end].qp, &Transition::Initialize { access, queue_key: 0 }).unwrap();
    let peer = Peer { address, qpn, psn: 0, mtu: Mtu::Mtu1024, responder_resources: 16, rnr_timer: 1 };
    device.modify_qp(ends[end].qp, &Transition::ReadyToReceive(Some(peer))).unwrap();
    let ready = Transition::ReadyToSend {
        psn: 0,
        ack_timeout: 14,
        retry_count: 7,
        rnr_retry_count: 7,
        initiator_depth: 16,
    };
    device.modify_qp(ends[end].qp, &ready).unwrap();
}

/// Many messages, of which some find room.
const MANY: Load = Load { reads: true, len: 64 << 10, messages: 200, depth: 16, inbox_bytes: None };
/// Messages that find none, as the devices know: 26 packets of a kilobyte have room, and as much besides each as they reckon with.
const LONG: Load =
    Load { reads: true, len: 1 << 20, messages: 16, depth: 4, inbox_bytes: Some(26 * (1024 + 256)) };
