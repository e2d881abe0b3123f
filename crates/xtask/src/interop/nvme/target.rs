//! Linux as the target: Weft's host against the kernel's nvmet.

use super::{NQN, PORT, kernel_target};
use crate::interop::Scenario;
use crate::interop::lab::{GUEST, Lab};
use anyhow::{Result, ensure};
use std::fs;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("nvme-target-info", "weft info and discover describe the kernel's volume", |lab| {
            info(lab, "tcp")
        }),
        scenario("nvme-target-copy", "weft write, copy, verify and read agree", |lab| copy(lab, "tcp")),
        scenario("nvme-target-bench", "weft bench reports rates", |lab| bench(lab, "tcp")),
    ]
}

/// Everything above, over a transport.
pub fn all(lab: &Lab, transport: &str) -> Result<()> {
    info(lab, transport)?;
    copy(lab, transport)?;
    bench(lab, transport)
}

pub fn url(transport: &str) -> String {
    format!("nvme+{transport}://{GUEST}:{PORT}/{NQN}?ns=1")
}

fn info(lab: &Lab, transport: &str) -> Result<()> {
    kernel_target(lab, transport)?;
    let url = url(transport);
    let info = lab.weft_says(&["--json", "info", &url])?;
    ensure!(info.contains("67108864"), "the volume's 64 MiB are not in: {info}");
    let portal = format!("nvme+{transport}://{GUEST}:{PORT}");
    let log = lab.weft_says(&["discover", &portal])?;
    ensure!(log.contains(NQN), "the subsystem is not in: {log}");
    Ok(())
}

fn copy(lab: &Lab, transport: &str) -> Result<()> {
    kernel_target(lab, transport)?;
    let url = url(transport);
    let (sent, received) = (lab.file("sent"), lab.file("received"));
    let bytes: Vec<u8> =
        (0u32..2 << 20).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&sent, &bytes)?;
    let file = format!("file://{}", sent.display());
    lab.weft_says(&["copy", &file, &url])?;
    lab.weft_says(&["read", &url, &received.display().to_string(), "--length", "8M"])?;
    ensure!(fs::read(&received)? == bytes, "what was read is not what was copied");
    lab.weft_says(&["verify", &url, "--destroy", "--length", "4M"])?;
    Ok(())
}

fn bench(lab: &Lab, transport: &str) -> Result<()> {
    kernel_target(lab, transport)?;
    let url = url(transport);
    let report = lab.weft_says(&["--json", "bench", &url, "--seconds", "2", "--depth", "8"])?;
    ensure!(report.contains("p99"), "no latencies in: {report}");
    Ok(())
}
