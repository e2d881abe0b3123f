//! Datagrams through the kernel: runs arrive whole, and RoCEv2 devices on plain UDP sockets pass the suite of providers.

use core::time::Duration;
use rdma::{Config, SoftDevice};
use reactor::{Options, Reactor};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use stdx::env::{DatagramSocket, Env, IoError, Owner, Run, What};
use stdx::mem::{Kind, MemoryLimits};
use stdx::time::earliest;
use verbs::conformance::{Setting, run};
use verbs::{Device, Provider};

/// Two devices, each with a reactor of its own.
struct Pair {
    devices: [SoftDevice; 2],
    envs: [Reactor; 2],
    addresses: [IpAddr; 2],
}

impl Pair {
    fn new(addresses: [IpAddr; 2], port: u16) -> Self {
        let mut envs = [reactor(), reactor()];
        let devices = [0, 1].map(|end: usize| {
            let usual = Config::new(addresses[end]);
            // Over the network, though they are neighbours.
            let neighbours = shm::Config { enabled: false, ..usual.neighbours };
            let config = Config { port, neighbours, ..usual };
            SoftDevice::open(&mut envs[end], Owner(9), config).unwrap()
        });
        Self { devices, envs, addresses }
    }
}

impl Setting for Pair {
    fn end(&mut self, end: usize) -> (&mut dyn Device, &mut dyn Env) {
        (&mut self.devices[end], &mut self.envs[end])
    }

    fn address(&self, end: usize) -> IpAddr {
        self.addresses[end]
    }

    fn turn(&mut self) {
        let mut events = Vec::new();
        for (device, env) in self.devices.iter_mut().zip(&mut self.envs) {
            let patience = env.now() + Duration::from_micros(100);
            env.poll(&mut events, earliest(device.deadline(), Some(patience)));
            for event in events.drain(..) {
                device.handle_event(env, &event);
            }
            device.turn(env);
            device.check();
        }
    }
}

fn reactor() -> Reactor {
    let memory = MemoryLimits { buffer_bytes: 8 << 20 };
    Reactor::new(Options { memory, ..Options::default() }).unwrap()
}

#[test]
fn devices_conform_over_ipv4() {
    run(|| Box::new(Pair::new([own_address(), own_address()], 4791)));
}

#[test]
fn a_run_arrives_as_it_was_sent() {
    let local = SocketAddr::new(own_address(), 0);
    for local in [local, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)] {
        let mut env = reactor();
        let socket = env.open_datagrams(Owner(3), &DatagramSocket { address: local }).unwrap();
        let info = env.datagrams_info(socket);
        assert_ne!(info.address.port(), 0);
        let region = env.mem().map(Kind::Shared, 1 << 17).unwrap();
        let whole = env.mem().whole(region);
        let bytes: Vec<u8> = (0..10_500).map(|at| (at % 251) as u8).collect();
        env.mem().write(whole, &bytes);
        let pieces = [whole.first(3), whole.slice(3, 6000), whole.slice(6003, 4497)];
        let run = Run { to: info.address, from: None, pieces: &pieces, datagram_len: 1000, traffic_class: 2 };
        assert!(info.run_max >= 11, "this kernel cuts runs");
        env.send_run(socket, &run).unwrap();
        let inbox = whole.slice(1 << 16, 1 << 16);
        let mut got = Vec::new();
        let mut events = Vec::new();
        while got.len() < bytes.len() {
            env.poll(&mut events, None);
            assert!(events.iter().all(|event| event.what == What::DatagramsReadable(socket)));
            assert!(events.drain(..).all(|event| event.owner == Owner(3)));
            while let Ok(run) = env.recv_run(socket, inbox) {
                assert_eq!((run.from, run.to), (info.address, info.address.ip()));
                assert_eq!((run.datagram_len.min(1000), run.traffic_class), (run.datagram_len, 2));
                let start = got.len();
                got.resize(start + run.len as usize, 0);
                env.mem().read(inbox, &mut got[start..]);
            }
        }
        assert_eq!(got, bytes);
        assert_eq!(env.recv_run(socket, inbox), Err(IoError::WouldBlock));
        let taken = env.open_datagrams(Owner(4), &DatagramSocket { address: info.address });
        assert_eq!(taken, Err(IoError::AddressInUse));
        env.close_datagrams(socket);
        assert_eq!(env.recv_run(socket, inbox), Err(IoError::Reset));
    }
}

/// An address of this machine that no other test uses: 127.0.0.0/8 has room.
fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, high | 0x80, low, 1 + (next % 250) as u8).into()
}
