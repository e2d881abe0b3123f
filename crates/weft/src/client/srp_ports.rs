//! `weft discover srp://HOST`: which SRP target ports a machine has, by InfiniBand's device management, and how to reach each.

use super::asking::{self, OWNER, Question, open_device};
use super::environment;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use core::time::Duration;
use engine::Limits;
use engine::url::SrpHostUrl;
use scsi::srp::initiator::{DiscoveredPort, Discovery, DiscoveryError};
use serde::Serialize;
use std::net::SocketAddr;
use stdx::env::{Env, Event};
use stdx::time::Time;
use verbs::{ConnectionEvent, Device};
use wire::cm::Gid;
use wire::srp::PortId;

/// A target port.
#[derive(Debug, Serialize)]
struct Entry {
    id_ext: String,
    ioc_guid: String,
    service_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<String>,
    /// What to give other commands.
    url: String,
    /// What Linux's `add_target` takes, where the RDMA connection manager is asked.
    add_target: String,
    /// The same, where InfiniBand's own is.
    add_target_ib: String,
}

/// Runs the command.
pub fn run(style: &Style, text: &str) -> Result<(), Failure> {
    let url: SrpHostUrl = text.parse().map_err(|why| Failure::Usage(format!("{text}: {why}")))?;
    let host = super::look_up(&url.host, url.port)?;
    let failed =
        |why: &dyn std::fmt::Display| Failure::Discover { target: text.into(), why: why.to_string() };
    let ip = host.parse().map_err(|why| failed(&why))?;
    let from = url.from.map_or_else(|| crate::rdma::device::facing(ip), Ok)?;
    let mut env = environment(Limits::default())?;
    let device = open_device(&mut env, from)?;
    let discovery = Discovery::new(&mut env, OWNER, ip, PATIENCE);
    let ports = asking::ask(&mut env, Some(device), discovery)?.map_err(|why| failed(&why))?;
    let address = SocketAddr::new(ip, url.port);
    let entries: Vec<Entry> = ports.iter().map(|port| Entry::of(port, address)).collect();
    if style.json {
        say!("{}", serde_json::json!({ "targets": entries }));
        return Ok(());
    }
    let Some(first) = entries.first() else {
        say!("{text} has no SRP target");
        return Ok(());
    };
    let mut table = Table::new(["id_ext", "ioc_guid", "service_id", "controller"]);
    for Entry { id_ext, ioc_guid, service_id, controller, .. } in &entries {
        let controller = controller.clone().unwrap_or_default();
        table.row([id_ext.clone(), ioc_guid.clone(), service_id.clone(), controller]);
    }
    say!("{}\n", table.render(style));
    entries.iter().for_each(|entry| say!("add_target    {}", style.code(&entry.add_target)));
    say!("\nLook closer with {}", style.code(&format!("weft info '{}'", first.url)));
    Ok(())
}

impl Entry {
    fn of(port: &DiscoveredPort, address: SocketAddr) -> Self {
        let PortId { extension, guid } = port.id;
        let (id_ext, ioc_guid, service_id) =
            (format!("{extension:016x}"), format!("{guid:016x}"), format!("{:016x}", port.service));
        let named = format!("id_ext={id_ext},ioc_guid={ioc_guid}");
        let dgid: String = Gid::from_ip(address.ip()).0.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            url: format!("srp://{address}/{}", port.id),
            add_target: format!("{named},dest={address}"),
            add_target_ib: format!("{named},dgid={dgid},pkey=ffff,service_id={service_id}"),
            controller: port.controller.clone(),
            id_ext,
            ioc_guid,
            service_id,
        }
    }
}

impl Question for Discovery {
    type Answer = Result<Vec<DiscoveredPort>, DiscoveryError>;

    /// There is no stream.
    fn handle_event(&mut self, _env: &mut dyn Env, _event: &Event) {}

    fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        self.handle_device_event(device, event);
    }

    /// There is no connection.
    fn handle_connection(&mut self, _env: &mut dyn Env, _device: &mut dyn Device, _event: &ConnectionEvent) {}

    fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.drive(env, device);
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline()
    }

    fn handle_timeout(&mut self, env: &mut dyn Env) {
        self.handle_timeout(env);
    }

    fn poll(&mut self, _env: &mut dyn Env) -> Option<Self::Answer> {
        self.poll()
    }

    /// Its agent goes with the device.
    fn close(&mut self, _env: &mut dyn Env) {}

    fn is_quiet(&self) -> bool {
        true
    }
}

/// How long a machine may take for all its answers.
const PATIENCE: Duration = Duration::from_secs(5);
