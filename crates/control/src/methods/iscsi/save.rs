//! The target side of iSCSI as the calls that make it again.

use engine::Shard;
use scsi::iscsi::login::Secret;
use scsi::iscsi::target::{AuthGroup, ChapPolicy, InitiatorGroup, Node, NodeAuthentication, PortalGroup};

use super::groups::{network_text, pattern_text, portals};
use super::histogram;
use super::options::Defaults;
use super::params::{
    AddLun, CreateAuthGroup, CreateInitiatorGroup, CreatePortalGroup, CreateTargetNode, Lun, SecretEntry,
    SetDiscoveryAuth, SetPortalGroupAuth, SetRedirect,
};
use super::query::{show, signed};
use crate::config::Call;
use crate::methods::rounds::Rounds;

/// The calls of a round, each after those that it builds on: all but what is served from later volumes in the first.
/// Without secrets, accounts are left out: whoever had to prove himself is kept out then.
pub(crate) fn save(shard: &Shard, defaults: &Defaults, round: usize, with_secrets: bool) -> Vec<Call> {
    let registry = shard.iscsi().server().registry();
    let added = registry.nodes().flat_map(|node| added_luns(shard, node, round));
    if round > 0 {
        return added.collect();
    }
    let mut calls: Vec<Call> = registry.auth_groups().map(|group| auth_group(group, with_secrets)).collect();
    calls.extend(defaults.call());
    calls.extend(discovery(registry.discovery()));
    calls.extend(registry.initiator_groups().map(initiator_group));
    calls.extend(registry.portal_groups().map(|group| portal_group(shard, group)));
    calls.extend(registry.portal_groups().filter_map(portal_group_auth));
    calls.extend(registry.nodes().map(|node| create(shard, node)));
    calls.extend(added);
    calls.extend(registry.nodes().flat_map(redirects));
    calls.extend(registry.nodes().filter_map(|node| histogram::save(shard, node)));
    calls
}

fn auth_group(group: &AuthGroup, with_secrets: bool) -> Call {
    let reveal = |secret: &Secret| String::from_utf8_lossy(secret.reveal()).into_owned();
    let accounts = group.accounts.accounts.iter().map(|account| SecretEntry {
        user: account.name.clone(),
        secret: reveal(&account.secret),
        muser: account.mutual.as_ref().map(|(name, _)| name.clone()),
        msecret: account.mutual.as_ref().map(|(_, secret)| reveal(secret)),
    });
    let secrets = with_secrets.then(|| accounts.collect());
    Call::new("iscsi_create_auth_group", CreateAuthGroup { tag: signed(group.tag), secrets })
}

fn discovery(authentication: &NodeAuthentication) -> Option<Call> {
    if *authentication == NodeAuthentication::default() {
        return None;
    }
    let params = SetDiscoveryAuth {
        disable_chap: Some(authentication.chap == ChapPolicy::Disabled),
        require_chap: Some(authentication.chap == ChapPolicy::Required),
        mutual_chap: Some(authentication.mutual),
        chap_group: Some(signed(authentication.group.unwrap_or(0))),
    };
    Some(Call::new("iscsi_set_discovery_auth", params))
}

fn initiator_group(group: &InitiatorGroup) -> Call {
    let params = CreateInitiatorGroup {
        tag: signed(group.tag),
        initiators: group.initiators.iter().map(pattern_text).collect(),
        netmasks: group.networks.iter().map(network_text).collect(),
    };
    Call::new("iscsi_create_initiator_group", params)
}

fn portal_group(shard: &Shard, group: &PortalGroup) -> Call {
    let params = CreatePortalGroup {
        tag: group.tag.into(),
        portals: portals(group),
        private: Some(group.private),
        wait: (!shard.iscsi().is_started(group.tag)).then_some(true),
    };
    Call::new("iscsi_create_portal_group", params)
}

fn portal_group_auth(group: &PortalGroup) -> Option<Call> {
    let authentication = group.discovery?;
    let params = SetPortalGroupAuth {
        tag: group.tag.into(),
        disable_chap: Some(authentication.chap == ChapPolicy::Disabled),
        require_chap: Some(authentication.chap == ChapPolicy::Required),
        mutual_chap: Some(authentication.mutual),
        chap_group: Some(signed(authentication.group.unwrap_or(0))),
    };
    Some(Call::new("iscsi_portal_group_set_auth", params))
}

fn create(shard: &Shard, node: &Node) -> Call {
    let shown = show(shard, node);
    let params = CreateTargetNode {
        name: shown.name,
        alias_name: shown.alias_name,
        pg_ig_maps: shown.pg_ig_maps,
        luns: luns(shard, node, 0).into_iter().filter(|lun| file_of(shard, node, lun).is_none()).collect(),
        queue_depth: signed(shown.queue_depth),
        disable_chap: Some(shown.disable_chap),
        require_chap: Some(shown.require_chap),
        mutual_chap: Some(shown.mutual_chap),
        chap_group: Some(signed(shown.chap_group)),
        header_digest: Some(shown.header_digest),
        data_digest: Some(shown.data_digest),
    };
    Call::new("iscsi_create_target_node", params)
}

/// The logical units that cannot be made with their node: later ones, and those with a file of reservations.
fn added_luns(shard: &Shard, node: &Node, round: usize) -> Vec<Call> {
    let add = |lun: Lun| {
        let ptpl_file = file_of(shard, node, &lun);
        let (name, lun_id) = (node.name.to_string(), Some(lun.lun_id));
        let Lun { bdev_name, removable, .. } = lun;
        Call::new("iscsi_target_node_add_lun", AddLun { name, bdev_name, lun_id, ptpl_file, removable })
    };
    let mut luns = luns(shard, node, round);
    luns.retain(|lun| round > 0 || file_of(shard, node, lun).is_some());
    luns.into_iter().map(add).collect()
}

fn file_of(shard: &Shard, node: &Node, lun: &Lun) -> Option<String> {
    let number = u16::try_from(lun.lun_id).ok()?;
    shard.iscsi().reservation_file(&node.name, number).map(|path| path.to_string_lossy().into_owned())
}

/// The logical units whose volumes are there in this round.
fn luns(shard: &Shard, node: &Node, round: usize) -> Vec<Lun> {
    let rounds = Rounds::new(shard);
    let mut luns = show(shard, node).luns;
    luns.retain(|lun| {
        shard.volumes().get(&lun.bdev_name).is_some_and(|entry| rounds.of_volume(entry) == round)
    });
    luns
}

fn redirects(node: &Node) -> Vec<Call> {
    let redirect = |(group, address): (&u16, &std::net::SocketAddr)| {
        let params = SetRedirect {
            name: node.name.to_string(),
            pg_tag: (*group).into(),
            redirect_host: Some(address.ip().to_string()),
            redirect_port: Some(address.port().to_string()),
        };
        Call::new("iscsi_target_node_set_redirect", params)
    };
    node.redirects.iter().map(redirect).collect()
}
