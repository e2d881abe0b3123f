//! What `weft serve` says when it is ready: what there is, and how to reach it.

use super::srp;
use crate::output::{Style, Table, say};
use block::BlockDevice;
use engine::Shard;
use engine::size::format_size;
use nvme::target::Transport;
use serde::Serialize;
use std::net::SocketAddr;

/// A served namespace.
#[derive(Debug, Serialize)]
struct Served {
    url: String,
    /// The same over RDMA.
    #[serde(skip_serializing_if = "Option::is_none")]
    rdma_url: Option<String>,
    nqn: String,
    nsid: u32,
    bytes: u64,
    block_size: u32,
}

/// A served logical unit.
#[derive(Debug, Serialize)]
struct Unit {
    url: String,
    /// The same over RDMA.
    #[serde(skip_serializing_if = "Option::is_none")]
    iser_url: Option<String>,
    target: String,
    lun: u16,
    bytes: u64,
    block_size: u32,
}

/// Prints it. `notes` are what could not be made.
pub(super) fn print(style: &Style, shard: &Shard, socket: &str, notes: &[String]) {
    let listeners: Vec<SocketAddr> = shard.listening(Transport::Tcp).collect();
    let devices: Vec<SocketAddr> = shard.listening(Transport::Rdma).collect();
    let served = served(shard, &listeners, &devices);
    let portals: Vec<SocketAddr> = shard.iscsi().server().listening().collect();
    let units = units(shard, &portals);
    let srp_units = srp::units(shard);
    if style.json {
        let ready = serde_json::json!({
            "listeners": listeners, "rdma_listeners": devices, "rpc": socket, "namespaces": served,
            "portals": portals, "luns": units, "notes": notes,
            "srp_listeners": shard.srp().listening().collect::<Vec<_>>(), "srp_luns": srp_units,
        });
        say!("{ready}");
        return;
    }
    let mut table = Table::new([">size", ">block", "url"]);
    for one in &served {
        for url in [Some(&one.url), one.rdma_url.as_ref()].into_iter().flatten() {
            table.row([format_size(one.bytes), one.block_size.to_string(), url.clone()]);
        }
    }
    for one in &units {
        for url in [Some(&one.url), one.iser_url.as_ref()].into_iter().flatten() {
            table.row([format_size(one.bytes), one.block_size.to_string(), url.clone()]);
        }
    }
    for one in &srp_units {
        if let Some(url) = &one.url {
            table.row([format_size(one.bytes), one.block_size.to_string(), url.clone()]);
        }
    }
    say!("{}\n", style.good("weft is ready"));
    if !served.is_empty() || !units.is_empty() || !srp_units.is_empty() {
        say!("{}\n", table.render(style));
    }
    if let (Some(address), Some(first)) = (listeners.first(), served.first()) {
        reach(style, *address, first);
    }
    if !devices.is_empty()
        || shard.iscsi().listening_rdma().next().is_some()
        || shard.srp().listening().next().is_some()
    {
        card(style);
    }
    if let (Some(address), Some(first)) = (devices.first(), served.first()) {
        reach_device(style, *address, first);
    }
    if let (Some(address), Some(first)) = (portals.first(), units.first()) {
        reach_portal(style, *address, first);
    }
    srp::reach(style, shard);
    for note in notes {
        say!("{}", style.dim(note));
    }
    say!("Control it     {}", style.code(&format!("weft rpc -s {socket} bdev_get_bdevs")));
    say!("{}", style.dim("Ctrl-C ends it in order; twice, at once"));
}

/// How the first volume is reached from each kind of peer.
fn reach(style: &Style, address: SocketAddr, served: &Served) {
    let (ip, port, nqn) = (address.ip(), address.port(), &served.nqn);
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    say!("From Linux     {}", style.code("sudo modprobe nvme-tcp"));
    say!("               {}", style.code(&format!("sudo nvme connect -t tcp -a {ip} -s {port} -n {nqn}")));
    say!("From Weft      {}", style.code(&format!("weft bench '{}'", served.url)));
    let trid = format!("trtype:TCP adrfam:{family} traddr:{ip} trsvcid:{port} subnqn:{nqn}");
    say!(
        "From SPDK      {}",
        style.code(&format!("spdk_nvme_perf -q 32 -o 4096 -w randread -t 5 -r '{trid}'"))
    );
}

/// What comes before all that goes by RDMA: a machine without a card for it has one in software.
fn card(style: &Style) {
    say!("No card, Linux {}", style.code("sudo rdma link add rxe0 type rxe netdev eth0"));
}

/// The same over RDMA.
fn reach_device(style: &Style, address: SocketAddr, served: &Served) {
    let (ip, port, nqn) = (address.ip(), address.port(), &served.nqn);
    say!("RDMA, Linux    {}", style.code("sudo modprobe nvme-rdma"));
    say!("               {}", style.code(&format!("sudo nvme connect -t rdma -a {ip} -s {port} -n {nqn}")));
}

/// The same for iSCSI.
fn reach_portal(style: &Style, portal: SocketAddr, unit: &Unit) {
    let target = &unit.target;
    say!("iSCSI, Linux   {}", style.code(&format!("sudo iscsiadm -m discovery -t sendtargets -p {portal}")));
    say!("               {}", style.code(&format!("sudo iscsiadm -m node -T {target} -p {portal} --login")));
    if unit.iser_url.is_some() {
        // A record that is written down needs no discovery, which iscsiadm does not always get through over iSER.
        let node = format!("sudo iscsiadm -m node -T {target} -p {portal} -I iser");
        say!("iSER, Linux    {}", style.code("sudo modprobe ib_iser"));
        say!("               {}", style.code(&format!("{node} -o new")));
        say!("               {}", style.code(&format!("{node} --login")));
    }
    say!("libiscsi       {}", style.code(&format!("iscsi-inq {}", unit.url)));
    say!("QEMU           {}", style.code(&format!("qemu-img info {}", unit.url)));
    say!("Weft           {}", style.code(&format!("weft bench '{}'", unit.url)));
}

fn units(shard: &Shard, portals: &[SocketAddr]) -> Vec<Unit> {
    let Some(portal) = portals.first() else { return Vec::new() };
    let iscsi = shard.iscsi();
    let by_rdma = iscsi.listening_rdma().any(|open| open == *portal);
    let mut all = Vec::new();
    for node in iscsi.server().registry().nodes() {
        for lun in iscsi.luns(&node.name) {
            let Some(entry) = shard.volumes().get(&lun.volume) else { continue };
            let info = entry.volume.info();
            let target = node.name.to_string();
            let over = |scheme: &str| format!("{scheme}://{portal}/{target}/{}", lun.number);
            let (url, iser_url) = (over("iscsi"), by_rdma.then(|| over("iser")));
            let (bytes, block_size) = (info.bytes(), info.block_size);
            all.push(Unit { url, iser_url, target, lun: lun.number, bytes, block_size });
        }
    }
    all
}

fn served(shard: &Shard, listeners: &[SocketAddr], devices: &[SocketAddr]) -> Vec<Served> {
    let mut all = Vec::new();
    for subsystem in shard.target().subsystems() {
        for namespace in &subsystem.namespaces {
            let Some(name) = shard.exported(&subsystem.config.nqn, namespace.nsid) else { continue };
            let Some(entry) = shard.volumes().get(name) else { continue };
            let (info, nqn) = (entry.volume.info(), subsystem.config.nqn.to_string());
            let address = listeners.first().map_or_else(String::new, ToString::to_string);
            let url = format!("nvme+tcp://{address}/{nqn}?ns={}", namespace.nsid);
            let over = |address: &SocketAddr| format!("nvme+rdma://{address}/{nqn}?ns={}", namespace.nsid);
            let rdma_url = devices.first().map(over);
            let (bytes, block_size) = (info.bytes(), info.block_size);
            all.push(Served { url, rdma_url, nqn, nsid: namespace.nsid, bytes, block_size });
        }
    }
    all
}
