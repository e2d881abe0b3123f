//! `iscsi_*` and `scsi_*`: target nodes and what belongs to them.
//!
//! Secrets are taken and never shown: not in results, not in saved configurations unless asked for by name.

mod auth;
mod groups;
mod histogram;
mod nodes;
mod options;
mod params;
mod query;
mod results;
mod save;

use std::sync::Arc;

use engine::iscsi::IscsiError;
use scsi::iscsi::IscsiName;
use scsi::iscsi::target::RegistryError;
use scsi::target::ConfigError;

use super::bdev::io_errno;
use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;

pub use options::Defaults;
pub(crate) use save::save;

/// The `iscsi_*` methods.
pub fn methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let mut all = option_methods(defaults);
    all.extend(group_methods());
    all.extend(node_methods(defaults));
    all
}

fn option_methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let (set, get) = (Arc::clone(defaults), Arc::clone(defaults));
    vec![
        FabricMethod::new(
            "iscsi_set_options",
            "Sets what holds for target nodes made from now on, and for discovery.",
            move |at, params| options::set(at, &set, params),
        ),
        FabricMethod::new("iscsi_get_options", "Shows what holds.", move |at, params| {
            options::get(at, &get, params)
        }),
        FabricMethod::new(
            "iscsi_set_discovery_auth",
            "Sets what discovery sessions must prove.",
            auth::set_discovery,
        ),
        FabricMethod::new("iscsi_create_auth_group", "Makes a group of CHAP accounts.", auth::create),
        FabricMethod::new(
            "iscsi_delete_auth_group",
            "Takes a group of CHAP accounts away; nobody can prove anything by it any more.",
            auth::delete,
        ),
        FabricMethod::new(
            "iscsi_get_auth_groups",
            "Shows the groups of CHAP accounts, without secrets.",
            auth::get,
        ),
        FabricMethod::new("iscsi_auth_group_add_secret", "Adds a CHAP account.", auth::add_secret),
        FabricMethod::new("iscsi_auth_group_remove_secret", "Forgets a CHAP account.", auth::remove_secret),
    ]
}

fn group_methods() -> Vec<FabricMethod> {
    vec![
        FabricMethod::new(
            "iscsi_create_initiator_group",
            "Makes a group of initiators.",
            groups::create_initiators,
        ),
        FabricMethod::new(
            "iscsi_delete_initiator_group",
            "Takes a group of initiators away that no node uses.",
            groups::delete_initiators,
        ),
        FabricMethod::new("iscsi_get_initiator_groups", "Shows the groups.", groups::get_initiators),
        FabricMethod::new(
            "iscsi_initiator_group_add_initiators",
            "Adds members to a group.",
            groups::add_initiators,
        ),
        FabricMethod::new(
            "iscsi_initiator_group_remove_initiators",
            "Takes members out of a group.",
            groups::remove_initiators,
        ),
        FabricMethod::new(
            "iscsi_create_portal_group",
            "Makes a portal group, and listens on its addresses.",
            groups::create_portals,
        ),
        FabricMethod::new(
            "iscsi_start_portal_group",
            "Listens on the addresses of a portal group that waits.",
            groups::start_portals,
        ),
        FabricMethod::new(
            "iscsi_delete_portal_group",
            "Takes a portal group away that no node uses.",
            groups::delete_portals,
        ),
        FabricMethod::new("iscsi_get_portal_groups", "Shows the portal groups.", groups::get_portals),
        FabricMethod::new(
            "iscsi_portal_group_set_auth",
            "Sets what discovery sessions through a portal group must prove.",
            auth::set_portal_group,
        ),
    ]
}

fn node_methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let defaults = Arc::clone(defaults);
    vec![
        FabricMethod::new("iscsi_create_target_node", "Makes a target node.", move |at, params| {
            nodes::create(at, &defaults, params)
        }),
        FabricMethod::new("iscsi_delete_target_node", "Takes a node away; its sessions end.", nodes::delete),
        FabricMethod::new("iscsi_get_target_nodes", "Shows the target nodes.", query::nodes),
        FabricMethod::later(
            "iscsi_target_node_add_lun",
            "Serves a volume as a logical unit; initiators are told.",
            nodes::add_lun,
        ),
        FabricMethod::new("iscsi_target_node_add_pg_ig_maps", "Adds ways to reach a node.", nodes::add_maps),
        FabricMethod::new(
            "iscsi_target_node_remove_pg_ig_maps",
            "Takes ways to reach a node away.",
            nodes::remove_maps,
        ),
        FabricMethod::new(
            "iscsi_target_node_set_auth",
            "Sets what initiators of a node must prove; sessions that are there stay.",
            nodes::set_auth,
        ),
        FabricMethod::new(
            "iscsi_target_node_set_redirect",
            "Sends logins to a node elsewhere, or no longer.",
            nodes::set_redirect,
        ),
        FabricMethod::new(
            "iscsi_target_node_request_logout",
            "Asks the initiators of a node to log out.",
            nodes::request_logout,
        ),
        FabricMethod::new(
            "iscsi_enable_histogram",
            "Counts how long the commands of a node take, or stops that.",
            histogram::enable,
        ),
        FabricMethod::new("iscsi_get_histogram", "Shows the latencies that were counted.", histogram::get),
        FabricMethod::new("iscsi_get_connections", "Shows the connections.", query::connections),
        FabricMethod::new("iscsi_get_stats", "Counts the connections.", query::stats),
        FabricMethod::new("scsi_get_devices", "Shows the SCSI devices: the target nodes.", query::devices),
    ]
}

fn parse_name(text: &str) -> Result<IscsiName, RpcError> {
    IscsiName::parse(text).map_err(|error| Errno::Invalid.because(error))
}

/// A number that SPDK has signed and the registry not.
fn tag<T: TryFrom<i32>>(tag: i32) -> Result<T, RpcError> {
    let positive = T::try_from(tag).ok().filter(|_| tag > 0);
    positive.ok_or_else(|| Errno::Invalid.because("a tag is 1 or more"))
}

fn registry_error(error: RegistryError) -> RpcError {
    let errno = match error {
        RegistryError::Exists => Errno::Exists,
        RegistryError::Unknown => Errno::NoEntry,
        RegistryError::InUse => Errno::Busy,
        RegistryError::TooMany => Errno::NoMemory,
        RegistryError::Tag => Errno::Invalid,
    };
    errno.because(error)
}

fn iscsi_error(error: IscsiError) -> RpcError {
    match error {
        IscsiError::NoVolume => Errno::NoDevice.because(error),
        IscsiError::Registry(error) => registry_error(error),
        IscsiError::Device(error) => device_error(error),
        IscsiError::Listen { .. } => Errno::AddressNotAvailable.because(error),
        IscsiError::File(why) => io_errno(why).because(error),
        IscsiError::FileInUse => Errno::Busy.because(error),
        IscsiError::FileContents => Errno::Invalid.because(error),
    }
}

pub(crate) fn device_error(error: ConfigError) -> RpcError {
    let errno = match error {
        ConfigError::UnknownDevice | ConfigError::UnknownPort | ConfigError::UnknownUnit => Errno::NoDevice,
        ConfigError::DeviceExists | ConfigError::PortTaken | ConfigError::LunTaken => Errno::Exists,
        ConfigError::Text => Errno::Invalid,
        ConfigError::TooMany => Errno::NoMemory,
    };
    errno.because(error)
}
