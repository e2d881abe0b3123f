//! Host access lists: a subsystem that knows its hosts lets in no other.

use crate::guest::HOST_ADDRESS;
use crate::interop::lab::Lab;
use crate::interop::nvme::{NQN, script, serve};
use anyhow::Result;
use serde_json::json;

/// The host that the scripts connect as.
const HOST: &str = "nqn.2014-08.org.nvmexpress:uuid:7b1f3c52-0d3e-4a52-9c63-5f8f4f3f0001";

/// Runs the scenario.
pub fn run(lab: &Lab) -> Result<()> {
    let daemon = serve(lab, &["--ram", "64M"])?;
    let mut rpc = daemon.rpc()?;
    let script = |body| script(body).set("ADDRESS", HOST_ADDRESS);
    rpc.call("nvmf_subsystem_allow_any_host", Some(json!({"nqn": NQN, "allow_any_host": false})))?;
    lab.inside(&script(include_str!("../inside/refused.sh")))?;
    rpc.call("nvmf_subsystem_add_host", Some(json!({"nqn": NQN, "host": HOST})))?;
    lab.inside(&script(include_str!("../inside/stay.sh")))?;
    rpc.call("nvmf_subsystem_remove_host", Some(json!({"nqn": NQN, "host": HOST})))?;
    lab.inside(&script(include_str!("../inside/cut_off.sh")))?;
    daemon.finish()
}
