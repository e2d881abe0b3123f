//! Datagrams through the kernel: runs arrive whole, and RoCEv2 devices on plain UDP sockets pass the suite of providers.

use core::time::Duration;
use rdma::{Config, SoftDevice};
use reactor::{Options, Reactor};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use stdx::conformance::datagrams;
use stdx::env::{DatagramSocket, Env, Owner};
use stdx::mem::MemoryLimits;
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

/// Over both versions of IP.
fn both(check: impl Fn(&mut Reactor, IpAddr)) {
    for address in [own_address(), Ipv6Addr::LOCALHOST.into()] {
        check(&mut reactor(), address);
    }
}

#[test]
fn runs_arrive_as_they_were_sent() {
    both(|env, address| datagrams::runs_arrive_as_they_were_sent(env, address));
}

#[test]
fn what_does_not_fit_is_cut_off() {
    both(|env, address| datagrams::what_does_not_fit_is_cut_off(env, address));
}

#[test]
fn several_runs_come_at_once() {
    both(|env, address| datagrams::several_runs_come_at_once(env, address));
}

#[test]
fn addresses_are_taken_once() {
    // Addresses for documentation (RFC 5737, RFC 3849) are nobody's.
    both(|env, address| {
        let elsewhere = if address.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
        datagrams::addresses_are_taken_once(env, address, elsewhere.parse().unwrap());
    });
}

#[test]
fn this_kernel_cuts_runs() {
    let mut env = reactor();
    let address = SocketAddr::new(own_address(), 0);
    let socket = env.open_datagrams(Owner(3), &DatagramSocket { address }).unwrap();
    assert!(env.datagrams_info(socket).run_max > 1, "what runs are for would not be measured");
}

/// An address of this machine that no other test uses: 127.0.0.0/8 has room.
fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, high | 0x80, low, 1 + (next % 250) as u8).into()
}
