//! `weft discover iscsi://HOST` and `iser://HOST`: which targets an iSCSI portal knows.

use super::asking::{self, OWNER, Question, open_device};
use super::{environment, resolve};
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::Limits;
use engine::iscsi::portal_options;
use engine::url::{IscsiUrl, VolumeUrl};
use reactor::Reactor;
use scsi::iscsi::initiator::{Discovered, Discovery, DiscoveryError};
use serde::Serialize;
use stdx::env::{Env, Event};
use stdx::time::Time;
use verbs::{ConnectionEvent, Device};

/// One way to one target.
#[derive(Debug, Serialize)]
struct Entry {
    target: String,
    address: String,
    portal_group: u16,
    /// What to give other commands.
    url: String,
}

/// Runs the command.
pub fn run(style: &Style, portal: &str) -> Result<(), Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("an iSCSI portal: {why}"));
    let url = match resolve(&portal.parse().map_err(|why| wrong(&why))?)? {
        VolumeUrl::Iscsi(url) => url,
        other => return Err(wrong(&other)),
    };
    let mut env = environment(Limits::default())?;
    let targets = ask(&mut env, &url)?;
    let entries: Vec<_> = targets.iter().flat_map(|target| entries_of(url.scheme(), target)).collect();
    if style.json {
        say!("{}", serde_json::json!({ "targets": entries }));
        return Ok(());
    }
    if entries.is_empty() {
        say!("{url} offers nothing to this initiator");
        return Ok(());
    }
    let mut table = Table::new(["address", ">group", "target"]);
    for entry in &entries {
        table.row([entry.address.clone(), entry.portal_group.to_string(), entry.target.clone()]);
    }
    say!("{}", table.render(style));
    say!("\nLook closer with {}", style.code(&format!("weft info '{}'", entries[0].url)));
    Ok(())
}

fn ask(env: &mut Reactor, url: &IscsiUrl) -> Result<Vec<Discovered>, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::Discover { target: url.to_string(), why: why.to_string() };
    let options = portal_options(url).map_err(|why| failed(&why))?;
    let device = url.from.map(|from| open_device(env, from)).transpose()?;
    let discovery = Discovery::connect(env, OWNER, &options).map_err(|why| failed(&why))?;
    asking::ask(env, device, discovery)?.map_err(|why| failed(&why))
}

impl Question for Discovery {
    type Answer = Result<Vec<Discovered>, DiscoveryError>;

    fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        self.handle_event(env, event);
    }

    fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        self.handle_device_event(device, event);
    }

    fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.handle_connection(env, device, event);
    }

    fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.drive(env, device);
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
        self.is_quiet()
    }
}

fn entries_of(scheme: &str, target: &Discovered) -> Vec<Entry> {
    let entry = |portal: &scsi::iscsi::initiator::Portal| Entry {
        target: target.target.to_string(),
        address: portal.address.clone(),
        portal_group: portal.group_tag,
        url: format!("{scheme}://{}/{}", portal.address, target.target),
    };
    target.portals.iter().map(entry).collect()
}
