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
    let sent = play(Bottleneck { each: Duration::from_micros(20), room: 90 }, Duration::ZERO, false);
    assert!(sent < 2 * NEEDED, "{sent} packets for {NEEDED}");
}

#[test]
fn writes_get_through_a_line_that_is_longer_than_their_patience() {
    // Others stand before them, for longer than eight times the agreed time-out of 67 milliseconds.
    let line = Duration::from_millis(900);
    let sent = play(Bottleneck { each: Duration::from_micros(400), room: 4000 }, line, false);
    assert!(sent < 2 * NEEDED, "{sent} packets for {NEEDED}");
}

#[test]
fn reads_get_through_where_few_packets_find_room() {
    let sent = play(Bottleneck { each: Duration::from_micros(20), room: 90 }, Duration::ZERO, true);
    assert!(sent < 2 * NEEDED, "{sent} packets for {NEEDED}");
}

/// Moves all messages behind others that take so long; says how many packets the sender of bytes sent for them.
fn play(bottleneck: Bottleneck, line: Duration, reads: bool) -> u64 {
    let mut world = World::new(7, Faults::default(), |config| config);
    let free_at = world.envs[0].now() + line;
    world.net.borrow_mut().bottleneck = Some(bottleneck);
    world.net.borrow_mut().free_at = [free_at; 2];
    let ends = [0, 1].map(|end| open(&mut world, end));
    for end in [0, 1] {
        connect(&mut world, &ends, end);
    }
    let (mut posted, mut completed, mut done) = (0, 0, Vec::new());
    for turn in 0.. {
        assert!(turn < 1_000_000, "{completed} of {MESSAGES}");
        while posted < MESSAGES && posted - completed < DEPTH {
            let data = [ends[0].memory.sge(0, LEN)];
            let from = Remote { address: 0, key: ends[1].memory.key };
            let work = if reads { Work::Read(from) } else { Work::Write(from) };
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
        if completed == MESSAGES {
            break;
        }
    }
    world.devices[usize::from(reads)].counters().sent_pkts
}

/// One end.
struct End {
    cq: CqId,
    qp: QpId,
    memory: Registered,
}

fn open(world: &mut World, end: usize) -> End {
    let (device, env) = world.end(end);
    let region = env.mem().map(Kind::Shared, u64::from(LEN)).unwrap();
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
        send_entries: DEPTH as u32,
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

const LEN: u32 = 64 << 10;
/// Messages under way.
const DEPTH: u64 = 16;
const MESSAGES: u64 = 200;
/// Packets that would do if none were lost.
const NEEDED: u64 = MESSAGES * (LEN as u64 >> 10);
