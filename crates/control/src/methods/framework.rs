//! `framework_get_config`, `save_config`: the configuration as the calls that rebuild it; and the threads that serve.

use std::sync::Arc;

use engine::Shard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Defaults;
use super::rounds::Rounds;
use super::{accel, bdev, disk, iscsi, nvme, nvmf, srp};
use crate::config::{Call, Config, Entry, SAVED, SUBSYSTEMS, Subsystem};
use crate::error::{Errno, RpcError};
use crate::fabric::{At, FabricMethod};
use crate::method::NoParams;

/// Whose configuration to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetConfig {
    /// The subsystem: `accel`, `bdev`, `nvmf`, `iscsi` or `srp`.
    name: String,
    /// Calls are never batched, whatever this says.
    with_batches: Option<bool>,
    /// Whether to tell secrets. Not in SPDK.
    with_secrets: Option<bool>,
}

/// How to show the configuration.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SaveConfig {
    /// Whether to tell secrets; without them, what must prove itself is kept out after loading, and keys that encrypted
    /// volumes name must be taken before. Not in SPDK.
    with_secrets: Option<bool>,
}

/// The threads of the process.
#[derive(Debug, Serialize, JsonSchema)]
struct Reactors {
    /// Ticks a second.
    tick_rate: u64,
    /// The process.
    pid: u32,
    /// One for each shard.
    reactors: Vec<Reactor>,
}

/// A shard's thread.
#[derive(Debug, Serialize, JsonSchema)]
struct Reactor {
    /// Its number.
    lcore: u32,
    /// Ticks that it has worked.
    busy: u64,
    /// Ticks that it has waited for something to do.
    idle: u64,
    /// The shards on it: one.
    lw_threads: Vec<LightThread>,
}

/// A shard.
#[derive(Debug, Serialize, JsonSchema)]
struct LightThread {
    /// Its name.
    name: &'static str,
    /// Its number, from 1.
    id: u64,
    /// Ticks since it began.
    elapsed: u64,
}

/// The methods that show the configuration.
pub fn methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let (defaults, all) = (Arc::clone(defaults), Arc::clone(defaults));
    vec![
        FabricMethod::new(
            "framework_get_config",
            "The calls that rebuild one subsystem.",
            move |at: At<'_>, params: GetConfig| {
                let secrets = params.with_secrets.unwrap_or(false);
                one(at.shard, &defaults, &params.name, secrets)
                    .ok_or_else(|| Errno::Invalid.because("no such subsystem"))
            },
        ),
        FabricMethod::new(
            "save_config",
            "The calls that rebuild everything.",
            move |at: At<'_>, params: SaveConfig| {
                Ok(save(at.shard, &all, params.with_secrets.unwrap_or(false)))
            },
        ),
        FabricMethod::new("framework_get_reactors", "Shows the threads that serve.", reactors),
    ]
}

fn reactors(at: At<'_>, _: NoParams) -> Result<Reactors, RpcError> {
    let shard = LightThread { name: "shard_0", id: 1, elapsed: at.env.now().as_nanos() };
    let idle = u64::try_from(at.env.waited().as_nanos()).unwrap_or(u64::MAX);
    let busy = shard.elapsed.saturating_sub(idle);
    let reactors = vec![Reactor { lcore: 0, busy, idle, lw_threads: vec![shard] }];
    Ok(Reactors { tick_rate: bdev::TICKS_PER_SEC, pid: std::process::id(), reactors })
}

/// All rounds one after the other: a subsystem stands as often in the list as something of it has to be made.
fn save(shard: &Shard, defaults: &Defaults, with_secrets: bool) -> Config {
    let mut subsystems = Vec::new();
    for round in 0..Rounds::new(shard).count() {
        for name in SAVED {
            let calls = calls(shard, defaults, name, round, with_secrets);
            if round == 0 && SUBSYSTEMS.contains(&name) || !calls.is_empty() {
                let config = Some(calls.into_iter().map(Entry::Call).collect());
                subsystems.push(Subsystem { subsystem: name.to_owned(), config });
            }
        }
    }
    Config { subsystems }
}

/// The calls of all rounds for one subsystem.
fn one(shard: &Shard, defaults: &Defaults, name: &str, with_secrets: bool) -> Option<Vec<Call>> {
    let rounds = 0..Rounds::new(shard).count();
    let known = SAVED.contains(&name);
    known.then(|| rounds.flat_map(|round| calls(shard, defaults, name, round, with_secrets)).collect())
}

/// The calls of one round for one subsystem. Controllers come first: other volumes may be built on theirs.
fn calls(shard: &Shard, defaults: &Defaults, subsystem: &str, round: usize, with_secrets: bool) -> Vec<Call> {
    match subsystem {
        "accel" if round == 0 && with_secrets => accel::save(shard),
        "bdev" => {
            let controllers = nvme::save(shard, &defaults.nvme, round);
            let disks = disk::save(shard, &defaults.disks, round, with_secrets);
            let srp_disks = srp::disk::save(shard, round);
            controllers.into_iter().chain(disks).chain(srp_disks).chain(bdev::save(shard, round)).collect()
        }
        "nvmf" => nvmf::save(shard, round),
        "iscsi" => iscsi::save(shard, &defaults.iscsi, round, with_secrets),
        "srp" => srp::save(shard, round),
        _ => Vec::new(),
    }
}
