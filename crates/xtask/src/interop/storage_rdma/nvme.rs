//! NVMe/RDMA: Linux's nvme-rdma as the host of our target, and its nvmet-rdma as the target of our host.

use super::{SEND_WITH_INVALIDATE, lossy, plain, pull_cable, watched, watched_weft};
use crate::guest::HOST_ADDRESS;
use crate::interop::lab::{Daemon, Lab, Script};
use crate::interop::nvme::{self, NQN, PORT};
use crate::interop::{Scenario, disk};
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("storage-rdma-nvme-discover", "nvme discover and connect-all over RDMA", |lab| {
            tried(lab, include_str!("../nvme/inside/discover.sh"), 60)
        }),
        scenario("storage-rdma-nvme-queues", "four queues, keep-alives, a reset", |lab| {
            tried(lab, include_str!("inside/queues.sh"), 60)
        }),
        scenario("storage-rdma-nvme-raw", "16 MiB written and read back with equal sums", |lab| {
            tried(lab, disk::RAW, 120)
        }),
        scenario("storage-rdma-nvme-filesystem", "ext4 survives remounting, and fsck finds nothing", |lab| {
            tried(lab, disk::FILESYSTEM, 120)
        }),
        scenario("storage-rdma-nvme-fio", "random I/O of 512 bytes to 1 MiB, verified by crc32c", |lab| {
            tried(lab, disk::FIO, 240)
        }),
        scenario("storage-rdma-nvme-commands", "every command nvme-cli has", |lab| {
            tried(lab, include_str!("../nvme/inside/commands.sh"), 120)
        }),
        scenario("storage-rdma-nvme-resize", "namespaces come, grow and go meanwhile", |lab| {
            plain(lab)?;
            nvme::host::resize::run(lab, "rdma")
        }),
        scenario(
            "storage-rdma-nvme-outage",
            "killed twice during I/O: nothing acknowledged is lost",
            |lab| {
                plain(lab)?;
                disk::outage(lab, script, |file| serve_file(lab, file))
            },
        ),
        scenario("storage-rdma-nvme-broken", "queue pairs killed twice during I/O", |lab| {
            plain(lab)?;
            disk::interruption(lab, script, |file| serve_file(lab, file), close_portal)
        }),
        scenario("storage-rdma-nvme-cable", "the cable out for 8 s, twice during I/O", |lab| {
            plain(lab)?;
            let pull = |_: &Daemon| pull_cable(lab, Duration::from_secs(8));
            disk::interruption(lab, script, |file| serve_file(lab, file), pull)
        }),
        scenario(
            "storage-rdma-nvme-loss",
            "random I/O, verified, with one packet of a hundred lost",
            |lab| lossy(lab, || served(lab, disk::FIO, 400)),
        ),
        scenario("storage-rdma-nvme-watched", "tshark decodes every packet, and the CRCs are right", |lab| {
            plain(lab)?;
            let daemon = nvme::serve(lab, &["--ram", "64M"])?;
            watched(lab, script, &[&DECODED[..], &[SEND_WITH_INVALIDATE]].concat())?;
            daemon.finish()
        }),
        scenario("storage-rdma-nvme-target", "weft info, discover, copy, read, verify and bench", |lab| {
            plain(lab)?;
            nvme::target::all(lab, "rdma")?;
            watched_weft(lab, &nvme::target::url("rdma"), &DECODED)
        }),
    ]
}

/// What tshark finds of a queue: a command, a completion, and a write to the host's memory.
const DECODED: [&str; 3] = ["nvme.cmd.opc", "nvme.cqe.cid", "nvme-rdma.write_to_host_req"];

pub(super) fn script(body: &'static str) -> Script {
    nvme::script_over("rdma", body).set("ADDRESS", HOST_ADDRESS)
}

pub(super) fn serve_file(lab: &Lab, file: &Path) -> Result<Daemon> {
    nvme::serve(lab, &["--file", &file.display().to_string()])
}

/// One script against a daemon that serves 64 MiB, which must then end well.
fn tried(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    plain(lab)?;
    served(lab, body, seconds)
}

/// The same on the network as it is.
fn served(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    let daemon = nvme::serve(lab, &["--ram", "64M"])?;
    lab.inside(&script(body).set("EXPECT", "all").within(seconds))?;
    daemon.finish()
}

/// Ends all queue pairs by taking the portal away that they came by; it is back a second later.
fn close_portal(daemon: &Daemon) -> Result<()> {
    let address =
        json!({"trtype": "RDMA", "adrfam": "IPv4", "traddr": HOST_ADDRESS, "trsvcid": PORT.to_string()});
    let portal = Some(json!({"nqn": NQN, "listen_address": address}));
    let mut rpc = daemon.rpc()?;
    rpc.call("nvmf_subsystem_remove_listener", portal.clone())?;
    sleep(Duration::from_secs(1));
    rpc.call("nvmf_subsystem_add_listener", portal)?;
    Ok(())
}
