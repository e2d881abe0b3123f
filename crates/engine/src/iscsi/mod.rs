//! iSCSI on a shard: target nodes served from volumes, and targets of others whose disks are volumes here.
//!
//! Who may log in where is the [`Registry`](scsi::iscsi::target::Registry)'s; this module opens and closes listeners as
//! portal groups come and go, gives each node its SCSI device with a port for each portal group, and tells both what
//! becomes of volumes.

mod disks;
mod iser;
mod kept;
mod nodes;
mod portals;

pub use disks::{IscsiAttachError, IscsiDisk, IscsiDisks, connect_options, portal_options};
pub use nodes::{IscsiError, Lun, NodeConfig};

use crate::fabric::Servers;
use scsi::iscsi::IscsiName;
use scsi::iscsi::target::iser::Transport;
use scsi::iscsi::target::{Limits, Server};
use scsi::target::Target;
use std::collections::BTreeSet;
use stdx::env::Env;
use stdx::mem::OutOfMemory;

/// The target side of a shard.
#[derive(Debug)]
pub struct Iscsi {
    pub(crate) server: Server,
    /// What carries connections over RDMA, on each device that is listened on.
    pub(crate) iser: Servers<Transport>,
    pub(crate) target: Target,
    luns: Vec<Lun>,
    kept: Vec<kept::Kept>,
    /// Portal groups whose addresses are listened on.
    started: BTreeSet<u16>,
}

impl Iscsi {
    pub(crate) fn new(env: &mut dyn Env, owner_base: u64, limits: Limits) -> Result<Self, OutOfMemory> {
        Ok(Self {
            server: Server::new(env, owner_base, limits)?,
            iser: Servers::new(),
            target: Target::new(),
            luns: Vec::new(),
            kept: Vec::new(),
            started: BTreeSet::new(),
        })
    }

    /// Listeners, connections, sessions, and the registry of who may log in where.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The same, to change what needs no volume and no listener: initiator groups, accounts, discovery.
    pub const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The logical units of a node, by number.
    pub fn luns<'a>(&'a self, node: &'a IscsiName) -> impl Iterator<Item = &'a Lun> {
        self.luns.iter().filter(move |lun| lun.node == *node)
    }

    /// True if a logical unit is served from the volume.
    pub fn is_exported(&self, volume: &str) -> bool {
        self.luns.iter().any(|lun| lun.volume == volume)
    }

    /// True if the addresses of a portal group are listened on.
    pub fn is_started(&self, portal_group: u16) -> bool {
        self.started.contains(&portal_group)
    }
}
