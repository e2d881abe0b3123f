//! What a capture of ours must look like: to tshark, which knows what packets are but not their CRCs, and to
//! `weft rdma capture`, which checks those.

use crate::interop::lab::{Lab, Lacking};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Has both look at every packet.
///
/// # Errors
/// When tshark warns of one or does not know one, a CRC is wrong, or there are none.
pub fn check(lab: &Lab, file: &Path) -> Result<()> {
    let seen = lab.weft_says(&["rdma", "capture", &file.display().to_string(), "--json"])?;
    let seen: Value = serde_json::from_str(&seen)?;
    for what in ["malformed", "wrong_crcs"] {
        ensure!(seen[what] == 0, "{}: {what}: {seen}", file.display());
    }
    let all = read(file, "frame")?;
    ensure!(!all.is_empty(), "{}: nothing was captured", file.display());
    for (what, filter) in [("is not RoCE", "!infiniband"), ("is warned of", "_ws.expert || _ws.malformed")] {
        let found = read(file, filter)?;
        ensure!(found.is_empty(), "{}: a packet {what}:\n{}", file.display(), found.join("\n"));
    }
    Ok(())
}

/// A line for each packet that the filter lets through.
fn read(file: &Path, filter: &str) -> Result<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-Y", filter]);
    let output = match tshark.output() {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            return Err(Lacking("tshark is not installed; ./test installs it".into()).into());
        }
        other => other.context("cannot run tshark")?,
    };
    ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
