//! iSER: open-iscsi with Linux's ib_iser as the initiator of our target, LIO with ib_isert as the target of our initiator.

use super::{SEND_WITH_INVALIDATE, lossy, plain, pull_cable, watched, watched_weft};
use crate::guest::HOST_ADDRESS;
use crate::interop::iscsi::{self, IQN, PORT, target};
use crate::interop::lab::{Daemon, GUEST, Lab, Script};
use crate::interop::{Scenario, disk};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("storage-rdma-iser-ways", "discovery, every way to move a write, two sessions", |lab| {
            tried(lab, include_str!("inside/iser_ways.sh"), 240)
        }),
        scenario("storage-rdma-iser-raw", "16 MiB written and read back with equal sums", |lab| {
            tried(lab, disk::RAW, 180)
        }),
        scenario("storage-rdma-iser-filesystem", "ext4 survives remounting, and fsck finds nothing", |lab| {
            tried(lab, disk::FILESYSTEM, 180)
        }),
        scenario("storage-rdma-iser-fio", "random I/O of 512 bytes to 1 MiB, verified by crc32c", |lab| {
            tried(lab, disk::FIO, 240)
        }),
        scenario("storage-rdma-iser-sg3", "sg3-utils, each command against what it must find", |lab| {
            of_two_units(lab, include_str!("../iscsi/inside/sg3.sh"), 180)
        }),
        scenario("storage-rdma-iser-resets", "several units, resets of a unit and of the host", |lab| {
            of_two_units(lab, include_str!("inside/resets.sh"), 120)
        }),
        scenario("storage-rdma-iser-chap", "both ends show who they are, and nobody else gets in", chap),
        scenario("storage-rdma-iser-libiscsi", "libiscsi's programs with iser://", libiscsi),
        scenario("storage-rdma-iser-watched", "tshark decodes every packet, and the CRCs are right", |lab| {
            plain(lab)?;
            let daemon = iscsi::serve_rdma(lab, &one_unit())?;
            watched(lab, script, &[&DECODED[..], &[SEND_WITH_INVALIDATE]].concat())?;
            let unasked = |body| script(body).set("SETTINGS", UNASKED);
            watched(lab, unasked, &[DATA_OUT])?;
            daemon.finish()
        }),
        scenario("storage-rdma-iser-broken", "queue pairs killed twice during I/O", |lab| {
            plain(lab)?;
            disk::interruption(lab, script, |file| serve_file(lab, file), replace_node)
        }),
        scenario(
            "storage-rdma-iser-outage",
            "killed twice during I/O: nothing acknowledged is lost",
            |lab| {
                plain(lab)?;
                disk::outage(lab, script, |file| serve_file(lab, file))
            },
        ),
        scenario("storage-rdma-iser-cable", "the cable out for 8 s, twice during I/O", |lab| {
            plain(lab)?;
            let pull = |_: &Daemon| pull_cable(lab, Duration::from_secs(8));
            disk::interruption(lab, script, |file| serve_file(lab, file), pull)
        }),
        scenario(
            "storage-rdma-iser-loss",
            "random I/O, verified, with one packet of a hundred lost",
            |lab| lossy(lab, || served(lab, disk::FIO, 400)),
        ),
        scenario(
            "storage-rdma-iser-target-lio",
            "weft info, copy, read, verify, bench and discover agree with LIO, and show it who they are",
            |lab| with_lio(lab, use_lio),
        ),
    ]
}

/// What tshark finds of a session: the header of iSER, the login, a command and its response.
const DECODED: [&str; 4] = ["iser.flags", "iscsi.login.T", "iscsi.opcode == 0x01", "iscsi.opcode == 0x21"];

/// Data that nobody asked for does not go along with its command.
const UNASKED: &str = "node.session.iscsi.InitialR2T=No node.session.iscsi.ImmediateData=No";

/// A Data-Out: in iSER data that nobody asked for, as what is asked for is read from memory (RFC 7145, section 7.3).
const DATA_OUT: &str = "iscsi.opcode == 0x05";

pub(super) fn script(body: &'static str) -> Script {
    iscsi::script_over("iser", body).set("ADDRESS", HOST_ADDRESS)
}

pub(super) fn serve_file(lab: &Lab, file: &Path) -> Result<Daemon> {
    iscsi::serve_rdma(lab, &iscsi::file_unit(file, false))
}

fn one_unit() -> Vec<(&'static str, Value)> {
    iscsi::ram_units(&[(64 * MIB, 512)])
}

/// One script against a daemon that serves 64 MiB, which must then end well.
fn tried(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    plain(lab)?;
    served(lab, body, seconds)
}

/// The same with two units.
fn of_two_units(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    plain(lab)?;
    serve_units(lab, &iscsi::ram_units(&[(64 * MIB, 512), (64 * MIB, 512)]), body, seconds)
}

/// One unit on the network as it is.
fn served(lab: &Lab, body: &'static str, seconds: u64) -> Result<()> {
    serve_units(lab, &one_unit(), body, seconds)
}

fn serve_units(lab: &Lab, units: &[(&str, Value)], body: &'static str, seconds: u64) -> Result<()> {
    let daemon = iscsi::serve_rdma(lab, units)?;
    lab.inside(&script(body).within(seconds))?;
    daemon.finish()
}

/// Ends all queue pairs by taking the node away that they belong to; it is back at once.
fn replace_node(daemon: &Daemon) -> Result<()> {
    let mut rpc = daemon.rpc()?;
    rpc.call("iscsi_delete_target_node", Some(json!({"name": IQN})))?;
    rpc.call("iscsi_create_target_node", Some(iscsi::node(&json!([{"bdev_name": "file", "lun_id": 0}]))))?;
    Ok(())
}

fn libiscsi(lab: &Lab) -> Result<()> {
    plain(lab)?;
    let daemon = iscsi::serve_rdma(lab, &one_unit())?;
    lab.inside(&script(include_str!("inside/iser_libiscsi.sh")).within(120))?;
    daemon.finish()
}

/// Does something while LIO is reached over iSER.
pub(super) fn with_lio(lab: &Lab, act: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    plain(lab)?;
    target::kernel_target(lab)?;
    let portal =
        |state| iscsi::script_over("iser", "lio_iser \"$STATE\"").set("ADDRESS", GUEST).set("STATE", state);
    lab.inside(&portal("1"))?;
    let outcome = act(lab);
    lab.inside(&portal("0"))?;
    outcome
}

/// The URL of LIO's unit.
pub(super) fn kernel_unit() -> String {
    format!("iser://{GUEST}:{PORT}/{IQN}/0")
}

fn use_lio(lab: &Lab) -> Result<()> {
    let at = format!("iser://{GUEST}:{PORT}");
    target::use_it(lab, &kernel_unit(), |arguments| lab.weft_says(arguments))?;
    watched_weft(lab, &kernel_unit(), &DECODED)?;
    let offered = lab.weft_says(&["discover", &at])?;
    ensure!(offered.contains(IQN), "the target is not in: {offered}");
    target::show_who(lab, "iser")
}

fn chap(lab: &Lab) -> Result<()> {
    plain(lab)?;
    let daemon = iscsi::serve_rdma(lab, &one_unit())?;
    let mut rpc = daemon.rpc()?;
    let secrets =
        json!([{"user": "user", "secret": "secretsecret", "muser": "weft", "msecret": "mutualsecret"}]);
    rpc.call("iscsi_create_auth_group", Some(json!({"tag": 1, "secrets": secrets})))?;
    let rule = json!({
        "name": IQN, "disable_chap": false, "require_chap": true, "mutual_chap": true, "chap_group": 1
    });
    rpc.call("iscsi_target_node_set_auth", Some(rule))?;
    lab.inside(&script(include_str!("../iscsi/inside/chap.sh")).within(180))?;
    daemon.finish()
}
