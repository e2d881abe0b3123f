//! `bdev_nvme_*`: controllers of other machines, whose namespaces are volumes here.

mod attach;
mod defaults;
mod discovery;
mod params;
mod show;

use std::sync::Arc;

use engine::{AttachError, Shard};

use ::nvme::host::HostError;

use super::rounds::Rounds;
use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;

pub use defaults::Defaults;

/// The `bdev_nvme_*` methods.
pub fn methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let (attach, discover, set) = (Arc::clone(defaults), Arc::clone(defaults), Arc::clone(defaults));
    vec![
        FabricMethod::composed(
            "bdev_nvme_attach_controller",
            "Connects to a controller; its namespaces become volumes.",
            move |dispatcher, params| attach::attach(dispatcher, Arc::clone(&attach), params),
        ),
        FabricMethod::new(
            "bdev_nvme_detach_controller",
            "Lets a controller go, and its volumes with it.",
            attach::detach,
        ),
        FabricMethod::new("bdev_nvme_get_controllers", "Shows the controllers.", show::get_controllers),
        FabricMethod::composed(
            "bdev_nvme_start_discovery",
            "Watches a discovery service, and attaches the controllers it leads to.",
            move |dispatcher, params| discovery::start(dispatcher, Arc::clone(&discover), params),
        ),
        FabricMethod::new(
            "bdev_nvme_stop_discovery",
            "Ends the watch, and lets go of the controllers that the service led to.",
            discovery::stop,
        ),
        FabricMethod::new(
            "bdev_nvme_get_discovery_info",
            "Shows the discovery services that are watched.",
            discovery::get_info,
        ),
        FabricMethod::local(
            "bdev_nvme_set_options",
            "Sets what holds for controllers attached from now on.",
            move |params| set.set(params).map(|()| true),
        ),
    ]
}

/// The calls that attach the controllers again that can be attached in this round.
pub(crate) fn save(shard: &Shard, defaults: &Defaults, round: usize) -> Vec<Call> {
    let rounds = Rounds::new(shard);
    let defaults = defaults.call().filter(|_| round == 0);
    // What a discovery service led to comes with that.
    let by_hand = shard.hosts().iter().filter(|attached| attached.discovery().is_none());
    let by_hand = by_hand.filter(|attached| rounds.of_controller(attached) == round);
    let watched = shard.discoveries().iter().filter(|watched| rounds.of_discovery(watched) == round);
    defaults.into_iter().chain(by_hand.map(attach::call)).chain(watched.map(discovery::call)).collect()
}

fn attach_error(error: AttachError) -> RpcError {
    let errno = match error {
        AttachError::Exists => Errno::Exists,
        AttachError::Unknown => Errno::NoDevice,
        AttachError::Full | AttachError::Host(HostError::OutOfMemory(_)) => Errno::NoMemory,
        AttachError::Nqn(_) | AttachError::Host(HostError::Options(_)) => Errno::Invalid,
        AttachError::NoLocalAddress => Errno::Invalid,
        AttachError::Failed(_) | AttachError::Device(_) => Errno::Io,
        AttachError::Detached => Errno::NoDevice,
    };
    errno.because(error)
}
