//! SPDK's own JSON-RPC client, from PyPI, builds a whole configuration call by call and reads it back.
//!
//! The calls are a file of command lines, just as an operator would type them after `spdk_rpc`, but for blanks within a
//! word, which are written `+`.

use super::Scenario;
use super::lab::{Daemon, Lab, Lacking};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release of the client that the calls were written for.
const PACKAGE: &str = "spdk==26.9";
/// A port of this machine's loopback that no one else is likely to use.
const PORT: &str = "14420";

/// Another, for iSCSI.
const PORTAL: &str = "14421";

/// Where RDMA is served and used: a device has an address, and nobody else has these.
const THERE: &str = "127.77.44.20";
const HERE: &str = "127.77.44.21";

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "spdk-calls",
            about: "every method, by SPDK's own client",
            needs_weft: true,
            run: calls,
        },
        Scenario {
            name: "spdk-config",
            about: "load(save(x)) = x, by SPDK's own client",
            needs_weft: true,
            run: config,
        },
    ]
}

fn calls(lab: &Lab) -> Result<()> {
    let client = Client::start(lab)?;
    client.call_all(include_str!("build.txt"))?;
    client.call_all(include_str!("query.txt"))?;
    client.call_all(include_str!("take_down.txt"))?;
    for (query, nothing) in [("bdev_get_bdevs", 0), ("nvmf_get_subsystems", 1), ("iscsi_get_target_nodes", 0)]
    {
        let left = client.call(query)?;
        let count = left.as_array().map_or(0, Vec::len);
        // The discovery subsystem cannot be taken away.
        ensure!(count <= nothing, "{query} still shows: {left}");
    }
    client.daemon.finish()
}

fn config(lab: &Lab) -> Result<()> {
    let client = Client::start(lab)?;
    client.call_all(include_str!("build.txt"))?;
    let (saved, described) = (client.call("save_config")?, client.call("nvmf_get_subsystems")?);
    let file = lab.file("saved.json");
    fs::write(&file, serde_json::to_vec_pretty(&saved)?)?;
    client.daemon.finish()?;

    let client = Client::start(lab)?;
    client.call(&format!("load_config -j {}", file.display()))?;
    let (again, described_again) = (client.call("save_config")?, client.call("nvmf_get_subsystems")?);
    ensure!(saved == again, "loaded and saved again, the configuration differs:\n{saved:#}\n{again:#}");
    ensure!(described == described_again, "the subsystems differ:\n{described:#}\n{described_again:#}");
    client.call_all("spdk_kill_instance SIGTERM")?;
    client.daemon.finish()
}

/// The client, and a daemon for it to talk to that starts with an empty configuration.
struct Client {
    python: PathBuf,
    daemon: Daemon,
    volume: PathBuf,
    other_volume: PathBuf,
}

impl Client {
    fn start(lab: &Lab) -> Result<Client> {
        let python = install(&lab.file("python"))?;
        let empty = lab.file("empty.json");
        fs::write(&empty, r#"{"subsystems": []}"#)?;
        let [volume, other_volume] = ["spdk-1", "spdk-2"].map(|name| lab.file(name));
        for path in [&volume, &other_volume] {
            File::create(path)?.set_len(8 << 20)?;
        }
        let daemon = Daemon::start_here(lab, &["--config", &empty.display().to_string()])?;
        Ok(Client { python, daemon, volume, other_volume })
    }

    /// Makes the calls of a list, and names all that fail.
    fn call_all(&self, list: &str) -> Result<()> {
        let mut failures = Vec::new();
        for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Err(error) = self.call(line) {
                failures.push(format!("{error:#}"));
            }
        }
        ensure!(failures.is_empty(), "{} calls failed:\n{}", failures.len(), failures.join("\n"));
        Ok(())
    }

    /// Makes one call; the answer is what the client printed, as JSON where it is JSON.
    fn call(&self, line: &str) -> Result<Value> {
        let line = line
            .replace("FILE2", &self.other_volume.display().to_string())
            .replace("FILE", &self.volume.display().to_string())
            .replace("PORTAL", PORTAL)
            .replace("PORT", PORT)
            .replace("THERE", THERE)
            .replace("HERE", HERE);
        let output = Command::new(&self.python)
            .args(["-m", "spdk.spdk_rpc", "-s"])
            .arg(self.daemon.socket())
            .args(line.split_whitespace().map(|word| word.replace('+', " ")))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{line}: {}{}", text.trim(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.trim())))
    }
}

/// A Python of its own with the client in it, made once.
fn install(directory: &Path) -> Result<PathBuf> {
    let python = directory.join("bin/python");
    let has_client = |python: &Path| {
        let probe = Command::new(python).args(["-c", "import spdk.spdk_rpc"]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    if has_client(&python) {
        return Ok(python);
    }
    let made =
        Command::new("python3").args(["-m", "venv"]).arg(directory).output().context("cannot run python3")?;
    let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]).output();
    if !made.status.success() || !has_client(&python) {
        let why = pip
            .map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stderr).into());
        return Err(Lacking(format!("pip does not install {PACKAGE}: {why}")).into());
    }
    Ok(python)
}
