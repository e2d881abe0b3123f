//! A server for librdmacm's `ucmatose -s ADDRESS`: takes one connection, sends ten messages, receives ten, and waits for the
//! end. Run it with the address to listen on; it says what happened.

use core::time::Duration;
use rdma::{Config, SoftDevice};
use reactor::{Options, Reactor};
use std::net::{IpAddr, SocketAddr};
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, MemoryLimits};
use stdx::time::earliest;
use verbs::{
    Accept, Access, ConnectionEvent, ConnectionWhat, Connections, Data, Mtu, Parameters, PortSpace, Provider,
    QpInit, ReceiveQueue, ReceiveRequest, Receives, Registration, SendRequest, Transition, Transport, Work,
};

fn main() {
    let address: IpAddr = std::env::args().nth(1).expect("an address").parse().expect("an address");
    let memory = MemoryLimits { buffer_bytes: 8 << 20 };
    let mut env = Reactor::new(Options { memory, ..Options::default() }).expect("a reactor");
    let config = Config { mtu: Mtu::Mtu1024, ..Config::new(address) };
    let mut device = SoftDevice::open(&mut env, Owner(1), config).expect("a device");
    device.listen(Owner(1), PortSpace::Tcp, SocketAddr::new(address, PORT)).expect("a listener");
    let region = env.mem().map(Kind::Shared, 1 << 16).expect("memory");
    let span = env.mem().whole(region);
    let pd = device.alloc_pd().expect("a domain");
    let cq = device.create_cq(Owner(1), 64).expect("a completion queue");
    let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
    let memory = device.register(&mut env, pd, &registration).expect("a region");
    let init = QpInit {
        pd,
        transport: Transport::ReliableConnection,
        send_cq: cq,
        receive_cq: cq,
        receives: Receives::Own { entries: 16, sges: 1 },
        send_entries: 16,
        send_sges: 1,
        inline_bytes: 0,
    };
    let qp = device.create_qp(Owner(1), &init).expect("a queue pair");
    let initialize = Transition::Initialize { access: Access::NONE, queue_key: 0 };
    device.modify_qp(qp, &initialize).expect("a fresh queue pair");
    for id in 0..10 {
        let scatter = [memory.sge(4096, 100)];
        device.post_receive(ReceiveQueue::Own(qp), ReceiveRequest { id, scatter: &scatter }).expect("room");
    }
    let (mut events, mut done, mut is_over) = (Vec::new(), Vec::new(), false);
    while !is_over {
        let patience = env.now() + Duration::from_millis(100);
        env.poll(&mut events, earliest(device.deadline(), Some(patience)));
        for event in events.drain(..) {
            device.handle_event(&mut env, &event);
        }
        device.turn(&mut env);
        while let Some(ConnectionEvent { connection, what, .. }) = device.poll_connection() {
            println!("{what:?}");
            match what {
                ConnectionWhat::Requested { .. } => {
                    let accept =
                        Accept { qp, parameters: Parameters::default(), queue_key: 0, private_data: &[] };
                    device.accept(&mut env, Owner(1), connection, &accept).expect("the request waits");
                }
                ConnectionWhat::Established { .. } => {
                    for id in 0..10 {
                        let list = [memory.sge(0, 100)];
                        let request = SendRequest::new(100 + id, Work::Send, Data::Gather(&list));
                        device.post_send(qp, request).expect("room");
                    }
                }
                _ => is_over = true,
            }
        }
        device.poll_cq(cq, usize::MAX, &mut done);
        for done in done.drain(..) {
            println!("{} {:?} {:?} {} bytes", done.id, done.kind, done.status, done.len);
        }
    }
    for _ in 0..20 {
        let patience = env.now() + Duration::from_millis(10);
        env.poll(&mut events, Some(patience));
        device.turn(&mut env);
    }
    println!("{:?}", device.counters());
}

/// Where ucmatose looks for its server.
const PORT: u16 = 7471;
