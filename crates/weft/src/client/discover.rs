//! `weft discover`: what a target offers.

use super::asking::{self, OWNER, Question, open_device};
use super::{environment, resolve};
use crate::args::DiscoverArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::Limits;
use engine::url::{DISCOVERY_PORT, NvmeUrl, VolumeUrl};
use nvme::host::discovery::{Discovery, DiscoveryError, DiscoveryLog, is_referral};
use nvme::host::{HostOptions, host_id};
use reactor::Reactor;
use serde::Serialize;
use stdx::env::{Env, Event, random_uuid};
use stdx::time::Time;
use verbs::{ConnectionEvent, Device};
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
    if ["iscsi://", "iser://"].iter().any(|scheme| args.target.starts_with(scheme)) {
        return super::portal::run(style, &args.target);
    }
    if args.target.starts_with("srp://") {
        return super::srp_ports::run(style, &args.target);
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
    let device = url.from.map(|from| open_device(env, from)).transpose()?;
    let discovery = Discovery::connect(env, OWNER, &options).map_err(|why| failed(&why))?;
    asking::ask(env, device, discovery)?.map_err(|why| failed(&why))
}

impl Question for Discovery {
    type Answer = Result<DiscoveryLog, DiscoveryError>;

    fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        self.handle_event(env, event);
    }

    fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        self.host().handle_device_event(device, event);
    }

    fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.host().handle_connection(env, device, event);
    }

    fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.host().drive(env, device);
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline()
    }

    fn handle_timeout(&mut self, env: &mut dyn Env) {
        self.handle_timeout(env);
    }

    fn poll(&mut self, env: &mut dyn Env) -> Option<Self::Answer> {
        self.poll(env)
    }

    fn close(&mut self, env: &mut dyn Env) {
        self.close(env);
    }

    fn is_quiet(&self) -> bool {
        self.host().is_quiet()
    }
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
