//! Showing target nodes, and how they are doing.

use engine::Shard;
use scsi::iscsi::login::DigestPolicy;
use scsi::iscsi::target::{ChapPolicy, Node, Phase};

use super::params::{Lun, PgIgMap};
use super::results::{Connection, Device, Stats, TargetNode};
use crate::error::RpcError;
use crate::fabric::At;
use crate::method::NoParams;

pub(super) fn nodes(at: At<'_>, _: NoParams) -> Result<Vec<TargetNode>, RpcError> {
    let shard: &Shard = at.shard;
    Ok(shard.iscsi().server().registry().nodes().map(|node| show(shard, node)).collect())
}

pub(super) fn connections(at: At<'_>, _: NoParams) -> Result<Vec<Connection>, RpcError> {
    let server = at.shard.iscsi().server();
    let sessions: Vec<_> = server.sessions().collect();
    let target_of = |tsih: u16| {
        let session = sessions.iter().find(|session| session.tsih == tsih);
        session.and_then(|session| session.target.as_ref()).map_or_else(String::new, ToString::to_string)
    };
    let in_sessions = server.connections().filter_map(|connection| Some((connection.tsih?, connection)));
    let show = |(id, (tsih, connection)): (usize, (u16, scsi::iscsi::target::ConnectionInfo))| Connection {
        id,
        cid: connection.connection_id,
        tsih,
        lcore_id: 0,
        initiator_addr: connection.arrival.peer.ip().to_string(),
        target_addr: connection.arrival.local.ip().to_string(),
        target_node_name: target_of(tsih),
    };
    Ok(in_sessions.enumerate().map(show).collect())
}

pub(super) fn stats(at: At<'_>, _: NoParams) -> Result<Stats, RpcError> {
    let mut stats = Stats::default();
    for connection in at.shard.iscsi().server().connections() {
        match connection.phase {
            Phase::LoggingIn | Phase::FullFeature => stats.running += 1,
            Phase::Ending => stats.exiting += 1,
        }
    }
    Ok(stats)
}

pub(super) fn devices(at: At<'_>, _: NoParams) -> Result<Vec<Device>, RpcError> {
    let nodes = at.shard.iscsi().server().registry().nodes().enumerate();
    Ok(nodes.map(|(id, node)| Device { id, device_name: node.name.to_string() }).collect())
}

/// A node as it is shown, which is also how it is made.
pub(super) fn show(shard: &Shard, node: &Node) -> TargetNode {
    let authentication = &node.authentication;
    let luns = shard.iscsi().luns(&node.name);
    TargetNode {
        name: node.name.to_string(),
        alias_name: node.alias.clone(),
        pg_ig_maps: node
            .access
            .iter()
            .map(|access| PgIgMap {
                pg_tag: access.portal_group.into(),
                ig_tag: signed(access.initiator_group),
            })
            .collect(),
        luns: luns.map(lun).collect(),
        queue_depth: node.queue_depth,
        disable_chap: authentication.chap == ChapPolicy::Disabled,
        require_chap: authentication.chap == ChapPolicy::Required,
        mutual_chap: authentication.mutual,
        chap_group: authentication.group.unwrap_or(0),
        header_digest: node.limits.header_digest == DigestPolicy::Required,
        data_digest: node.limits.data_digest == DigestPolicy::Required,
    }
}

fn lun(lun: &engine::iscsi::Lun) -> Lun {
    let removable = lun.removable.then_some(true);
    Lun { bdev_name: lun.volume.clone(), lun_id: lun.number.into(), removable }
}

/// A tag as SPDK has it.
pub(super) fn signed(tag: u32) -> i32 {
    i32::try_from(tag).unwrap_or(i32::MAX)
}
