//! iSCSI: Weft's target and tgt's, each with Weft's, libiscsi's and QEMU's initiators.

use super::contender::{Contender, WeftBench, exchange, spread};
use super::process::{Place, Server, output, pinned};
use super::report::Figures;
use super::{Options, Programs, Workload};
use crate::rpc::RpcClient;
use crate::tgt::{Address, Tgt};
use crate::workspace;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The target node that is measured.
const IQN: &str = "iqn.2026-01.org.weft:bench";
/// Where Weft serves it, and where tgt does.
const PORTS: (u16, u16) = (13270, 13271);
/// Bytes of tgt's volume: as many as Weft's by default.
const TGT_BYTES: u64 = 1 << 30;

/// Both yardsticks, and each initiator with each target.
pub fn contenders(options: &Options, programs: &Programs) -> Result<Vec<Contender>> {
    let (weft, tgt) = (Rc::new(serve(options, programs)?), Rc::new(RamTgt::start(options.target())?));
    let (ours, theirs) = (url(PORTS.0, 0), url(PORTS.1, 1));
    let seconds = options.seconds;
    let bench = |url: &str| WeftBench::new(options, &programs.weft, url.to_owned());
    let (weft_to_ours, weft_to_theirs) = (bench(&ours), bench(&theirs));
    weft_to_ours.fill()?;
    weft_to_theirs.fill()?;
    let client = options.client();
    let perf = |url: &str| {
        let url = url.to_owned();
        move |workload: &Workload| iscsi_perf(client, &url, workload, seconds)
    };
    let qemu = |url: &str| {
        let url = url.to_owned();
        move |workload: &Workload| qemu_img(client, &url, workload, seconds).map(Some)
    };
    // The servers live as long as the closures that need them.
    Ok(vec![
        exchange("yardstick", &[], options, &programs.xtask, &["yardstick"], messages),
        spread(options, programs, messages),
        Contender::new("weft", &[0, 1, 3], move |workload| {
            weft_to_ours
                .measure(workload, seconds)
                .map(Some)
                .with_context(|| format!("process {}", weft.id()))
        }),
        Contender::new("weft-tgt", &[], move |workload| {
            let _ = &tgt;
            weft_to_theirs.measure(workload, seconds).map(Some)
        }),
        Contender::new("perf-weft", &[5], perf(&ours)),
        Contender::new("perf-tgt", &[], perf(&theirs)),
        Contender::new("qemu-weft", &[7], qemu(&ours)),
        Contender::new("qemu-tgt", &[], qemu(&theirs)),
    ])
}

fn url(port: u16, unit: u32) -> String {
    format!("iscsi://127.0.0.1:{port}/{IQN}/{unit}")
}

/// Weft with one RAM volume as logical unit 0.
fn serve(options: &Options, programs: &Programs) -> Result<Server> {
    let directory = workspace::target_directory().join("bench");
    fs::create_dir_all(&directory)?;
    let (empty, socket) = (directory.join("empty.json"), std::env::temp_dir().join(SOCKET));
    fs::write(&empty, r#"{"subsystems": []}"#)?;
    let (empty, path) = (empty.display().to_string(), socket.display().to_string());
    let arguments = ["serve", "--json", "--config", &empty, "--rpc-socket", &path];
    let server = Server::start(options.target(), &programs.weft, &arguments)?;
    let mut rpc = RpcClient::connect(&socket)?;
    let bytes: u64 = 1 << 30;
    let calls = [
        ("bdev_malloc_create", json!({"name": "ram", "num_blocks": bytes / 512, "block_size": 512})),
        (
            "iscsi_create_portal_group",
            json!({"tag": 1, "portals": [{"host": "127.0.0.1", "port": PORTS.0.to_string()}]}),
        ),
        ("iscsi_create_initiator_group", json!({"tag": 1, "initiators": ["ANY"], "netmasks": ["ANY"]})),
        (
            "iscsi_create_target_node",
            json!({
                "name": IQN, "alias_name": "bench", "luns": [{"bdev_name": "ram", "lun_id": 0}],
                "pg_ig_maps": [{"pg_tag": 1, "ig_tag": 1}], "queue_depth": 128, "disable_chap": true,
            }),
        ),
    ];
    for (method, parameters) in calls {
        rpc.call(method, Some(parameters))?;
    }
    Ok(server)
}

/// The socket of the daemon that is measured.
const SOCKET: &str = "weft-bench.sock";

/// tgt over a file in memory, which goes with it.
struct RamTgt {
    _tgt: Tgt,
    file: PathBuf,
}

impl RamTgt {
    fn start(place: Place) -> Result<Self> {
        let file = Path::new("/dev/shm").join(format!("weft-bench-{}", std::process::id()));
        File::create(&file)?.set_len(TGT_BYTES)?;
        let address = Address { iqn: IQN, port: PORTS.1 };
        let tgt = Tgt::start(&file, &address, |program| pinned(place, Path::new(program), &[]));
        if tgt.is_err() {
            fs::remove_file(&file)?;
        }
        Ok(Self { _tgt: tgt?, file })
    }
}

impl Drop for RamTgt {
    fn drop(&mut self) {
        // Someone may have cleared it away.
        let _ = fs::remove_file(&self.file);
    }
}

/// `iscsi-perf`, which reads alone and says its rate after whole seconds.
fn iscsi_perf(place: Place, url: &str, workload: &Workload, seconds: f64) -> Result<Option<Figures>> {
    if workload.writes {
        return Ok(None);
    }
    let (depth, blocks) = (workload.depth.to_string(), (workload.size / 512).to_string());
    let time = seconds.ceil().max(1.0).to_string();
    let arguments = ["-m", &depth, "-b", &blocks, "-t", &time, "-r", url];
    let said = output(place, Path::new("iscsi-perf"), &arguments)?;
    // It tells its average again and again; the last one counts.
    let rate = said.rsplit("iops average ").next().and_then(|rest| rest.split_whitespace().next());
    let rate = rate.and_then(|rate| rate.parse().ok()).with_context(|| format!("no rate in: {said}"))?;
    Ok(Some(Figures::of(rate)))
}

/// `qemu-img bench`, which does a number of requests and says how long it took.
fn qemu_img(place: Place, url: &str, workload: &Workload, seconds: f64) -> Result<Figures> {
    // As many as a target of this kind can be expected to do in the time.
    let expected = match (workload.size > 64 << 10, workload.depth) {
        (true, _) => 10_000.0,
        (false, 1) => 10_000.0,
        (false, _) => 60_000.0,
    };
    let count = expected * seconds;
    let (depth, size) = (workload.depth.to_string(), workload.size.to_string());
    let text = format!("{count:.0}");
    let mut arguments = vec!["bench", "-f", "raw", "-t", "none", "-c", &text, "-d", &depth, "-s", &size];
    arguments.extend(workload.writes.then_some("-w"));
    arguments.push(url);
    let said = output(place, Path::new("qemu-img"), &arguments)?;
    let took = said.split("Run completed in ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let took: f64 = took.and_then(|took| took.parse().ok()).with_context(|| format!("no time in: {said}"))?;
    Ok(Figures::of(count / took))
}

/// Bytes of a request and of its answer, as iSCSI has them without digests (RFC 7143, section 11): a header of 48 bytes
/// before everything; the status of a read rides on its last Data-In. A write longer than the first burst is asked for by
/// an R2T; the yardstick exchanges the same bytes, but does not wait for that.
const fn messages(workload: &Workload) -> (usize, usize) {
    match (workload.writes, workload.size > FIRST_BURST) {
        (false, _) => (HEADER, HEADER + workload.size),
        (true, false) => (HEADER + workload.size, HEADER),
        (true, true) => (HEADER + HEADER + workload.size, HEADER + HEADER),
    }
}

/// Bytes of a basic header segment.
const HEADER: usize = 48;

/// Bytes of data that go without being asked for.
const FIRST_BURST: usize = 64 << 10;
