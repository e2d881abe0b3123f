//! Devices of two reactors reach each other through shared memory, and one whose process is killed is missed.

use core::time::Duration;
use rdma::{Config, SoftDevice};
use reactor::{Options, Reactor};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU16, Ordering};
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, MemoryLimits};
use stdx::time::earliest;
use verbs::conformance::{Setting, run};
use verbs::{Device, Provider};

/// Two devices, each with a reactor of its own.
struct Pair {
    devices: [SoftDevice; 2],
    envs: [Reactor; 2],
    addresses: [IpAddr; 2],
    kind: Kind,
}

impl Pair {
    fn new(kind: Kind) -> Self {
        let addresses = [own_address(), own_address()];
        let memory = MemoryLimits { buffer_bytes: 8 << 20 };
        let mut envs = [0, 1].map(|_| Reactor::new(Options { memory, ..Options::default() }).unwrap());
        let devices = [0, 1].map(|end: usize| {
            SoftDevice::open(&mut envs[end], Owner(9), Config::new(addresses[end])).unwrap()
        });
        Self { devices, envs, addresses, kind }
    }
}

impl Setting for Pair {
    fn end(&mut self, end: usize) -> (&mut dyn Device, &mut dyn Env) {
        (&mut self.devices[end], &mut self.envs[end])
    }

    fn memory_kind(&self) -> Kind {
        self.kind
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

#[test]
fn devices_conform_with_published_memory() {
    run(|| Box::new(Pair::new(Kind::Published)));
}

#[test]
fn devices_conform_with_memory_of_any_kind() {
    run(|| Box::new(Pair::new(Kind::Shared)));
}

/// An address of this machine that no other test uses: 127.0.0.0/8 has room.
fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, high & 0x7f, low, 1 + (next % 250) as u8).into()
}
