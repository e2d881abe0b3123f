//! `weft discover`: what a target offers.

use super::{environment, resolve};
use crate::args::DiscoverArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::Limits;
use engine::url::{DISCOVERY_PORT, NvmeUrl, VolumeUrl};
use nvme::host::discovery::{Discovery, DiscoveryLog, is_referral};
use nvme::host::{HostOptions, host_id};
use reactor::Reactor;
use serde::Serialize;
use stdx::env::{Env, Owner, random_uuid};
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

/// `nvme+tcp://HOST:PORT`, or only HOST:PORT.
fn target(text: &str) -> Result<NvmeUrl, Failure> {
    let text = if text.contains("://") { text.into() } else { format!("nvme+tcp://{text}") };
    let usage = |why: &dyn std::fmt::Display| Failure::Usage(format!("{text}: {why}"));
    match resolve(&text.parse().map_err(|why| usage(&why))?)? {
        VolumeUrl::NvmeTcp(url) => Ok(url),
        VolumeUrl::Mem(_) | VolumeUrl::Null(_) | VolumeUrl::File(_) | VolumeUrl::Iscsi(_) => Err(usage(
            &format!("a target is nvme+tcp://HOST:PORT; its port is usually {DISCOVERY_PORT} or 4420"),
        )),
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
    let options = HostOptions::new(address, Nqn::discovery(), host, host_id(&host));
    let mut discovery = Discovery::connect(env, OWNER, &options).map_err(|why| failed(&why))?;
    let mut events = Vec::new();
    loop {
        if let Some(told) = discovery.poll(env) {
            discovery.close(env);
            return told.map_err(|why| failed(&why));
        }
        env.poll(&mut events, discovery.deadline());
        events.drain(..).for_each(|event| discovery.handle_event(env, &event));
        if discovery.deadline().is_some_and(|deadline| deadline <= env.now()) {
            discovery.handle_timeout(env);
        }
        if crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
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
const OWNER: Owner = Owner(1);
