//! SRP: Linux's ib_srp as the initiator of our target, and its ib_srpt as the target of our initiator.

use super::{losing, lossy, plain, pull_cable, watched, watched_weft};
use crate::guest::HOST_ADDRESS;
use crate::interop::iscsi::target::{kernel_target, use_it};
use crate::interop::lab::{Daemon, GUEST, Lab, Script};
use crate::interop::{Scenario, disk};
use crate::rpc::RpcClient;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Both halves of the target port's name.
const TARGET: &str = "0005000500050001";
/// Where it is served.
const PORT: u16 = 5555;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("storage-rdma-srp-ways", "every way to move data, several channels", |lab| {
            plain(lab)?;
            ways(lab)
        }),
        scenario(
            "storage-rdma-srp-told",
            "events, logouts by the target, initiators that it does not let in",
            |lab| {
                plain(lab)?;
                told(lab)
            },
        ),
        scenario("storage-rdma-srp-resets", "several units, resets of a unit and of the host", |lab| {
            tried(lab, include_str!("inside/resets.sh"), 120)
        }),
        scenario("storage-rdma-srp-raw", "16 MiB written and read back with equal sums", |lab| {
            tried(lab, disk::RAW, 180)
        }),
        scenario("storage-rdma-srp-filesystem", "ext4 survives remounting, and fsck finds nothing", |lab| {
            tried(lab, disk::FILESYSTEM, 180)
        }),
        scenario("storage-rdma-srp-fio", "random I/O of 512 bytes to 1 MiB, verified by crc32c", |lab| {
            tried(lab, disk::FIO, 300)
        }),
        scenario("storage-rdma-srp-sg3", "sg3-utils, each command against what it must find", |lab| {
            tried(lab, include_str!("../iscsi/inside/sg3.sh"), 180)
        }),
        // tshark knows no SRP; our bytes are held against the kernel's by the tests of `wire`.
        scenario("storage-rdma-srp-watched", "tshark warns of no packet, and the CRCs are right", |lab| {
            plain(lab)?;
            let daemon = serve_ram(lab)?;
            watched(lab, script, &["infiniband.cm.req", "infiniband.reth"])?;
            daemon.finish()
        }),
        scenario("storage-rdma-srp-broken", "queue pairs killed twice during I/O", |lab| {
            plain(lab)?;
            disk::interruption(lab, script, |file| serve_file(lab, file), replace_target)
        }),
        scenario("storage-rdma-srp-outage", "killed twice during I/O: nothing acknowledged is lost", |lab| {
            plain(lab)?;
            disk::outage(lab, script, |file| serve_file(lab, file))
        }),
        scenario("storage-rdma-srp-cable", "the cable out for 8 s, twice during I/O", |lab| {
            plain(lab)?;
            // Without heartbeats nobody misses anything until a command is late. After twenty seconds connections are made anew, in
            // which ib_srp of Linux 6.1 corrupted a list of its own ("list_add corruption").
            let pull = |_: &Daemon| pull_cable(lab, Duration::from_secs(8));
            disk::interruption(
                lab,
                |body| script(body).set("BORNE", "yes"),
                |file| serve_file(lab, file),
                pull,
            )
        }),
        scenario("storage-rdma-srp-loss", "random I/O, verified, with one packet of a hundred lost", |lab| {
            lossy(lab, || served(lab, disk::FIO, 400))
        }),
        scenario("storage-rdma-srp-much-loss", "the same with five of a hundred lost", |lab| {
            losing(lab, 5, || served(lab, disk::FIO, 400))
        }),
        scenario(
            "storage-rdma-srp-srpt",
            "weft discover, info, copy, read, verify and bench agree with ib_srpt",
            srpt,
        ),
    ]
}

pub(super) fn script(body: &'static str) -> Script {
    let script = Script::new(include_str!("inside/srp.sh"), body);
    script.set("TARGET", TARGET).set("ADDRESS", HOST_ADDRESS).set("PORT", &PORT.to_string())
}

/// Our initiator with the kernel's target, by every way to move data.
fn srpt(lab: &Lab) -> Result<()> {
    plain(lab)?;
    let guid = kernel_port(lab)?;
    let target = format!("srp://{GUEST}:{PORT}/{guid}{guid}");
    found(lab, &guid)?;
    use_it(lab, &format!("{target}/0"), |arguments| lab.weft_says(arguments))?;
    watched_weft(lab, &format!("{target}/0"), &["infiniband.cm.req", "infiniband.reth"])?;
    agreed(lab, &format!("{target}/0"), &[IMMEDIATE])?;
    let pieces = format!("{target}/0?channels=2&immediate=0&piece=16K");
    agreed(lab, &pieces, &[0, 0])?;
    lab.weft_says(&["verify", &pieces, "--destroy", "--length", "4M"])?;
    let stranger = lab.weft_says(&["info", &format!("srp://{GUEST}:{PORT}/{:032x}/0", 1)]);
    let refused = stranger.err().context("a port that is not there let us in")?.to_string();
    ensure!(refused.contains("refused the login"), "no reason is told: {refused}");
    Ok(())
}

/// The target agreed to these channels, each with so many bytes of data along with a command.
fn agreed(lab: &Lab, url: &str, immediate: &[u64]) -> Result<()> {
    let info: Value = serde_json::from_str(&lab.weft_says(&["--json", "info", url])?)?;
    let channels = info["srp"]["channels"].as_array().context("nothing is told of channels")?;
    let told: Vec<_> = channels.iter().filter_map(|channel| channel["immediate_bytes"].as_u64()).collect();
    ensure!(told == immediate, "{url}: {told:?} bytes of immediate data, not {immediate:?}");
    ensure!(channels.iter().all(|channel| channel["requests"].as_u64() > Some(0)), "no requests: {info}");
    Ok(())
}

/// Bytes of data that our initiator asks to send along with a command, unless it is told otherwise, and ib_srpt takes.
const IMMEDIATE: u64 = 8192;

/// The URL of the unit of the kernel's target.
pub(super) fn kernel_unit(lab: &Lab) -> Result<String> {
    let guid = kernel_port(lab)?;
    Ok(format!("srp://{GUEST}:{PORT}/{guid}{guid}/0"))
}

/// Has the kernel's target serve LIO's unit; says both halves of its port's name.
fn kernel_port(lab: &Lab) -> Result<String> {
    kernel_target(lab)?;
    let serve = Script::new("", include_str!("inside/srpt.sh"));
    lab.once("srpt", &serve.set("ADDRESS", GUEST).set("PORT", &PORT.to_string()))?;
    let said = lab.inside(&Script::new("", "cat /sys/module/ib_srpt/parameters/srpt_service_guid"))?;
    Ok(format!("{:0>16}", said.trim().trim_start_matches("0x")))
}

/// The kernel tells of its target by device management.
fn found(lab: &Lab, guid: &str) -> Result<()> {
    let said = lab.weft_says(&["--json", "discover", &format!("srp://{GUEST}:{PORT}")])?;
    let said: Value = serde_json::from_str(&said)?;
    let expected = format!("id_ext={guid},ioc_guid={guid},dest={GUEST}:{PORT}");
    let found = said["targets"][0]["add_target"].as_str();
    ensure!(found == Some(&expected), "the kernel's target is not found: {said}");
    Ok(())
}

/// One script against a daemon that serves two units of 64 MiB, which must then end well.
fn tried(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    plain(lab)?;
    served(lab, body, seconds)
}

/// Every way of the kernel's to move data, and what our target saw of it.
fn ways(lab: &Lab) -> Result<()> {
    let daemon = serve_ram(lab)?;
    let mut rpc = daemon.rpc()?;
    for way in WAYS {
        let before = rpc.call("srp_get_stats", None)?;
        let tried =
            script(include_str!("inside/srp_way.sh")).set("LOGIN", way.login).set("MODULE", way.module);
        lab.inside(&tried.within(60))?;
        let after = rpc.call("srp_get_stats", None)?;
        let grown = |name: &str| Some(after[name].as_u64()? - before[name].as_u64()?);
        let [logins, immediate, tables] = ["logins", "immediate", "tables"].map(grown);
        let seen =
            format!("{}: {logins:?} logins, {immediate:?} with immediate data, {tables:?} tables", way.name);
        ensure!(logins == Some(way.channels), "not {} channels: {seen}", way.channels);
        ensure!(immediate.is_some_and(|some| (some > 0) == way.is_immediate), "data came otherwise: {seen}");
        ensure!(
            tables.is_some_and(|some| (some > 0) == way.is_fetched),
            "descriptors came otherwise: {seen}"
        );
    }
    daemon.finish()
}

/// What our target says unasked is heard by ib_srp, which answers: the next event would not be sent otherwise.
fn told(lab: &Lab) -> Result<()> {
    let daemon = serve_ram(lab)?;
    let mut rpc = daemon.rpc()?;
    let step = |name: &str| {
        let told = script(include_str!("inside/srp_told.sh")).set("STEP", name);
        lab.inside(&told.within(60)).map(drop)
    };
    let port = json!({"id_ext": TARGET, "ioc_guid": TARGET});
    let with = |name: &str, value: Value| Some(json!({"id_ext": TARGET, "ioc_guid": TARGET, (name): value}));
    step("in")?;
    for _ in 0..2 {
        let before = rpc.call("srp_get_stats", None)?;
        rpc.call("srp_target_remove_lun", with("lun_id", json!(1)))?;
        step("changed")?;
        rpc.call("srp_target_add_lun", with("bdev_name", json!("ram1")))?;
        step("changed")?;
        let after = rpc.call("srp_get_stats", None)?;
        let grown = |name: &str| Some(after[name].as_u64()? - before[name].as_u64()?);
        ensure!(grown("events") >= Some(2) && grown("logins") == Some(0), "before {before}, after {after}");
    }
    rpc.call("srp_delete_target", Some(port))?;
    step("ended")?;
    make_target(&mut rpc, &["ram0"])?;
    rpc.call("srp_target_set_initiators", with("initiators", json!(["0".repeat(32)])))?;
    step("refused")?;
    rpc.call("srp_target_set_initiators", with("initiators", Value::Null))?;
    step("again")?;
    daemon.finish()
}

/// A way to move data.
struct Way {
    name: &'static str,
    /// Options of the login, and of the module.
    login: &'static str,
    module: &'static str,
    channels: u64,
    /// Data comes with its command.
    is_immediate: bool,
    /// Tables of descriptors are left in memory.
    is_fetched: bool,
}

const WAYS: [Way; 4] = [
    Way {
        name: "immediate data, several channels",
        login: ",ch_count=4",
        module: "",
        channels: 4,
        is_immediate: true,
        is_fetched: false,
    },
    Way {
        name: "registered memory",
        login: ",ch_count=1",
        module: "use_imm_data=0",
        channels: 1,
        is_immediate: false,
        is_fetched: false,
    },
    Way {
        name: "tables in the unit",
        login: ",ch_count=1,cmd_sg_entries=64",
        module: "use_imm_data=0 never_register=1",
        channels: 1,
        is_immediate: false,
        is_fetched: false,
    },
    Way {
        name: "tables in memory",
        login: ",ch_count=1,cmd_sg_entries=2,allow_ext_sg=1,sg_tablesize=256",
        module: "use_imm_data=0 never_register=1",
        channels: 1,
        is_immediate: false,
        is_fetched: true,
    },
];

/// The same on the network as it is.
fn served(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    let daemon = serve_ram(lab)?;
    lab.inside(&script(body).within(seconds))?;
    daemon.finish()
}

/// Two units of 64 MiB.
fn serve_ram(lab: &Lab) -> Result<Daemon> {
    let ram = |name: &str| json!({"name": name, "num_blocks": 131_072, "block_size": 512});
    let volumes = [("bdev_malloc_create", ram("ram0")), ("bdev_malloc_create", ram("ram1"))];
    serve(lab, &volumes, &["ram0", "ram1"])
}

pub(super) fn serve_file(lab: &Lab, file: &Path) -> Result<Daemon> {
    let volume = json!({"name": "file", "filename": file, "block_size": 512});
    serve(lab, &[("bdev_aio_create", volume)], &["file"])
}

/// Ends all queue pairs by taking the target port away that they belong to; it is back a second later.
fn replace_target(daemon: &Daemon) -> Result<()> {
    let mut rpc = daemon.rpc()?;
    rpc.call("srp_delete_target", Some(json!({"id_ext": TARGET, "ioc_guid": TARGET})))?;
    sleep(Duration::from_secs(1));
    make_target(&mut rpc, &["file"])
}

/// A target port with these volumes as its units.
fn make_target(rpc: &mut RpcClient, units: &[&str]) -> Result<()> {
    rpc.call("srp_create_target", Some(json!({"id_ext": TARGET, "ioc_guid": TARGET})))?;
    for unit in units {
        let unit = json!({"id_ext": TARGET, "ioc_guid": TARGET, "bdev_name": unit});
        rpc.call("srp_target_add_lun", Some(unit))?;
    }
    Ok(())
}

/// `weft serve` with these volumes as the units of one target port.
fn serve(lab: &Lab, volumes: &[(&str, Value)], units: &[&str]) -> Result<Daemon> {
    let empty = lab.file("empty.json");
    std::fs::write(&empty, r#"{"subsystems": []}"#)?;
    let daemon = Daemon::start(lab, &["--config", &empty.display().to_string()])?;
    let mut rpc = daemon.rpc()?;
    for (method, parameters) in volumes {
        rpc.call(method, Some(parameters.clone()))?;
    }
    make_target(&mut rpc, units)?;
    rpc.call("srp_add_listener", Some(json!({"traddr": HOST_ADDRESS, "trsvcid": PORT.to_string()})))?;
    Ok(daemon)
}
