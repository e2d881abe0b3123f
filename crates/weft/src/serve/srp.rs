//! What the options of `weft serve` ask for of SRP: one target port with all volumes, and how Linux reaches it.

use super::devices;
use super::setup::Served;
use crate::args::ServeArgs;
use crate::error::Failure;
use crate::output::{Style, say};
use block::BlockDevice;
use engine::Shard;
use engine::srp::SrpPortConfig;
use reactor::Reactor;
use scsi::srp::target::Access;
use scsi::target::UnitConfig;
use serde::Serialize;
use std::net::SocketAddr;
use wire::srp::PortId;

/// A served logical unit.
#[derive(Debug, Serialize)]
pub(super) struct Unit {
    /// Where a listener is, how it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    id_ext: String,
    ioc_guid: String,
    lun: u16,
    pub(super) bytes: u64,
    pub(super) block_size: u32,
}

/// The volumes as logical units of the target port that the subsystem's name gives: the same at every start. Says what could not
/// be made.
pub(super) fn serve(
    shard: &mut Shard,
    env: &mut Reactor,
    args: &ServeArgs,
    address: SocketAddr,
    served: &[Served],
) -> Result<Vec<String>, Failure> {
    let refused = |why: &dyn std::fmt::Display| Failure::Usage(format!("--srp {address}: {why}"));
    let mut notes = Vec::new();
    for ip in devices::at(address.ip())? {
        match shard.add_srp_listener(env, SocketAddr::new(ip, address.port())) {
            Ok(_) => {}
            // Nobody asked for it: the rest is served without.
            Err(why) if args.srp.is_none() => notes.push(devices::explain_srp(ip, &why)),
            Err(why) => return Err(refused(&why)),
        }
    }
    let id = port_id(&args.nqn);
    shard.add_srp_port(env, SrpPortConfig { id, access: Access::Any }).map_err(|why| refused(&why))?;
    for Served { name: volume, uuid, .. } in served {
        let config = UnitConfig { uuid: *uuid, ..UnitConfig::default() };
        shard.add_srp_lun(id, volume, config).map_err(|why| refused(&why))?;
    }
    Ok(notes)
}

/// The logical units, for programs.
pub(super) fn units(shard: &Shard) -> Vec<Unit> {
    let address = shard.srp().listening().next();
    let unit = |lun: &engine::srp::SrpLun| {
        let info = shard.volumes().get(&lun.volume)?.volume.info();
        let [id_ext, ioc_guid] = [lun.port.extension, lun.port.guid].map(|half| format!("{half:016x}"));
        let (bytes, block_size) = (info.bytes(), info.block_size);
        let url = address.map(|address| format!("srp://{address}/{}/{}", lun.port, lun.number));
        Some(Unit { url, id_ext, ioc_guid, lun: lun.number, bytes, block_size })
    };
    shard.srp().luns().filter_map(unit).collect()
}

/// How Linux reaches them.
pub(super) fn reach(style: &Style, shard: &Shard) {
    let first = shard.srp().listening().next().zip(shard.srp().registry().ports().next());
    let Some((address, port)) = first else { return };
    let PortId { extension, guid } = port.id;
    let line = format!("id_ext={extension:016x},ioc_guid={guid:016x},dest={address}");
    say!("SRP, Linux     {}", style.code("sudo modprobe ib_srp"));
    let write = format!("echo {line} | sudo tee /sys/class/infiniband_srp/srp-rxe0-1/add_target");
    say!("               {}", style.code(&write));
    say!("Weft           {}", style.code(&format!("weft bench 'srp://{address}/{}/0'", port.id)));
}

fn port_id(name: &str) -> PortId {
    let [guid @ .., _, _, _, _, _, _, _, _] = stdx::uuid::of_name(&format!("{name}\nsrp"));
    let guid = u64::from_be_bytes(guid);
    PortId { extension: guid, guid }
}
