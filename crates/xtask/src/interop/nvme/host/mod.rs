//! Linux as the host: nvme-cli, file systems and fio on the kernel's NVMe/TCP initiator.

mod access;
pub mod resize;

use super::{Peer, script, serve};
use crate::guest::HOST_ADDRESS;
use crate::interop::lab::Lab;
use crate::interop::{Scenario, disk};
use anyhow::Result;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let common = |name, about, run| Scenario { name, about, needs_weft: false, run };
    let ours = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        common("nvme-host-discover", "nvme discover and connect-all find the subsystem", discover),
        common("nvme-host-connect", "digests in all combinations, one queue to four", connect),
        common("nvme-host-raw", "16 MiB written and read back with equal sums", raw),
        common("nvme-host-filesystem", "ext4 survives remounting, and fsck finds nothing", filesystem),
        common("nvme-host-fio", "random I/O of 512 bytes to 1 MiB, verified by crc32c", fio),
        common(
            "nvme-host-commands",
            "every command nvme-cli has, with the statuses the standard names",
            commands,
        ),
        ours("nvme-host-reservations", "two hosts register, reserve, preempt and release", reservations),
        ours("nvme-host-resize", "namespaces come, grow and go while the kernel is connected", |lab| {
            resize::run(lab, "tcp")
        }),
        ours("nvme-host-access", "only hosts on the list get in", access::run),
        ours(
            "nvme-host-outage",
            "killed twice during I/O: the kernel reconnects, nothing acknowledged is lost",
            outage,
        ),
    ]
}

fn discover(lab: &Lab) -> Result<()> {
    run_with_peer(lab, include_str!("../inside/discover.sh"), 60)
}

fn connect(lab: &Lab) -> Result<()> {
    run_with_peer(lab, include_str!("../inside/connect.sh"), 120)
}

fn raw(lab: &Lab) -> Result<()> {
    run_with_peer(lab, disk::RAW, 120)
}

fn filesystem(lab: &Lab) -> Result<()> {
    run_with_peer(lab, disk::FILESYSTEM, 120)
}

fn fio(lab: &Lab) -> Result<()> {
    run_with_peer(lab, disk::FIO, 180)
}

fn commands(lab: &Lab) -> Result<()> {
    run_with_peer(lab, include_str!("../inside/commands.sh"), 120)
}

fn reservations(lab: &Lab) -> Result<()> {
    run_with_peer(lab, include_str!("../inside/reservations.sh"), 60)
}

fn outage(lab: &Lab) -> Result<()> {
    let script = |body| script(body).set("ADDRESS", HOST_ADDRESS);
    disk::outage(lab, script, |file| serve(lab, &["--file", &file.display().to_string()]))
}

/// One script against a fresh peer, which must then end well.
fn run_with_peer(lab: &Lab, script: &'static str, seconds: u64) -> Result<()> {
    let peer = Peer::start(lab)?;
    let expect = match peer {
        Peer::Weft(_) => "all",
        Peer::Kernel => "some",
    };
    lab.inside(&peer.script(script).set("EXPECT", expect).within(seconds))?;
    peer.finish()
}
