//! iSCSI: libiscsi's conformance suite and programs, QEMU, and Linux as initiators of our target; LIO and tgt as targets of
//! our initiator.

mod host;
mod programs;
mod suite;
pub(super) mod target;

use super::lab::{Daemon, Lab, Script};
use super::{Scenario, TargetKind};
use crate::guest::HOST_ADDRESS;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The target node the scenarios serve.
pub(super) const IQN: &str = "iqn.2026-01.org.weft:interop";
/// Where it is served.
pub(super) const PORT: u16 = 3260;
/// Where it is served on this machine's own loopback: a port that no one else is likely to use.
const PORT_HERE: u16 = 13260;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    suite::scenarios()
        .into_iter()
        .chain(programs::scenarios())
        .chain(host::scenarios())
        .chain(target::scenarios())
        .collect()
}

/// A script with what the scripts for iSCSI share.
fn script(body: &'static str) -> Script {
    script_over("default", body)
}

/// The same through one of open-iscsi's interfaces: `default` is TCP, `iser` RDMA.
pub(super) fn script_over(interface: &str, body: &'static str) -> Script {
    let script = Script::new(include_str!("inside/common.sh"), body);
    script.set("IQN", IQN).set("PORT", &PORT.to_string()).set("IFACE", interface)
}

/// `weft serve` without any volume, where the guest can reach it, and then what the calls make of it.
fn serve(lab: &Lab, calls: &[(&str, Value)]) -> Result<Daemon> {
    configure(Daemon::start(lab, &["--config", &empty(lab)?])?, HOST_ADDRESS, PORT, calls)
}

/// The same where the guest comes in by RDMA, too.
pub(super) fn serve_rdma(lab: &Lab, calls: &[(&str, Value)]) -> Result<Daemon> {
    let daemon = Daemon::start(lab, &["--config", &empty(lab)?])?;
    let portal = json!({"host": HOST_ADDRESS, "port": PORT.to_string(), "iser": true});
    configure_portal(daemon, &portal, calls)
}

/// The same on this machine's loopback.
fn serve_here(lab: &Lab, calls: &[(&str, Value)]) -> Result<Daemon> {
    configure(Daemon::start_here(lab, &["--config", &empty(lab)?])?, "127.0.0.1", PORT_HERE, calls)
}

/// A configuration without anything in it.
fn empty(lab: &Lab) -> Result<String> {
    let file = lab.file("empty.json");
    std::fs::write(&file, r#"{"subsystems": []}"#)?;
    Ok(file.display().to_string())
}

/// Makes portal group 1 at an address, initiator group 1 of everyone, and then the calls.
fn configure(daemon: Daemon, address: &str, port: u16, calls: &[(&str, Value)]) -> Result<Daemon> {
    configure_portal(daemon, &json!({"host": address, "port": port.to_string()}), calls)
}

fn configure_portal(daemon: Daemon, portal: &Value, calls: &[(&str, Value)]) -> Result<Daemon> {
    let mut rpc = daemon.rpc()?;
    let portal = json!({"tag": 1, "portals": [portal]});
    let everyone = json!({"tag": 1, "initiators": ["ANY"], "netmasks": ["ANY"]});
    for (method, parameters) in
        [("iscsi_create_portal_group", portal), ("iscsi_create_initiator_group", everyone)]
            .into_iter()
            .chain(calls.iter().cloned())
    {
        rpc.call(method, Some(parameters))?;
    }
    Ok(daemon)
}

/// The calls that serve RAM volumes as logical units 0 and on.
pub(super) fn ram_units(units: &[(u64, u32)]) -> Vec<(&'static str, Value)> {
    let name = |index: usize| format!("ram{index}");
    let mut calls: Vec<_> = units
        .iter()
        .enumerate()
        .map(|(index, (bytes, block_size))| {
            let blocks = bytes / u64::from(*block_size);
            let volume = json!({"name": name(index), "num_blocks": blocks, "block_size": block_size});
            ("bdev_malloc_create", volume)
        })
        .collect();
    let units: Vec<_> =
        (0..units.len()).map(|index| json!({"bdev_name": name(index), "lun_id": index})).collect();
    calls.push(("iscsi_create_target_node", node(&Value::from(units))));
    calls
}

/// The calls that serve a file as logical unit 0.
pub(super) fn file_unit(path: &Path, read_only: bool) -> Vec<(&'static str, Value)> {
    let volume = json!({"name": "file", "filename": path, "block_size": 512, "readonly": read_only});
    vec![
        ("bdev_aio_create", volume),
        ("iscsi_create_target_node", node(&json!([{"bdev_name": "file", "lun_id": 0}]))),
    ]
}

/// The parameters of a target node with these logical units.
pub(super) fn node(luns: &Value) -> Value {
    json!({
        "name": IQN,
        "alias_name": "interop",
        "luns": luns,
        "pg_ig_maps": [{"pg_tag": 1, "ig_tag": 1}],
        "queue_depth": 64,
        "disable_chap": true,
    })
}

/// The URL of a logical unit on this machine's loopback, as libiscsi, QEMU and Weft write it.
fn url_here(unit: u32) -> String {
    format!("iscsi://127.0.0.1:{PORT_HERE}/{IQN}/{unit}")
}

/// Runs a program to its end, which must be a good one and come in time.
fn succeed(command: &mut Command, limit: Duration) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let line = format!("{command:?}");
    let child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}; ./test installs it"))?;
    let id = child.id().to_string();
    let waiting = std::thread::spawn(move || child.wait_with_output());
    let end = Instant::now() + limit;
    while !waiting.is_finished() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    let is_late = !waiting.is_finished();
    if is_late {
        Command::new("kill").args(["-KILL", &id]).status()?;
    }
    let output = waiting.join().map_err(|_| anyhow::anyhow!("{name}: nobody waited for it"))??;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!is_late, "{line} does not end within {limit:?}\n{text}{errors}");
    ensure!(output.status.success(), "{line}: {}\n{text}{errors}", output.status);
    Ok(output)
}

/// The target that the kernel's initiator talks to: ours, with these calls, or LIO in the guest.
fn with_peer(lab: &Lab, calls: &[(&str, Value)], body: &'static str, seconds: u64) -> Result<()> {
    match lab.target() {
        TargetKind::Weft => {
            let daemon = serve(lab, calls)?;
            lab.inside(&script(body).set("ADDRESS", HOST_ADDRESS).within(seconds))?;
            daemon.finish()
        }
        TargetKind::Kernel => {
            target::kernel_target(lab)?;
            lab.inside(&script(body).set("ADDRESS", super::lab::GUEST).within(seconds))?;
            Ok(())
        }
    }
}
