//! Targets that others wrote, for our initiator: LIO in the guest, and tgt on this machine's loopback.

use super::{IQN, PORT, PORT_HERE, script, succeed};
use crate::interop::Scenario;
use crate::interop::lab::{GUEST, Lab};
use crate::tgt::{Address, Tgt};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

/// What LIO's secrets are in `inside/lio.sh`.
pub(in crate::interop) const USER_AND_SECRET: &str = "user%secretsecret";
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("iscsi-target-lio", "weft info, copy, read, verify and bench agree with LIO", lio),
        scenario("iscsi-target-lio-chap", "and show it who they are", lio_chap),
        scenario("iscsi-target-lio-connections", "by a session of three connections", lio_connections),
        scenario("iscsi-target-tgt", "the same with tgt", tgt),
    ]
}

/// Has LIO serve 64 MiB of RAM in the guest, to everyone.
pub(in crate::interop) fn kernel_target(lab: &Lab) -> Result<()> {
    lab.once("lio", &script(include_str!("inside/lio.sh")).set("ADDRESS", GUEST))
}

fn lio(lab: &Lab) -> Result<()> {
    kernel_target(lab)?;
    let url = format!("iscsi://{GUEST}:{PORT}/{IQN}/0");
    use_it(lab, &url, |arguments| lab.weft_says(arguments))?;
    let offered = lab.weft_says(&["discover", &format!("iscsi://{GUEST}:{PORT}")])?;
    ensure!(offered.contains(IQN), "the target is not in: {offered}");
    Ok(())
}

fn lio_connections(lab: &Lab) -> Result<()> {
    kernel_target(lab)?;
    lab.inside(&script("lio_connections 4"))?;
    let url = format!("iscsi://{GUEST}:{PORT}/{IQN}/0?connections=3&hdgst=1&ddgst=1");
    let outcome = use_it(lab, &url, |arguments| lab.weft_says(arguments));
    lab.inside(&script("lio_connections 1"))?;
    outcome
}

fn lio_chap(lab: &Lab) -> Result<()> {
    kernel_target(lab)?;
    show_who(lab, "iscsi")
}

/// LIO in the guest lets in who shows who it is, and nobody else, whatever carries the connection.
pub(in crate::interop) fn show_who(lab: &Lab, scheme: &str) -> Result<()> {
    lab.inside(&script("lio_chap 1"))?;
    let url = |user: &str| format!("{scheme}://{user}{GUEST}:{PORT}/{IQN}/0");
    let info = |user: &str| lab.weft_says(&["--json", "info", &url(user)]);
    let outcomes = [info(&format!("{USER_AND_SECRET}@")), info("user%wrongwrongwrong@"), info("")];
    lab.inside(&script("lio_chap 0"))?;
    let [right, wrong, none] = outcomes;
    right?;
    for refused in [wrong, none] {
        let error = refused.err().context("LIO let in who had no right")?.to_string();
        // The first line is the command that we typed.
        let said = error.lines().skip(1).any(|line| line.contains("wrongwrong"));
        ensure!(!said, "a secret is shown: {error}");
    }
    Ok(())
}

fn tgt(lab: &Lab) -> Result<()> {
    let file = lab.file("tgt.img");
    File::create(&file)?.set_len(64 << 20)?;
    let _tgt = Tgt::start(&file, &Address { iqn: IQN, port: PORT_HERE }, |program| Command::new(program))?;
    let url = format!("iscsi://127.0.0.1:{PORT_HERE}/{IQN}/1");
    use_it(lab, &url, |arguments| {
        let output = succeed(Command::new(lab.weft()).args(arguments), LIMIT)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

/// All commands on a volume of 64 MiB.
pub(in crate::interop) fn use_it(
    lab: &Lab,
    url: &str,
    weft: impl Fn(&[&str]) -> Result<String>,
) -> Result<()> {
    let info = weft(&["--json", "info", url])?;
    ensure!(info.contains("67108864"), "the volume's 64 MiB are not in: {info}");
    let (sent, received) = (lab.file("sent"), lab.file("received"));
    let bytes: Vec<u8> =
        (0u32..2 << 20).flat_map(|word| word.wrapping_mul(2_246_822_519).to_le_bytes()).collect();
    fs::write(&sent, &bytes)?;
    weft(&["copy", &format!("file://{}", sent.display()), url])?;
    weft(&["read", url, &received.display().to_string(), "--length", "8M"])?;
    ensure!(fs::read(&received)? == bytes, "what was read is not what was copied");
    weft(&["verify", url, "--destroy", "--length", "4M"])?;
    let report = weft(&["--json", "bench", url, "--seconds", "2", "--depth", "8"])?;
    ensure!(report.contains("p99"), "no latencies in: {report}");
    Ok(())
}
