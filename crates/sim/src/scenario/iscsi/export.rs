//! Volumes of a shard as logical units of a target node, over streams and by RDMA.

use super::serving::{TAG, authenticate};
use super::{Terms, initiator, node_name};
use crate::env::NodeEnv;
use crate::scenario::shard::Export;
use engine::Shard;
use engine::iscsi::NodeConfig;
use scsi::iscsi::initiator::Transport;
use scsi::iscsi::target::{Access, AddressPattern, InitiatorGroup, InitiatorPattern, PortalGroup};
use scsi::target::UnitConfig;

/// See the module.
pub(in super::super) struct IscsiExport {
    terms: Terms,
    clients: u32,
    by_rdma: bool,
}

impl IscsiExport {
    /// For so many clients, by the transport of the terms.
    pub(in super::super) fn new(terms: &Terms, clients: u32) -> Self {
        Self { terms: terms.clone(), clients, by_rdma: terms.options.transport == Transport::Rdma }
    }

    /// By RDMA besides.
    pub(in super::super) fn by_both(self) -> Self {
        Self { by_rdma: true, ..self }
    }
}

impl Export for IscsiExport {
    fn begin(&self, env: &mut NodeEnv, shard: &mut Shard) {
        let portals = vec![self.terms.options.address];
        let rdma = if self.by_rdma { portals.clone() } else { Vec::new() };
        let group = PortalGroup { rdma, ..PortalGroup::new(TAG, portals) };
        shard.add_portal_group(env, group, true).expect("an address to listen on");
        let registry = shard.iscsi_mut().server_mut().registry_mut();
        let (initiators, networks) = (vec![InitiatorPattern::Any], vec![AddressPattern::Any]);
        registry.add_initiator_group(InitiatorGroup { tag: 1, initiators, networks }).expect("a group");
        let authentication = authenticate(registry, &self.terms, self.clients);
        let config = NodeConfig {
            name: node_name(),
            alias: String::new(),
            access: vec![Access { portal_group: TAG, initiator_group: 1 }],
            authentication,
            queue_depth: self.terms.queue_depth,
            limits: self.terms.limits.clone(),
        };
        shard.iscsi_mut().add_node(env, config).expect("a node");
    }

    fn add(&self, shard: &mut Shard, volume: &str, number: u32) {
        let unit = UnitConfig { lun: Some(number as u16), ..UnitConfig::default() };
        shard.add_lun(&node_name(), volume, unit).expect("a logical unit");
    }

    fn associations_of(&self, shard: &Shard, client: u32) -> usize {
        let name = initiator(client);
        shard.iscsi().server().sessions().filter(|session| session.initiator == name).count()
    }
}
