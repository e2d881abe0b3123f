//! `weft discover`: what a target offers.

use super::{environment, resolve};
use crate::args::DiscoverArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::Limits;
use engine::url::{DISCOVERY_PORT, NvmeUrl, VolumeUrl};
use nvme::host::discovery::{Discovery, DiscoveryLog, is_referral};
use nvme::host::{HostOptions, host_id};
use rdma::SoftDevice;
use reactor::Reactor;
use serde::Serialize;
use std::net::IpAddr;
use stdx::env::{Env, Owner, random_uuid};
use stdx::time::{Time, earliest};
use verbs::{Connections, Provider};
use wire::nvme::Nqn;
use wire::nvme::log::{AddressFamily, DiscoveryEntry, TransportType};

/// One way to one subsystem.
#[derive(Debug, Serialize)]
struct Entry {
    transport: String,
    family: String,
    address: String,
    service: String,
    nqn: String,
    kind: &'static str,
    /// What to give other commands, where Weft speaks the transport.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Runs the command.
pub fn run(style: &Style, args: &DiscoverArgs) -> Result<(), Failure> {
    if args.target.starts_with("iscsi://") {
        return super::portal::run(style, &args.target);
    }
    let url = target(&args.target)?;
    let mut env = environment(Limits::default())?;
    let log = ask(&mut env, &url, args.hostnqn.as_deref())?;
    let entries: Vec<_> = log.entries.iter().map(Entry::of).collect();
    if style.json {
        say!("{}", serde_json::json!({ "generation": log.generation, "entries": entries }));
        return Ok(());
    }
    if entries.is_empty() {
        say!("{} offers nothing to this host", args.target);
        return Ok(());
    }
    let mut table = Table::new(["kind", "transport", "address", "name"]);
    for entry in &entries {
        let address = format!("{}:{}", entry.address, entry.service);
        table.row([entry.kind.into(), entry.transport.clone(), address, entry.nqn.clone()]);
    }
    say!("{}", table.render(style));
    if let Some(url) =
        entries.iter().find(|entry| entry.kind == SUBSYSTEM).and_then(|entry| entry.url.as_ref())
    {
        say!("\nLook closer with {}", style.code(&format!("weft info '{url}'")));
    }
    Ok(())
}

/// `nvme+tcp://HOST:PORT`, `nvme+rdma://HOST:PORT`, or only HOST:PORT.
fn target(text: &str) -> Result<NvmeUrl, Failure> {
    let text = if text.contains("://") { text.into() } else { format!("nvme+tcp://{text}") };
    let usage = |why: &dyn std::fmt::Display| Failure::Usage(format!("{text}: {why}"));
    match resolve(&text.parse().map_err(|why| usage(&why))?)? {
        VolumeUrl::Nvme(url) => Ok(url),
        VolumeUrl::Mem(_)
        | VolumeUrl::Null(_)
        | VolumeUrl::File(_)
        | VolumeUrl::Iscsi(_)
        | VolumeUrl::Srp(_) => Err(usage(&format!(
            "a target is nvme+tcp://HOST:PORT or nvme+rdma://HOST:PORT; its port is usually {DISCOVERY_PORT} or 4420"
        ))),
    }
}

fn ask(env: &mut Reactor, url: &NvmeUrl, hostnqn: Option<&str>) -> Result<DiscoveryLog, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::Discover { target: url.to_string(), why: why.to_string() };
    let address = url.address().ok_or_else(|| failed(&"the host's name was not resolved"))?;
    let host = match hostnqn.or(url.hostnqn.as_deref()) {
        Some(name) => Nqn::from_peer(name).map_err(|why| failed(&why))?,
        None => Nqn::from_uuid(&random_uuid(env)),
    };
    let mut options = HostOptions::new(address, Nqn::discovery(), host, host_id(&host));
    options.transport = url.transport;
    let mut device = url.from.map(|from| open_device(env, from)).transpose()?;
    let mut discovery = Discovery::connect(env, OWNER, &options).map_err(|why| failed(&why))?;
    let told = loop {
        turn(env, device.as_mut(), &mut discovery, None);
        if let Some(told) = discovery.poll(env) {
            break told;
        }
        if crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
    };
    discovery.close(env);
    let until = env.now() + super::LAST_WORDS_TIME;
    while !discovery.host().is_quiet() && env.now() < until {
        turn(env, device.as_mut(), &mut discovery, Some(until));
    }
    told.map_err(|why| failed(&why))
}

/// The device to ask from.
fn open_device(env: &mut Reactor, from: IpAddr) -> Result<SoftDevice, Failure> {
    let config = rdma::Config { mtu: crate::rdma::device::mtu(from), ..rdma::Config::new(from) };
    SoftDevice::open(env, DEVICE_OWNER, config).map_err(|why| Failure::Device { address: from, why })
}

/// Waits until something happens, `until` at the latest, and hands it on.
fn turn(
    env: &mut Reactor,
    mut device: Option<&mut SoftDevice>,
    discovery: &mut Discovery,
    until: Option<Time>,
) {
    if let Some(device) = &mut device {
        drive(env, device, discovery);
    }
    let deadline = device.as_ref().and_then(|device| device.deadline());
    let mut events = Vec::new();
    env.poll(&mut events, earliest(earliest(discovery.deadline(), deadline), until));
    for event in events {
        match &mut device {
            Some(device) => device.handle_event(env, &event),
            None => discovery.handle_event(env, &event),
        }
    }
    if discovery.deadline().is_some_and(|deadline| deadline <= env.now()) {
        discovery.handle_timeout(env);
    }
    if let Some(device) = device {
        drive(env, device, discovery);
    }
}

/// Lets the device and what is on it do what there is to do.
fn drive(env: &mut Reactor, device: &mut SoftDevice, discovery: &Discovery) {
    device.turn(env);
    while let Some(event) = device.poll_event() {
        discovery.host().handle_device_event(device, &event);
    }
    while let Some(event) = device.poll_connection() {
        discovery.host().handle_connection(env, device, &event);
    }
    discovery.host().drive(env, device);
    device.turn(env);
}

impl Entry {
    fn of(entry: &DiscoveryEntry) -> Self {
        let text = |text: Option<&str>| text.unwrap_or("?").to_owned();
        let transport = TransportType::from_code(entry.transport);
        let (address, service) = (text(entry.address()), text(entry.service_id()));
        let nqn = entry.subsystem().map_or_else(|_| "?".into(), |nqn| nqn.to_string());
        let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let url = match transport {
            Some(TransportType::Tcp) => Some(format!("nvme+tcp://{host}:{service}/{nqn}")),
            Some(TransportType::Rdma) => Some(format!("nvme+rdma://{host}:{service}/{nqn}")),
            _ => None,
        };
        Self {
            transport: transport
                .map_or_else(|| entry.transport.to_string(), |transport| format!("{transport:?}")),
            family: AddressFamily::from_code(entry.address_family)
                .map_or("?".into(), |family| format!("{family:?}")),
            address,
            service,
            kind: if is_referral(entry) {
                "referral"
            } else if nqn == DISCOVERY_NQN {
                "discovery"
            } else {
                SUBSYSTEM
            },
            nqn,
            url,
        }
    }
}

const SUBSYSTEM: &str = "subsystem";
const DISCOVERY_NQN: &str = "nqn.2014-08.org.nvmexpress.discovery";
/// Of the association; the numbers above it with the same upper half are its connections'.
const OWNER: Owner = Owner(1 << 32);
const DEVICE_OWNER: Owner = Owner(2 << 32);
