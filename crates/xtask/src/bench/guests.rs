//! Storage over RDMA between guests: the kernel's targets beside ours, each in a guest of one processor, with the kernel's
//! initiators in a third, all emulated by this machine.
//!
//! What an I/O costs a target is all that its guest did meanwhile, interrupts and packets too: the time that its processor was not
//! idle, by /proc/stat. The client's guest has a cable to each, and the kernel's rdma_rxe on both. The cards compute checksums, as
//! real ones do.

use super::contender::Contender;
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use crate::guest::{Cable, Machine, Settings};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The kernel's targets and ours, by each protocol.
pub fn contenders(options: &Options, programs: &Programs) -> Result<Vec<Contender>> {
    let [[kernel, to_kernel], [weft, to_weft]] = Cable::pairs(LIFE)?;
    let boot = |name: &str, cables| boot(options, name, cables);
    let kernel = Rc::new(boot("kernel", vec![kernel])?);
    let weft = Rc::new(boot("weft", vec![weft])?);
    let client = Rc::new(boot("client", vec![to_kernel, to_weft])?);
    let theirs = serve_kernel(&kernel)?;
    let ours = serve_weft(&weft, &programs.weft)?;
    run(&client, &format!("NIC=eth0 ADDRESS={} RXE=rxe1\n{DEVICE}", theirs.address(CLIENT)))?;
    run(&client, &format!("NIC=eth1 ADDRESS={} RXE=rxe2\n{DEVICE}", ours.address(CLIENT)))?;
    let seconds = options.seconds;
    let contender = |name, against, target: &Rc<Machine>, peer: &Peer, kind| -> Result<Contender> {
        let (client, target) = (Rc::clone(&client), Rc::clone(target));
        let disk = peer.attach(&client, kind)?;
        // Memory that was never written is not there yet.
        fio(&client, &disk, "write", 4 << 10, 4, SIZE)?;
        Ok(Contender::new(name, against, move |workload: &Workload| {
            measure(&client, &target, &disk, workload, seconds).map(Some)
        }))
    };
    Ok(vec![
        contender("nvmet", &[], &kernel, &theirs, "nvme")?,
        contender("weft-nvme", &[0], &weft, &ours, "nvme")?,
        contender("isert", &[], &kernel, &theirs, "iser")?,
        contender("weft-iser", &[2], &weft, &ours, "iser")?,
        contender("srpt", &[], &kernel, &theirs, "srp")?,
        contender("weft-srp", &[4, 3], &weft, &ours, "srp")?,
    ])
}

fn boot(options: &Options, name: &str, cables: Vec<Cable>) -> Result<Machine> {
    super::progress::show(&format!("starting the guest of the {name}"));
    let settings = Settings {
        name: format!("bench-{name}"),
        cpus: 1,
        memory_mib: 768,
        life: LIFE,
        capture: None,
        outlives_us: false,
        cables,
    };
    let machine = Machine::boot(&settings)?;
    if options.first {
        machine.run_first()?;
    }
    Ok(machine)
}

/// Who serves 64 MiB of RAM by every protocol.
struct Peer {
    /// The third byte of the cable's addresses.
    cable: u8,
    /// The client's device that leads there.
    device: &'static str,
    /// What the names end with.
    name: &'static str,
    /// Each half of the SRP target port's identifier.
    srp: String,
}

impl Peer {
    /// An address on the cable.
    fn address(&self, end: u8) -> String {
        format!("10.78.{}.{end}", self.cable)
    }

    /// Has the client use it by a protocol; the disk that it is there.
    fn attach(&self, client: &Machine, kind: &str) -> Result<String> {
        let Peer { device, srp, .. } = self;
        let address = self.address(TARGET);
        let names = format!("NQN={} IQN={}", self.nqn(), self.iqn());
        let set = format!("KIND={kind} ADDRESS={address} RXE={device} SRP={srp} {names}\n");
        let said = run(client, &format!("{set}{}", include_str!("inside/attach.sh")))?;
        let disk = said.lines().find_map(|line| line.strip_prefix("disk "));
        disk.map(str::to_owned).with_context(|| format!("no disk by {kind}: {said}"))
    }

    fn nqn(&self) -> String {
        format!("nqn.2026-01.org.weft:{}", self.name)
    }

    fn iqn(&self) -> String {
        format!("iqn.2026-01.org.weft:{}", self.name)
    }
}

/// nvmet, isert and ib_srpt over rdma_rxe, with one block device of RAM.
fn serve_kernel(machine: &Machine) -> Result<Peer> {
    let mut peer = Peer { cable: 1, device: "rxe1", name: "kernel", srp: String::new() };
    let address = peer.address(TARGET);
    run(machine, &format!("NIC=eth0 ADDRESS={address} RXE=rxe0\n{DEVICE}"))?;
    let set = format!("ADDRESS={address} NQN={} IQN={} TRANSPORT=rdma", peer.nqn(), peer.iqn());
    run(
        machine,
        &[
            "set -eu -o pipefail\n",
            &format!("{set} PORT=4420\n{}", include_str!("../interop/nvme/inside/nvmet.sh")),
            &format!("PORT=3260\n{}", include_str!("../interop/iscsi/inside/lio.sh")),
            "modprobe ib_isert\necho 1 >\"np/$ADDRESS:$PORT/iser\"\n",
            &format!("PORT=5555\n{}", include_str!("../interop/storage_rdma/inside/srpt.sh")),
        ]
        .concat(),
    )?;
    let guid = run(machine, "cat /sys/module/ib_srpt/parameters/srpt_service_guid")?;
    peer.srp = format!("{:0>16}", guid.trim().trim_start_matches("0x"));
    Ok(peer)
}

/// `weft serve` with one volume of RAM.
fn serve_weft(machine: &Machine, weft: &Path) -> Result<Peer> {
    let mut peer = Peer { cable: 2, device: "rxe2", name: "weft", srp: String::new() };
    let (program, address) = (machine.give(weft)?, peer.address(TARGET));
    let set = format!("WEFT={program} NIC=eth0 ADDRESS={address} NQN={} IQN={}", peer.nqn(), peer.iqn());
    let said = run(machine, &format!("{set}\n{}", include_str!("inside/serve.sh")))?;
    let ready: Value = serde_json::from_str(&said).with_context(|| format!("weft serve said: {said}"))?;
    let name = ready["srp_luns"][0]["id_ext"].as_str();
    peer.srp = name.with_context(|| format!("it serves no SRP: {}", ready["notes"]))?.to_owned();
    Ok(peer)
}

fn measure(
    client: &Machine,
    target: &Machine,
    disk: &str,
    workload: &Workload,
    seconds: f64,
) -> Result<Figures> {
    let Workload { pattern, size, depth, .. } = workload;
    // Asking takes the target time, too.
    let asked = busy_seconds(target)?;
    let before = busy_seconds(target)?;
    let time = format!("{SIZE} --time_based --runtime={seconds}");
    let said = fio(client, disk, pattern, *size, *depth, &time)?;
    let busy = busy_seconds(target)? - before - (before - asked);
    let part = &said["jobs"][0][if workload.writes { "write" } else { "read" }];
    let figure = |value: &Value, what| value.as_f64().with_context(|| format!("fio tells no {what}: {part}"));
    let percentile = |name: &str| part["clat_ns"]["percentile"][name].as_f64().map(|ns| ns / 1e3);
    Ok(Figures {
        rate: figure(&part["iops"], "rate")?,
        p50_us: percentile("50.000000"),
        p99_us: percentile("99.000000"),
        cpu_us: Some(busy * 1e6 / figure(&part["total_ios"], "count")?),
    })
}

/// Seconds that the guest's one processor has not been idle.
fn busy_seconds(machine: &Machine) -> Result<f64> {
    let said = run(machine, "cat /proc/uptime /proc/stat")?;
    let mut words = said.split_whitespace();
    let mut number = |nth| -> Result<f64> {
        let word = words.nth(nth).context("/proc tells less than it should")?;
        word.parse().with_context(|| format!("{word} is no number"))
    };
    // Of `cpu user nice system idle iowait` the last two, in hundredths of a second.
    let (up, idle, waiting) = (number(0)?, number(5)?, number(0)?);
    Ok(up - (idle + waiting) / 100.0)
}

fn fio(client: &Machine, disk: &str, pattern: &str, size: usize, depth: usize, more: &str) -> Result<Value> {
    let what = format!("--filename=/dev/{disk} --rw={pattern} --bs={size} --iodepth={depth}");
    let how = "--name=bench --direct=1 --ioengine=libaio --randrepeat=0 --norandommap --output-format=json";
    let said = run(client, &format!("fio {what} {how} {more}"))?;
    // What it complains of comes first.
    let start = said.find('{').with_context(|| format!("fio said: {said}"))?;
    serde_json::from_str(&said[start..]).with_context(|| format!("fio said: {said}"))
}

/// Runs a script in a guest; what it printed.
fn run(machine: &Machine, script: &str) -> Result<String> {
    let outcome = machine.run(script, Duration::from_secs(100), &mut io::sink())?;
    ensure!(outcome.status == 0, "the guest's script failed: {}\n{}", outcome.status, outcome.output);
    Ok(outcome.output)
}

/// How long the guests are up, at most.
const LIFE: Duration = Duration::from_secs(3600);
/// How much of a disk is used, as fio has it: what is quickly written once.
const SIZE: &str = "--size=8m";
/// The end of a cable that a target has, and the client's.
const TARGET: u8 = 1;
const CLIENT: u8 = 2;
/// Brings a network card up with the kernel's device on it.
const DEVICE: &str = include_str!("inside/card.sh");
