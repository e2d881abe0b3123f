//! How the target is doing: controllers, queues, counters.

use nvme::target::{ControllerInfo, Portal, QueueInfo, Transport};

use engine::Shard;

use super::address::transport_name;
use super::params::{ListenAddress, Nqn, TargetOnly};
use super::results::{Controller, PollGroup, Qpair, Stats, TransportStats};
use super::{config_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;
use crate::values::Uuid;

pub(super) fn controllers(at: At<'_>, params: Nqn) -> Result<Vec<Controller>, RpcError> {
    let nqn = parse_nqn(&params.nqn)?;
    let controllers = at.shard.target().controllers(&nqn).map_err(config_error)?;
    let show = |info: &ControllerInfo| Controller {
        cntlid: info.controller_id,
        cntrltype: if nqn.is_discovery() { "discovery" } else { "io" },
        hostnqn: info.host.as_str().to_owned(),
        hostid: Uuid(info.host_id),
        num_io_qpairs: info.io_queues,
    };
    Ok(controllers.iter().map(show).collect())
}

pub(super) fn qpairs(at: At<'_>, params: Nqn) -> Result<Vec<Qpair>, RpcError> {
    let queues = at.shard.target().queues(&parse_nqn(&params.nqn)?).map_err(config_error)?;
    let show = |info: &QueueInfo| Qpair {
        cntlid: info.controller_id,
        qid: info.queue_id,
        state: "enabled",
        entries: info.entries,
        outstanding: info.outstanding,
        hostnqn: info.host.as_str().to_owned(),
        listen_address: ListenAddress::of(Portal { address: info.arrival.local, ..info.arrival.portal }),
        peer_address: ListenAddress::of(Portal { address: info.arrival.peer, ..info.arrival.portal }),
    };
    Ok(queues.iter().map(show).collect())
}

pub(super) fn stats(at: At<'_>, _: TargetOnly) -> Result<Stats, RpcError> {
    let totals = at.shard.target().totals();
    let group = PollGroup {
        name: "shard_0",
        current_admin_qpairs: totals.admin_queues,
        current_io_qpairs: totals.queues - totals.admin_queues,
        current_controllers: totals.controllers,
        pending_bdev_io: totals.submitted - totals.answered,
        completed_nvme_io: totals.answered,
        transports: vec![streams(at.shard), devices(at.shard)],
    };
    Ok(Stats { tick_rate: crate::methods::bdev::TICKS_PER_SEC, poll_groups: vec![group] })
}

fn streams(shard: &Shard) -> TransportStats {
    let counters = shard.server().counters();
    TransportStats {
        trtype: transport_name(Transport::Tcp),
        accepted: counters.accepted,
        turned_away: counters.turned_away,
        connects_refused: counters.connects_refused,
        handshakes_timed_out: counters.handshakes_timed_out,
        terminated: counters.terminated,
        broken: counters.broken,
        data_digest_errors: Some(counters.data_digest_errors),
    }
}

fn devices(shard: &Shard) -> TransportStats {
    let counters = shard.nvmf_rdma_counters();
    TransportStats {
        trtype: transport_name(Transport::Rdma),
        accepted: counters.accepted,
        turned_away: counters.rejected,
        connects_refused: counters.connects_refused,
        handshakes_timed_out: counters.handshakes_timed_out,
        terminated: counters.terminated,
        broken: counters.broken,
        data_digest_errors: None,
    }
}
