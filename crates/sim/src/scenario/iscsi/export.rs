//! A volume of another protocol's machine, served over iSCSI besides.

use super::serving::{TAG, authenticate};
use super::{Terms, initiator, node_name};
use crate::env::NodeEnv;
use engine::Shard;
use engine::iscsi::NodeConfig;
use scsi::iscsi::target::{Access, AddressPattern, InitiatorGroup, InitiatorPattern, PortalGroup};
use scsi::target::UnitConfig;

/// Serves a volume of a shard as the logical unit of that number.
pub(in super::super) fn export(
    env: &mut NodeEnv,
    shard: &mut Shard,
    terms: &Terms,
    clients: u32,
    (volume, number): (&str, u16),
) {
    let group = PortalGroup::new(TAG, vec![terms.options.address]);
    shard.add_portal_group(env, group, true).expect("an address to listen on");
    let registry = shard.iscsi_mut().server_mut().registry_mut();
    let (initiators, networks) = (vec![InitiatorPattern::Any], vec![AddressPattern::Any]);
    registry.add_initiator_group(InitiatorGroup { tag: 1, initiators, networks }).expect("a group");
    let authentication = authenticate(registry, terms, clients);
    let config = NodeConfig {
        name: node_name(),
        alias: String::new(),
        access: vec![Access { portal_group: TAG, initiator_group: 1 }],
        authentication,
        queue_depth: terms.queue_depth,
        limits: terms.limits.clone(),
    };
    shard.iscsi_mut().add_node(env, config).expect("a node");
    let unit = UnitConfig { lun: Some(number), ..UnitConfig::default() };
    shard.add_lun(&node_name(), volume, unit).expect("a logical unit");
}

/// The sessions that a client has there.
pub(in super::super) fn sessions_of(shard: &Shard, client: u32) -> usize {
    let name = initiator(client);
    shard.iscsi().server().sessions().filter(|session| session.initiator == name).count()
}
