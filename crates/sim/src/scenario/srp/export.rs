//! Volumes of a shard as logical units of a target port.

use super::super::shard::Export;
use super::{PORT, address, port_of};
use crate::env::NodeEnv;
use engine::Shard;
use engine::srp::SrpPortConfig;
use scsi::srp::target::{Access, Phase};
use scsi::target::UnitConfig;

/// See the module.
pub(in super::super) struct SrpExport {
    access: Access,
}

impl SrpExport {
    /// For whom the target port lets in.
    pub(super) const fn new(access: Access) -> Self {
        Self { access }
    }
}

impl Export for SrpExport {
    fn begin(&self, env: &mut NodeEnv, shard: &mut Shard) {
        shard
            .add_srp_port(env, SrpPortConfig { id: PORT, access: self.access.clone() })
            .expect("a target port");
        shard.add_srp_listener(env, address()).expect("an address to listen on");
    }

    fn add(&self, shard: &mut Shard, volume: &str, number: u32) {
        let unit = UnitConfig { lun: Some(number as u16), ..UnitConfig::default() };
        shard.add_srp_lun(PORT, volume, unit).expect("a logical unit");
    }

    /// All channels of a client are of one nexus.
    fn associations_of(&self, shard: &Shard, client: u32) -> usize {
        let is_its = |nexus: &scsi::srp::target::NexusName| nexus.initiator == port_of(client);
        let mut open = shard.srp().channels().filter(|channel| channel.phase == Phase::Open);
        usize::from(open.any(|channel| is_its(&channel.nexus)))
    }
}
