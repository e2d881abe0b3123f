//! Messages of any kind and order to the connection manager, an owner who does as it likes, and time: all laws hold.
//!
//! The input is a list of steps: one byte that says what happens, one for a number; then 256 bytes of a management datagram
//! if one comes.
#![no_main]

#[path = "../../crates/rdma/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::time::Duration;
use stdx::env::{Env, Owner};
use support::{Faults, World, forge};
use verbs::conformance::Setting;
use verbs::{
    Accept, Access, Connect, ConnectionId, Connections, Limits, Parameters, PortSpace, Provider, QpId,
    QpInit, Receives, Transition, Transport,
};
use wire::cm::MAD_LEN;
use wire::roce::GENERAL_SERVICES_Q_KEY;

fuzz_target!(|input: &[u8]| {
    let limits = Limits { backlog: 4, connections: 8, qps: 64, ..Limits::default() };
    let mut world = World::new(1, Faults::default(), |config| rdma::Config { limits, ..config });
    world.net.borrow_mut().record = Some(Vec::new());
    for (space, port) in [(PortSpace::Tcp, PORT), (PortSpace::Udp, PORT)] {
        world.devices[1].listen(Owner(1), space, SocketAddr::new(DEVICE.parse().unwrap(), port)).unwrap();
    }
    let (mut connections, mut rest) = (Vec::new(), input);
    for _ in 0..STEPS_MAX {
        let [what, number, bytes @ ..] = rest else { break };
        rest = bytes;
        if what & 0x80 == 0 {
            let Some((mad, behind)) = bytes.split_first_chunk::<MAD_LEN>() else { break };
            hear(&mut world, *mad, *what, *number);
            rest = behind;
        } else {
            want(&mut world, &connections, *what, *number);
        }
        pass(&mut world, Duration::from_micros(10));
        while let Some(event) = world.devices[1].poll_connection() {
            connections.push(event.connection);
        }
        while world.devices[1].poll_event().is_some() {}
    }
    pass(&mut world, Duration::from_secs(60));
});

/// A datagram comes, its header and our number for a connection put right if `what` says so.
fn hear(world: &mut World, mut mad: [u8; MAD_LEN], what: u8, number: u8) {
    if what & 1 != 0 {
        mad[..4].copy_from_slice(&[1, 7, 2, 3]);
        mad[16..18].copy_from_slice(&(0x10 + u16::from(number & 15)).to_be_bytes());
    }
    if what & 2 != 0 {
        let net = world.net.borrow();
        let sent = net.record.iter().flatten().rev().filter_map(forge::message_of);
        let last = sent.map(|message| message.encode(0)).nth(usize::from(number >> 4));
        if let Some(last) = last {
            mad[28..32].copy_from_slice(&last[24..28]);
            if what & 4 != 0 {
                mad[24..28].copy_from_slice(&last[28..32]);
            }
        }
    }
    if what & 8 != 0 {
        // A request for a port that is listened on.
        let space = if number & 1 == 0 { 0x0106 } else { 0x0111_u64 };
        mad[32..40].copy_from_slice(&(space << 16 | u64::from(PORT)).to_be_bytes());
    }
    let source = if what & 16 == 0 { "10.0.0.7" } else { "10.0.0.8" };
    let packet = forge::management(&mad, GENERAL_SERVICES_Q_KEY, source, DEVICE);
    let now = world.envs[1].now();
    world.net.borrow_mut().inject(now, packet);
}

/// The owner wants something.
fn want(world: &mut World, connections: &[ConnectionId], what: u8, number: u8) {
    let connection = connections.iter().rev().nth(usize::from(number & 7)).copied();
    let transport = match number >> 4 & 3 {
        0 => Transport::UnreliableConnection,
        1 => Transport::UnreliableDatagram,
        _ => Transport::ReliableConnection,
    };
    // Whatever is refused is refused in peace.
    match (what & 7, connection) {
        (0, _) => {
            let qp = pair(world, transport);
            let space =
                if transport == Transport::UnreliableDatagram { PortSpace::Udp } else { PortSpace::Tcp };
            let to = SocketAddr::new("10.0.0.7".parse().unwrap(), PORT);
            let parameters = Parameters::default();
            let connect = Connect { space, to, from: None, qp, parameters, private_data: &[] };
            let (device, env) = world.end(1);
            let _ = device.connect(env, Owner(1), &connect);
        }
        (1 | 2, Some(connection)) => {
            let Some(qp) = pair(world, transport) else { return };
            let parameters = Parameters::default();
            let accept = Accept { qp, parameters, queue_key: 7, private_data: &[] };
            let (device, env) = world.end(1);
            let _ = device.accept(env, Owner(1), connection, &accept);
        }
        (3, Some(connection)) => {
            let _ = world.devices[1].reject(connection, &[]);
        }
        (4, Some(connection)) => {
            let _ = world.devices[1].disconnect(connection);
        }
        (5, Some(connection)) => world.devices[1].release(connection),
        _ => pass(world, Duration::from_millis(u64::from(number) * 20)),
    }
}

fn pair(world: &mut World, transport: Transport) -> Option<QpId> {
    let device = &mut world.devices[1];
    let pd = device.alloc_pd().ok()?;
    let cq = device.create_cq(Owner(1), 8).ok()?;
    let init = QpInit {
        pd,
        transport,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: 1, sges: 1 },
        send_entries: 1,
        send_sges: 1,
        inline_bytes: 0,
    };
    let qp = device.create_qp(Owner(1), &init).ok()?;
    device.modify_qp(qp, &Transition::Initialize { access: Access::NONE, queue_key: 7 }).ok()?;
    Some(qp)
}

fn pass(world: &mut World, time: Duration) {
    for time in [Duration::from_micros(10), time] {
        let now = world.envs[1].now() + time;
        world.set_now(now);
        world.work();
    }
}

const DEVICE: &str = "10.0.0.2";
const PORT: u16 = 7000;
/// Steps of one input.
const STEPS_MAX: usize = 64;
