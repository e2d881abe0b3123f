//! Linux as the initiator: open-iscsi, file systems, fio and sg3-utils on the kernel's iSCSI.

use super::{IQN, file_unit, ram_units, script, serve, with_peer};
use crate::guest::HOST_ADDRESS;
use crate::interop::lab::Lab;
use crate::interop::{Scenario, disk};
use anyhow::Result;
use serde_json::{Value, json};
use std::fs::File;

const MIB: u64 = 1 << 20;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let common = |name, about, run| Scenario { name, about, needs_weft: false, run };
    let ours = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        common("iscsi-host-discover", "iscsiadm finds the target", discover),
        common("iscsi-host-login", "R2T, digests and two sessions", login),
        common("iscsi-host-raw", "16 MiB written and read back with equal sums", raw),
        common("iscsi-host-filesystem", "ext4 survives remounting, and fsck finds nothing", filesystem),
        common("iscsi-host-fio", "random I/O of 512 bytes to 1 MiB, verified by crc32c", fio),
        ours("iscsi-host-chap", "both ends show who they are, and nobody else gets in", chap),
        ours("iscsi-host-sg3", "sg_inq, sg_vpd, sg_persist, sg_unmap, sg_xcopy, sg_compare_and_write", sg3),
        ours("iscsi-host-resize", "a unit grows, comes and goes under the kernel", resize),
        ours(
            "iscsi-host-outage",
            "killed twice during I/O: the kernel recovers, nothing acknowledged is lost",
            outage,
        ),
    ]
}

fn discover(lab: &Lab) -> Result<()> {
    with_peer(lab, &one_unit(), include_str!("inside/discover.sh"), 120)
}

fn login(lab: &Lab) -> Result<()> {
    with_peer(lab, &one_unit(), include_str!("inside/login.sh"), 240)
}

fn raw(lab: &Lab) -> Result<()> {
    with_peer(lab, &one_unit(), disk::RAW, 180)
}

fn filesystem(lab: &Lab) -> Result<()> {
    with_peer(lab, &one_unit(), disk::FILESYSTEM, 180)
}

fn fio(lab: &Lab) -> Result<()> {
    with_peer(lab, &one_unit(), disk::FIO, 240)
}

fn sg3(lab: &Lab) -> Result<()> {
    with_peer(lab, &ram_units(&[(64 * MIB, 512), (64 * MIB, 512)]), include_str!("inside/sg3.sh"), 180)
}

fn one_unit() -> Vec<(&'static str, Value)> {
    ram_units(&[(64 * MIB, 512)])
}

fn chap(lab: &Lab) -> Result<()> {
    let daemon = serve(lab, &one_unit())?;
    let mut rpc = daemon.rpc()?;
    let secrets =
        json!([{"user": "user", "secret": "secretsecret", "muser": "weft", "msecret": "mutualsecret"}]);
    rpc.call("iscsi_create_auth_group", Some(json!({"tag": 1, "secrets": secrets})))?;
    let rule = json!({
        "name": IQN, "disable_chap": false, "require_chap": true, "mutual_chap": true, "chap_group": 1
    });
    rpc.call("iscsi_target_node_set_auth", Some(rule))?;
    lab.inside(&script(include_str!("inside/chap.sh")).set("ADDRESS", HOST_ADDRESS).within(180))?;
    daemon.finish()
}

fn resize(lab: &Lab) -> Result<()> {
    let path = lab.file("resized");
    File::create(&path)?.set_len(64 * MIB)?;
    let daemon = serve(lab, &file_unit(&path, false))?;
    let mut rpc = daemon.rpc()?;
    lab.inside(&script(include_str!("inside/stay.sh")).set("ADDRESS", HOST_ADDRESS).within(120))?;
    rpc.call("bdev_malloc_create", Some(json!({"name": "extra", "num_blocks": 65536, "block_size": 512})))?;
    rpc.call("iscsi_target_node_add_lun", Some(json!({"name": IQN, "bdev_name": "extra", "lun_id": 1})))?;
    File::options().write(true).open(&path)?.set_len(96 * MIB)?;
    rpc.call("bdev_aio_rescan", Some(json!({"name": "file"})))?;
    lab.inside(&script(include_str!("inside/grown.sh")).set("ADDRESS", HOST_ADDRESS).within(120))?;
    rpc.call("bdev_malloc_delete", Some(json!({"name": "extra"})))?;
    lab.inside(&script(include_str!("inside/gone.sh")).set("ADDRESS", HOST_ADDRESS).within(120))?;
    daemon.finish()
}

fn outage(lab: &Lab) -> Result<()> {
    let script = |body| script(body).set("ADDRESS", HOST_ADDRESS);
    disk::outage(lab, script, |file| serve(lab, &file_unit(file, false)))
}
