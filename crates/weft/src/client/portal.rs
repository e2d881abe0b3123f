//! `weft discover iscsi://HOST`: which targets an iSCSI portal knows.

use super::{environment, resolve};
use crate::error::Failure;
use crate::output::{Style, Table, say};
use engine::Limits;
use engine::iscsi::portal_options;
use engine::url::{IscsiUrl, VolumeUrl};
use reactor::Reactor;
use scsi::iscsi::initiator::{Discovered, Discovery};
use serde::Serialize;
use stdx::env::{Env, Owner};

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
    let entries: Vec<_> = targets.iter().flat_map(entries_of).collect();
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

fn entries_of(target: &Discovered) -> Vec<Entry> {
    let entry = |portal: &scsi::iscsi::initiator::Portal| Entry {
        target: target.target.to_string(),
        address: portal.address.clone(),
        portal_group: portal.group_tag,
        url: format!("iscsi://{}/{}", portal.address, target.target),
    };
    target.portals.iter().map(entry).collect()
}

const OWNER: Owner = Owner(1);
