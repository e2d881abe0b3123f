//! The target dies without a word, twice, while the kernel writes to a file volume.

use crate::guest::HOST_ADDRESS;
use crate::interop::lab::Lab;
use crate::interop::nvme::{script, serve};
use anyhow::Result;
use std::fs::File;
use std::thread::sleep;
use std::time::Duration;

/// Runs the scenario.
pub fn run(lab: &Lab) -> Result<()> {
    let path = lab.file("outage");
    File::create(&path)?.set_len(64 << 20)?;
    let path = path.display().to_string();
    let mut daemon = serve(lab, &["--file", &path])?;
    lab.inside(&script(include_str!("../inside/outage_begins.sh")).set("ADDRESS", HOST_ADDRESS))?;
    for outage in [Duration::ZERO, Duration::from_secs(3)] {
        sleep(Duration::from_secs(3));
        daemon.kill()?;
        sleep(outage);
        daemon = serve(lab, &["--file", &path])?;
    }
    lab.inside(&script(include_str!("../inside/outage_ends.sh")).within(240))?;
    daemon.finish()
}
