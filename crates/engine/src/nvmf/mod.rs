//! Where volumes meet subsystems: namespaces served from volumes, listeners opened and closed as subsystems need them.

mod kept;
mod portals;
mod servers;

use crate::Shard;
use crate::volumes::Change;
use block::BlockDevice;
use kept::Kept;
use nvme::target::{ConfigError, NamespaceConfig};
pub use portals::ListenError;
pub(crate) use servers::STREAMS;
use std::net::SocketAddr;
use stdx::env::{Env, IoError};
use thiserror::Error;
use wire::nvme::Nqn;

/// Which namespaces are served from which volumes.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    served: Vec<Export>,
    /// Those whose reservations are kept in files, and those that wait to be served for theirs.
    kept: Vec<Kept>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Export {
    volume: String,
    subsystem: Nqn,
    nsid: u32,
}

/// Why a namespace or listener could not be added or taken away.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NamespaceError {
    /// No volume has that name.
    #[error("no volume has that name")]
    NoVolume,
    /// The target refuses.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file for reservations cannot be used.
    #[error("the file for reservations: {0}")]
    File(IoError),
    /// The file keeps those of another namespace or logical unit.
    #[error("the file keeps other reservations already")]
    FileInUse,
    /// The file holds something else.
    #[error("the file holds something else than reservations")]
    FileContents,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        why: ListenError,
    },
}

impl Shard {
    /// Serves a volume as a namespace; says which identifier it got. Without a UUID the volume's identity is shown.
    pub fn add_namespace(
        &mut self,
        subsystem: &Nqn,
        volume: &str,
        mut config: NamespaceConfig,
    ) -> Result<u32, NamespaceError> {
        let entry = self.volumes.get(volume).ok_or(NamespaceError::NoVolume)?;
        if config.uuid == [0; 16] {
            config.uuid = entry.volume.identity().0;
        }
        let nsid = self.target.add_namespace(subsystem, config, entry.volume.clone(), entry.volume.open())?;
        self.exports.served.push(Export { volume: volume.into(), subsystem: *subsystem, nsid });
        Ok(nsid)
    }

    /// Stops serving a namespace. Its volume stays.
    pub fn remove_namespace(&mut self, subsystem: &Nqn, nsid: u32) -> Result<(), NamespaceError> {
        self.target.remove_namespace(subsystem, nsid)?;
        self.exports.served.retain(|export| export.subsystem != *subsystem || export.nsid != nsid);
        Ok(())
    }

    /// Takes a subsystem away, with its namespaces and the listeners that no other uses.
    pub fn delete_subsystem(&mut self, env: &mut dyn Env, subsystem: &Nqn) -> Result<(), NamespaceError> {
        self.target.delete_subsystem(subsystem)?;
        self.exports.served.retain(|export| export.subsystem != *subsystem);
        self.close_unused_listeners(env);
        Ok(())
    }

    /// The volume a namespace is served from.
    pub fn exported(&self, subsystem: &Nqn, nsid: u32) -> Option<&str> {
        let export =
            self.exports.served.iter().find(|export| export.subsystem == *subsystem && export.nsid == nsid);
        export.map(|export| export.volume.as_str())
    }

    /// True if a namespace is served from the volume.
    pub fn is_exported(&self, volume: &str) -> bool {
        self.exports.served.iter().any(|export| export.volume == volume)
    }

    /// Tells the target what happened to volumes, and whoever listens for it.
    pub(crate) fn apply_changes(&mut self, env: &mut dyn Env) {
        for change in self.volumes.take_changes() {
            self.observers.iter_mut().for_each(|observer| observer(&change));
            let (volume, gone) = match &change {
                Change::Added(_) => continue,
                Change::Removed(volume) => (volume, true),
                Change::Resized(volume) => (volume, false),
            };
            self.iscsi.volume_changed(env, volume, gone);
            self.srp.volume_changed(env, volume, gone);
            let served: Vec<_> =
                self.exports.served.iter().filter(|export| export.volume == *volume).cloned().collect();
            // A namespace that was removed meanwhile needs to be told nothing.
            for Export { subsystem, nsid, .. } in served {
                if gone {
                    let _ = self.remove_namespace(&subsystem, nsid);
                } else {
                    let _ = self.target.namespace_changed(&subsystem, nsid);
                }
            }
        }
    }
}
