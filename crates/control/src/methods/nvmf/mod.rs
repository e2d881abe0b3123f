//! `nvmf_*`: the target: transports, subsystems and what belongs to them, and how it is all doing.

mod access;
mod address;
mod discovery;
mod listener;
mod namespace;
mod params;
mod query;
mod results;
mod save;
mod subsystem;
mod target;
mod transport;

use engine::NamespaceError;
use nvme::target::ConfigError;
use wire::nvme::Nqn;

use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;
use crate::methods::bdev::io_errno;

pub(crate) use address::{family_of, socket_address, transport, transport_name};
pub(crate) use save::save;

/// The `nvmf_*` methods.
pub fn methods() -> Vec<FabricMethod> {
    let mut all = subsystem_methods();
    all.extend([
        FabricMethod::new(
            "nvmf_set_max_subsystems",
            "Limits how many subsystems there may be.",
            target::set_max,
        ),
        FabricMethod::new("nvmf_set_config", "Takes what the target does anyway.", target::set_config),
        FabricMethod::new("nvmf_create_transport", "Sets what connections may use.", transport::create),
        FabricMethod::new("nvmf_get_transports", "Shows the transports and their limits.", transport::get),
        FabricMethod::new("nvmf_get_stats", "Shows the target's counters.", query::stats),
        FabricMethod::new(
            "nvmf_discovery_add_referral",
            "Points hosts to another discovery service.",
            discovery::add,
        ),
        FabricMethod::new(
            "nvmf_discovery_remove_referral",
            "No longer points hosts there.",
            discovery::remove,
        ),
        FabricMethod::new("nvmf_discovery_get_referrals", "Shows the services pointed to.", discovery::get),
    ]);
    all
}

fn subsystem_methods() -> Vec<FabricMethod> {
    vec![
        FabricMethod::new("nvmf_create_subsystem", "Makes a subsystem.", subsystem::create),
        FabricMethod::new(
            "nvmf_delete_subsystem",
            "Takes a subsystem away; its hosts are cut off.",
            subsystem::delete,
        ),
        FabricMethod::new(
            "nvmf_get_subsystems",
            "Shows subsystems and what belongs to them.",
            subsystem::get,
        ),
        FabricMethod::later(
            "nvmf_subsystem_add_ns",
            "Serves a volume as a namespace; hosts are told.",
            namespace::add,
        ),
        FabricMethod::new(
            "nvmf_subsystem_remove_ns",
            "Takes a namespace away; hosts are told.",
            namespace::remove,
        ),
        FabricMethod::new("nvmf_subsystem_add_listener", "Listens for hosts of a subsystem.", listener::add),
        FabricMethod::new("nvmf_subsystem_remove_listener", "Stops listening there.", listener::remove),
        FabricMethod::new(
            "nvmf_subsystem_get_listeners",
            "Shows where a subsystem is reached.",
            listener::get,
        ),
        FabricMethod::new(
            "nvmf_subsystem_listener_set_ana_state",
            "Says how well a subsystem is reached through a listener; hosts are told.",
            listener::set_ana_state,
        ),
        FabricMethod::new("nvmf_subsystem_add_host", "Lets a host connect.", access::add_host),
        FabricMethod::new(
            "nvmf_subsystem_remove_host",
            "No longer lets a host connect.",
            access::remove_host,
        ),
        FabricMethod::new(
            "nvmf_subsystem_allow_any_host",
            "Lets every host connect, or only those added.",
            access::allow_any_host,
        ),
        FabricMethod::new("nvmf_subsystem_get_controllers", "Shows the controllers.", query::controllers),
        FabricMethod::new("nvmf_subsystem_get_qpairs", "Shows the queues.", query::qpairs),
    ]
}

/// A subsystem's name, or SPDK's short word for that of every discovery service.
pub(crate) fn parse_nqn(text: &str) -> Result<Nqn, RpcError> {
    if text == "discovery" {
        return Ok(Nqn::discovery());
    }
    Nqn::parse(text).map_err(|error| Errno::Invalid.because(error))
}

/// What the target refuses, as an errno.
fn config_error(error: ConfigError) -> RpcError {
    let errno = match error {
        ConfigError::UnknownSubsystem | ConfigError::UnknownNamespace | ConfigError::UnknownListener => {
            Errno::NoDevice
        }
        ConfigError::UnknownHost | ConfigError::UnknownReferral => Errno::NoEntry,
        ConfigError::SubsystemExists | ConfigError::NamespaceTaken | ConfigError::IdentifierTaken => {
            Errno::Exists
        }
        ConfigError::ListenerExists | ConfigError::HostExists | ConfigError::ReferralExists => Errno::Exists,
        ConfigError::Discovery | ConfigError::NoAna => Errno::NotSupported,
        ConfigError::Text | ConfigError::ControllerIds | ConfigError::MaxNamespaces => Errno::Invalid,
        ConfigError::NamespaceId | ConfigError::AnaGroup => Errno::Invalid,
        ConfigError::Options => Errno::Invalid,
        ConfigError::Connected => Errno::Busy,
        ConfigError::TooMany => Errno::NoMemory,
    };
    errno.because(error)
}

/// What the shard refuses, as an errno.
fn namespace_error(error: NamespaceError) -> RpcError {
    match error {
        NamespaceError::NoVolume => Errno::NoDevice.because(error),
        NamespaceError::Config(error) => config_error(error),
        NamespaceError::File(why) => io_errno(why).because(error),
        NamespaceError::FileInUse => Errno::Busy.because(error),
        NamespaceError::FileContents => Errno::Invalid.because(error),
        NamespaceError::Listen { .. } => Errno::AddressNotAvailable.because(error),
    }
}
