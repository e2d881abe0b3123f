//! Storage over RDMA: the kernel's initiators over rdma_rxe in the guest, and ours against the kernel's targets there.
//!
//! One file for each protocol. The network is that of the scenarios of RDMA itself; the scripts that try a disk are those of
//! every protocol, and those of the command set are its own room's.

mod disturbed;
mod iser;
mod nvme;
mod served;
mod srp;
mod struck;

use super::lab::{Lab, Script};
use super::rdma::{Wire, captured};
use super::{Scenario, disk};
use crate::guest::TAP;
use anyhow::{Result, ensure};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let protocols = nvme::scenarios().into_iter().chain(iser::scenarios()).chain(srp::scenarios());
    let broken = disturbed::scenarios().into_iter().chain(struck::scenarios());
    protocols.chain(broken).chain(served::scenarios()).collect()
}

/// A network that loses nothing, with the kernel's device on it.
fn plain(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)
}

/// A network that loses one packet of a hundred in each direction, for as long as something is done on it.
fn lossy(lab: &Lab, act: impl FnOnce() -> Result<()>) -> Result<()> {
    losing(lab, 1, act)
}

/// One that loses so many of a hundred.
fn losing(lab: &Lab, percent: u32, act: impl FnOnce() -> Result<()>) -> Result<()> {
    Wire { loss: percent, ..Wire::PLAIN }.set_up(lab)?;
    let done = act();
    plain(lab)?;
    done
}

/// Has the guest use a disk for a little while, watched.
fn watched(lab: &Lab, script: impl Fn(&'static str) -> Script, found: &[&str]) -> Result<()> {
    watching(lab, || lab.inside(&script(disk::FEW).within(120)).map(drop), found)
}

/// Has weft write to the kernel's target and read, watched.
fn watched_weft(lab: &Lab, url: &str, found: &[&str]) -> Result<()> {
    let use_it = || {
        lab.weft_says(&["info", url])?;
        lab.weft_says(&["verify", url, "--destroy", "--length", "2M"]).map(drop)
    };
    watching(lab, use_it, found)
}

/// Looks at each packet of what is done: its CRC must be right, and tshark must decode it without a word, and find what these filters
/// look for.
fn watching(lab: &Lab, act: impl FnOnce() -> Result<()>, found: &[&str]) -> Result<()> {
    lab.inside(&Script::new("", include_str!("inside/watch.sh")))?;
    let done = act();
    lab.inside(&Script::new("", include_str!("inside/watched.sh")))?;
    done?;
    captured::check_decoded(lab, &lab.machine()?.left("watch.pcap"), found)
}

/// A send that closes memory, which spares its owner doing so (remote invalidation).
const SEND_WITH_INVALIDATE: &str = "infiniband.bth.opcode == 0x17";

/// The cable between the guest and us is out for so long.
fn pull_cable(lab: &Lab, time: Duration) -> Result<()> {
    link(lab.machine()?.beside("ip"), "down")?;
    sleep(time);
    link(lab.machine()?.beside("ip"), "up")
}

fn link(mut ip: Command, state: &str) -> Result<()> {
    let status = ip.args(["link", "set", TAP, state]).status()?;
    ensure!(status.success(), "ip link set {TAP} {state}: {status}");
    Ok(())
}
