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
    check_but(lab, file, "frame")
}

/// The same of packets that carry a protocol, of which tshark must find at least one for each filter of `found`.
///
/// # Errors
/// As [`check`], and when one of the filters finds nothing.
pub fn check_decoded(lab: &Lab, file: &Path, found: &[&str]) -> Result<()> {
    check_but(lab, file, &format!("!({PIECES})"))?;
    for filter in found {
        ensure!(!read(file, filter)?.is_empty(), "{}: no packet is {filter}", file.display());
    }
    Ok(())
}

/// What follows the first packet of a write or of a read's answer: tshark decodes each by itself as what the whole is, and
/// misses the rest, of the kernel's packets as of ours.
const PIECES: &str = "infiniband.bth.opcode in {7, 8, 9, 14, 15}";

fn check_but(lab: &Lab, file: &Path, warned: &str) -> Result<()> {
    let seen = lab.weft_says(&["rdma", "capture", &file.display().to_string(), "--json"])?;
    let seen: Value = serde_json::from_str(&seen)?;
    for what in ["malformed", "wrong_crcs"] {
        ensure!(seen[what] == 0, "{}: {what}: {seen}", file.display());
    }
    let all = read(file, "frame")?;
    ensure!(!all.is_empty(), "{}: nothing was captured", file.display());
    let warned = format!("(_ws.expert || _ws.malformed) && {warned}");
    for (what, filter) in [("is not RoCE", "!infiniband"), ("is warned of", warned.as_str())] {
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
