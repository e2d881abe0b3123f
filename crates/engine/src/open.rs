//! Volumes by URL, for the command line: made if they are local, attached if they are remote.

use crate::Shard;
use crate::hosts::AttachError;
use crate::iscsi::{self, IscsiAttachError};
use crate::srp::{self, SrpAttachError};
use crate::url::{SizedUrl, VolumeUrl};
use crate::volumes::{FileSpec, Spec, VolumeError};
use ::scsi::iscsi::NameError;
use block::BlockDevice;
use std::rc::Rc;
use stdx::env::Env;
use thiserror::Error;

/// Why a volume cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// It cannot be made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// It cannot be attached.
    #[error(transparent)]
    Iscsi(#[from] IscsiAttachError),
    /// It cannot be attached.
    #[error(transparent)]
    Srp(#[from] SrpAttachError),
    /// The name of an iSCSI target or initiator is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The URL names a portal, not a target's disk.
    #[error(
        "say which target: iscsi://HOST/IQN/LUN or iser://HOST/IQN/LUN (`weft discover iscsi://HOST` lists them)"
    )]
    NoTarget,
    /// The URL names a target, not a volume on it.
    #[error("say which subsystem: nvme+tcp://HOST:PORT/NQN (`weft discover HOST:PORT` lists them)")]
    NoSubsystem,
    /// The URL's host is a name, not an address.
    #[error("the host's name was not resolved")]
    Unresolved,
    /// The subsystem has no such namespace.
    #[error("the subsystem has no such namespace")]
    NoNamespace,
}

/// A volume that is being opened: ask [`Shard::opened`] after each turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    name: String,
    origin: Origin,
}

/// Where a volume comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Here,
    Controller { nsid: Option<u32> },
    IscsiDisk,
    SrpDisk,
}

impl Shard {
    /// Begins to open a volume under a name of its own.
    pub fn open(&mut self, env: &mut dyn Env, name: &str, url: &VolumeUrl) -> Result<Opening, OpenError> {
        let blocks = |size: u64, block_size: u32| size / u64::from(block_size);
        let spec = match url {
            &VolumeUrl::Mem(SizedUrl { size, block_size, physical_block_size }) => {
                Spec::Ram { blocks: blocks(size, block_size), block_size, physical_block_size }
            }
            &VolumeUrl::Null(SizedUrl { size, block_size, physical_block_size }) => {
                Spec::Null { blocks: blocks(size, block_size), block_size, physical_block_size }
            }
            VolumeUrl::File(file) => Spec::File(FileSpec {
                path: file.path.clone(),
                block_size: file.block_size,
                direct: file.direct,
                read_only: file.read_only,
                create: file.size,
            }),
            VolumeUrl::Nvme(nvme) => {
                self.hosts.attach_url(env, &mut self.devices, name, nvme)?;
                return Ok(Opening { name: name.into(), origin: Origin::Controller { nsid: nvme.nsid } });
            }
            VolumeUrl::Iscsi(url) => {
                let options = iscsi::connect_options(url)?;
                self.iscsi_disks.begin(env, &mut self.devices, name, url, options)?;
                return Ok(Opening { name: name.into(), origin: Origin::IscsiDisk });
            }
            VolumeUrl::Srp(url) => {
                let options = srp::connect_options(env, url)?;
                self.srp_disks.begin(env, &mut self.devices, name, url, options)?;
                return Ok(Opening { name: name.into(), origin: Origin::SrpDisk });
            }
        };
        self.add_volume(env, name, spec, None)?;
        Ok(Opening { name: name.into(), origin: Origin::Here })
    }

    /// The name of the volume, once it is there, or why it will not be; `None` until either is known.
    pub fn opened_name(&self, opening: &Opening) -> Option<Result<String, OpenError>> {
        match opening.origin {
            Origin::Here => Some(Ok(opening.name.clone())),
            Origin::Controller { nsid } => self.hosts.namespace(&opening.name, nsid),
            Origin::IscsiDisk => self.iscsi_disks.volume(&opening.name),
            Origin::SrpDisk => self.srp_disks.volume(&opening.name),
        }
    }

    /// The volume, once it is there, or why it will not be; `None` until either is known.
    pub fn opened(&self, opening: &Opening) -> Option<Result<Rc<dyn BlockDevice>, OpenError>> {
        let volume = self.opened_name(opening)?.and_then(|name| {
            let entry = self.volumes.get(&name).ok_or(OpenError::NoNamespace)?;
            Ok(Rc::<block::Volume>::clone(&entry.volume) as Rc<dyn BlockDevice>)
        });
        Some(volume)
    }
}
