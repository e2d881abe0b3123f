//! `srp_*`: SRP target ports and what belongs to them; `bdev_srp_*`: disks of other targets. SPDK has no SRP; these are made in
//! its style.

pub(crate) mod disk;
mod params;
mod results;
mod save;
mod targets;

use engine::srp::{SrpError, SrpListenError};
use scsi::srp::target::RegistryError;

use super::iscsi::device_error;
use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;

pub(crate) use save::save;

/// The `srp_*` methods.
pub fn methods() -> Vec<FabricMethod> {
    vec![
        FabricMethod::composed(
            "bdev_srp_create",
            "Connects to an SRP target; its disk becomes a volume.",
            disk::create,
        ),
        FabricMethod::new("bdev_srp_delete", "Lets a disk go, and its volume with it.", disk::delete),
        FabricMethod::new("srp_create_target", "Makes a target port without logical units.", targets::create),
        FabricMethod::new(
            "srp_delete_target",
            "Takes a target port away; its channels end.",
            targets::delete,
        ),
        FabricMethod::new(
            "srp_target_set_initiators",
            "Says anew who may log in to a target port; who has stays.",
            targets::set_initiators,
        ),
        FabricMethod::new(
            "srp_target_add_lun",
            "Serves a volume as a logical unit; initiators are told. Says its number.",
            targets::add_lun,
        ),
        FabricMethod::new(
            "srp_target_remove_lun",
            "Takes a logical unit away; initiators are told.",
            targets::remove_lun,
        ),
        FabricMethod::new(
            "srp_add_listener",
            "Lets initiators reach all target ports at an address of this machine.",
            targets::listen,
        ),
        FabricMethod::new(
            "srp_remove_listener",
            "Listens at an address no longer; who came in there stays.",
            targets::unlisten,
        ),
        FabricMethod::new("srp_get_listeners", "Shows the addresses.", targets::listeners),
        FabricMethod::new("srp_get_targets", "Shows the target ports.", targets::get),
        FabricMethod::new("srp_get_channels", "Shows the channels of initiators.", targets::channels),
        FabricMethod::new(
            "srp_get_stats",
            "Counts what happened to channels, on the devices that are listened on.",
            targets::stats,
        ),
    ]
}

fn srp_error(error: SrpError) -> RpcError {
    match error {
        SrpError::NoVolume => Errno::NoDevice.because(error),
        SrpError::Device(error) => device_error(error),
        SrpError::Registry(error) => {
            let errno = match error {
                RegistryError::Exists => Errno::Exists,
                RegistryError::Unknown => Errno::NoEntry,
                RegistryError::TooMany => Errno::NoMemory,
            };
            errno.because(error)
        }
    }
}

fn listen_error(error: SrpListenError) -> RpcError {
    Errno::AddressNotAvailable.because(error)
}
