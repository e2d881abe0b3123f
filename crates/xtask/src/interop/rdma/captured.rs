//! What a capture of ours must look like to tshark.

use crate::interop::lab::Lacking;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// Has tshark look at every packet.
///
/// # Errors
/// When it warns of one, does not know one, or there are none.
pub fn check(file: &Path) -> Result<()> {
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
