//! Namespaces that come, grow and go under a connected kernel.

use crate::guest::HOST_ADDRESS;
use crate::interop::lab::Lab;
use crate::interop::nvme::{NQN, script_over, serve};
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::File;

/// 64 MiB, then half as much again.
const SIZES: [u64; 2] = [64 << 20, 96 << 20];

/// Runs the scenario over a transport.
pub fn run(lab: &Lab, transport: &str) -> Result<()> {
    let script = |body| script_over(transport, body);
    let path = lab.file("resized");
    File::create(&path)?.set_len(SIZES[0])?;
    let daemon = serve(lab, &["--file", &path.display().to_string()])?;
    let mut rpc = daemon.rpc()?;
    lab.inside(&script(include_str!("../inside/stay.sh")).set("ADDRESS", HOST_ADDRESS))?;

    rpc.call("bdev_malloc_create", Some(json!({"name": "extra", "num_blocks": 65536, "block_size": 512})))?;
    rpc.call(
        "nvmf_subsystem_add_ns",
        Some(json!({"nqn": NQN, "namespace": {"bdev_name": "extra", "nsid": 2}})),
    )?;
    lab.inside(&script(include_str!("../inside/namespace_appears.sh")))?;

    let subsystems = rpc.call("nvmf_get_subsystems", Some(json!({"nqn": NQN})))?;
    let volume = subsystems[0]["namespaces"][0]["bdev_name"].as_str().context("namespace 1 has no volume")?;
    File::options().write(true).open(&path)?.set_len(SIZES[1])?;
    rpc.call("bdev_aio_rescan", Some(json!({"name": volume})))?;
    rpc.call("nvmf_subsystem_remove_ns", Some(json!({"nqn": NQN, "nsid": 2})))?;
    lab.inside(&script(include_str!("../inside/namespace_changes.sh")))?;
    daemon.finish()
}
