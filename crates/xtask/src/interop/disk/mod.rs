//! What every disk must bear, whatever protocol brings it: scripts for the guest, and the outage of a target.
//!
//! The protocol's own library gives them `attach`, which sets DEV (`attach checked` with whatever checks each byte on the
//! wire, `attach patient` so that an outage is waited for), `leave`, and what the kernel's log says: COMPLAINTS after an
//! error, OUTAGE_SEEN after an outage.

use super::lab::{Daemon, Lab, Script};
use anyhow::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// 16 MiB written and read back.
pub const RAW: &str = include_str!("inside/raw.sh");
/// A file system on it.
pub const FILESYSTEM: &str = include_str!("inside/filesystem.sh");
/// Random requests, verified.
pub const FIO: &str = include_str!("inside/fio.sh");

/// A little of everything.
pub const FEW: &str = include_str!("inside/few.sh");

/// The target dies without a word, twice, while the kernel writes to a file of 64 MiB that it serves.
pub fn outage(
    lab: &Lab,
    script: impl Fn(&'static str) -> Script,
    serve: impl Fn(&Path) -> Result<Daemon>,
) -> Result<()> {
    let path = file(lab)?;
    let mut daemon = serve(&path)?;
    lab.inside(&script(include_str!("inside/outage_begins.sh")).within(120))?;
    for outage in [Duration::ZERO, Duration::from_secs(3)] {
        sleep(Duration::from_secs(3));
        daemon.kill()?;
        sleep(outage);
        daemon = serve(&path)?;
    }
    let ends = script(include_str!("inside/outage_ends.sh")).set("BORNE", "yes");
    lab.inside(&ends.within(300))?;
    daemon.finish()
}

/// The same, but it is the way to the target that is interrupted, twice, and the target that must bear it, too.
pub fn interruption(
    lab: &Lab,
    script: impl Fn(&'static str) -> Script,
    serve: impl Fn(&Path) -> Result<Daemon>,
    interrupt: impl Fn(&Daemon) -> Result<()>,
) -> Result<()> {
    let daemon = serve(&file(lab)?)?;
    lab.inside(&script(include_str!("inside/outage_begins.sh")).within(120))?;
    for _ in 0..2 {
        sleep(Duration::from_secs(3));
        interrupt(&daemon)?;
        lab.inside(&script(include_str!("inside/outage_over.sh")).within(180))?;
    }
    lab.inside(&script(include_str!("inside/outage_ends.sh")).within(300))?;
    daemon.finish()
}

/// A file of 64 MiB of zeros, to be served.
fn file(lab: &Lab) -> Result<PathBuf> {
    let path = lab.file("outage");
    File::create(&path)?.set_len(64 << 20)?;
    Ok(path)
}
