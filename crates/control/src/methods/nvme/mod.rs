//! `bdev_nvme_*`: controllers of other machines, whose namespaces are volumes here.

mod attach;
mod defaults;
mod params;
mod show;

use std::sync::Arc;

use engine::{AttachError, Shard};

use ::nvme::host::HostError;

use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;

pub use defaults::Defaults;

/// The `bdev_nvme_*` methods.
pub fn methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let (attach, set) = (Arc::clone(defaults), Arc::clone(defaults));
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
        FabricMethod::local(
            "bdev_nvme_set_options",
            "Sets what holds for controllers attached from now on.",
            move |params| set.set(params).map(|()| true),
        ),
    ]
}

/// The calls that attach the controllers again.
pub(crate) fn save(shard: &Shard, defaults: &Defaults) -> Vec<Call> {
    defaults.call().into_iter().chain(shard.hosts().iter().map(attach::call)).collect()
}

fn attach_error(error: AttachError) -> RpcError {
    let errno = match error {
        AttachError::Exists => Errno::Exists,
        AttachError::Unknown => Errno::NoDevice,
        AttachError::Full | AttachError::Host(HostError::OutOfMemory(_)) => Errno::NoMemory,
        AttachError::Nqn(_) | AttachError::Host(HostError::Options(_)) => Errno::Invalid,
        AttachError::Failed(_) => Errno::Io,
        AttachError::Detached => Errno::NoDevice,
    };
    errno.because(error)
}
