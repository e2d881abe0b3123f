//! SRP on a shard: target ports served from volumes, and disks of other targets, reached over the shard's RDMA devices.
//!
//! Each target port is a SCSI device of its own. Who may log in to it is the [`Registry`]'s, of which the server on each device
//! has a copy; this module keeps the copies alike, opens and closes listeners, and tells the target what becomes of volumes.

mod disks;
mod portals;
mod ports;
mod servers;

pub use disks::{SrpAttachError, SrpDisk, SrpDisks, connect_options};
pub use portals::SrpListenError;
pub use ports::{SrpError, SrpLun, SrpPortConfig};

use crate::fabric::Servers;
use scsi::srp::target::{Registry, Server};
use scsi::target::{Lanes, Target};
use std::net::SocketAddr;

/// The port that Linux's documentation gives SRP over the RDMA connection manager; none is assigned.
pub const PORT: u16 = 5555;

/// The target side.
#[derive(Debug)]
pub struct Srp {
    pub(crate) servers: Servers<Server>,
    pub(crate) target: Target,
    pub(crate) lanes: Lanes,
    registry: Registry,
    luns: Vec<SrpLun>,
}

impl Srp {
    pub(crate) fn new() -> Self {
        Self {
            servers: Servers::new(),
            target: Target::new(),
            lanes: Lanes::default(),
            registry: Registry::default(),
            luns: Vec::new(),
        }
    }

    /// Target ports, and who may log in.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All logical units, by port and number.
    pub fn luns(&self) -> impl Iterator<Item = &SrpLun> {
        self.luns.iter()
    }

    /// True if a logical unit is served from the volume.
    pub fn is_exported(&self, volume: &str) -> bool {
        self.luns.iter().any(|lun| lun.volume == volume)
    }

    /// The addresses that initiators come in at.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().flat_map(|(_, server)| server.listening())
    }
}
