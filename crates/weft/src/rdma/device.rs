//! Opening a device: at which address, with which packets, and what to do with it in the end.

use super::args::DeviceArgs;
use super::counters;
use crate::error::Failure;
use crate::output::Style;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use rdma::{Config, OpenError, Recorder, SoftDevice};
use reactor::{Options, Reactor};
use std::fs::File;
use std::io::BufWriter;
use std::net::ToSocketAddrs;
use stdx::env::{Env, IoError};
use stdx::mem::MemoryLimits;
use verbs::station::{OWNER, Station};
use verbs::{Mtu, Status};

/// A device, and the environment it lives in.
pub type Local = Station<Reactor, SoftDevice>;

/// Opens the device at `address`. A signal ends every wait on it.
pub fn open(args: &DeviceArgs, address: IpAddr) -> Result<Local, Failure> {
    let memory = MemoryLimits { buffer_bytes: BUFFER_BYTES };
    let mut env = Reactor::new(Options { memory, ..Options::default() }).map_err(Failure::Reactor)?;
    let wake = env.waker();
    crate::signals::on_first(move || wake()).map_err(Failure::Start)?;
    let mtu = args.mtu.unwrap_or_else(|| mtu(address));
    let mut config = Config { mtu, ..Config::new(address) };
    config.neighbours.enabled = !args.packets && args.capture.is_none();
    let device = SoftDevice::open(&mut env, OWNER, config);
    let mut device = device.map_err(|why| Failure::Device { address, why })?;
    if let Some(path) = &args.capture {
        let file = File::create(path).map_err(|why| Failure::File { path: path.clone(), why })?;
        let recorder = Recorder::new(BufWriter::new(file), env.now(), env.calendar_ms());
        device.set_tap(Box::new(recorder));
    }
    Ok(Station::new(env, device, CQ_ENTRIES)?)
}

/// Ends the capture, and shows the counters.
pub fn close(mut local: Local, style: &Style, args: &DeviceArgs) -> Result<(), Failure> {
    if args.counters {
        counters::print(style, &local.device);
    }
    let finished = local.device.take_tap().map_or(Ok(()), |mut tap| tap.finish());
    let path = args.capture.clone().unwrap_or_default();
    finished.map_err(|why| Failure::File { path, why })
}

/// The address that a host's name, or an address as text, means.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let mut found = found.map_err(|why| Failure::Host { host: host.to_owned(), why })?;
    found.next().ok_or_else(|| Failure::Usage(format!("{host}: the name has no address")))
}

/// The address of ours that leads to a peer.
pub fn facing(peer: IpAddr) -> Result<IpAddr, Failure> {
    control::facing::facing(peer).map_err(|why| Failure::Host { host: peer.to_string(), why })
}

/// The address to serve when none is said: the first that leads to other machines, or loopback.
pub fn outward() -> Result<IpAddr, Failure> {
    let found = reactor::interface_addresses().map_err(Failure::Start)?;
    let leads = |found: &&reactor::InterfaceAddress| {
        found.is_up && !found.address.is_loopback() && found.address.is_ipv4()
    };
    Ok(found.iter().find(leads).map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found| found.address))
}

/// The largest payload of a packet that the interface with this address has room for.
pub fn mtu(address: IpAddr) -> Mtu {
    let found = reactor::interface_addresses().unwrap_or_default();
    let exact = found.iter().find(|found| found.address == address);
    // Loopback answers for more addresses than it tells.
    let loopback = || found.iter().find(|found| address.is_loopback() && found.address.is_loopback());
    exact.or_else(loopback).and_then(|found| Mtu::within(found.mtu)).unwrap_or(Mtu::Mtu1024)
}

/// Tells a shard what packets the interfaces of this machine carry.
pub fn tell_packets(shard: &mut engine::Shard) {
    for found in reactor::interface_addresses().unwrap_or_default() {
        if let Some(largest) = Mtu::within(found.mtu) {
            shard.devices_mut().set_packets(found.address, largest);
        }
    }
}

/// Why there is no device, in words, with the next step where there is one.
pub fn describe(why: &OpenError) -> String {
    match why {
        OpenError::Socket(IoError::AddressInUse) => format!(
            "UDP port {} is in use: another device has this address, give this one another (on loopback all of 127.0.0.0/8 is ours)",
            wire::roce::PORT
        ),
        OpenError::Socket(IoError::AddressNotAvailable) => {
            "not an address of this machine: `weft rdma devices` lists them".into()
        }
        OpenError::Socket(why) => format!("the device's socket cannot be opened: {why}"),
        OpenError::Memory(why) => why.to_string(),
    }
}

/// A completion's status in words.
pub const fn describe_status(status: Status) -> &'static str {
    match status {
        Status::Success => "done",
        Status::LocalLength => "the message is longer than its room",
        Status::LocalQueuePairOperation => "the queue pair cannot do it",
        Status::LocalProtection => "memory of ours may not be used so",
        Status::Flushed => "the connection ended first",
        Status::WindowBind => "the window cannot be bound so",
        Status::BadResponse => "the peer answered what it may not",
        Status::LocalAccess => "the peer wrote where it may not",
        Status::RemoteInvalidRequest => "the peer cannot do such a request, or has less room",
        Status::RemoteAccess => "the peer's memory may not be used so",
        Status::RemoteOperation => "the peer failed",
        Status::RetryExceeded => "the peer does not answer any more",
        Status::RnrRetryExceeded => "the peer has no receive for it",
        Status::RemoteAborted => "the peer gave up on it",
        Status::Fatal => "the device failed",
        Status::General => "it failed",
    }
}

/// Address space for buffers of the environment, of which a device uses none.
const BUFFER_BYTES: usize = 1 << 20;
/// Completions of all queue pairs that wait to be looked at.
const CQ_ENTRIES: u32 = 8192;
