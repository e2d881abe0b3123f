//! The transports, NVMe/TCP and NVMe/RDMA, and what their connections may use: one set of options holds for both.

use nvme::target::{Options, Transport as Kind};

use super::address::{transport, transport_name};
use super::config_error;
use super::params::{CreateTransport, GetTransports};
use super::results::Transport;
use crate::error::{Errno, RpcError};
use crate::fabric::At;

/// Sets the options; what is not said stays as it is. The transports themselves are always there.
pub(super) fn create(at: At<'_>, params: CreateTransport) -> Result<bool, RpcError> {
    transport(&params.trtype)?;
    let admin_depth = params.max_aq_depth.map(u16::try_from).transpose();
    let present = at.shard.target().options();
    let options = Options {
        max_queue_depth: params.max_queue_depth.unwrap_or(present.max_queue_depth),
        max_aq_depth: admin_depth
            .map_err(|_| Errno::Invalid.because("max_aq_depth"))?
            .unwrap_or(present.max_aq_depth),
        max_io_qpairs_per_ctrlr: params.max_io_qpairs_per_ctrlr.unwrap_or(present.max_io_qpairs_per_ctrlr),
        in_capsule_data_size: params.in_capsule_data_size.unwrap_or(present.in_capsule_data_size),
        max_io_size: params.max_io_size.unwrap_or(present.max_io_size),
        c2h_success: params.c2h_success.unwrap_or(present.c2h_success),
        discovery_silence: present.discovery_silence,
    };
    at.shard.set_target_options(options).map_err(config_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, params: GetTransports) -> Result<Vec<Transport>, RpcError> {
    let only = params.trtype.as_deref().map(transport).transpose()?;
    let options = at.shard.target().options();
    let all = [Kind::Tcp, Kind::Rdma].into_iter().filter(|kind| only.is_none_or(|only| only == *kind));
    let show = |kind| Transport {
        trtype: transport_name(kind),
        max_queue_depth: options.max_queue_depth,
        max_io_qpairs_per_ctrlr: options.max_io_qpairs_per_ctrlr,
        in_capsule_data_size: options.in_capsule_data_size,
        max_io_size: options.max_io_size,
        max_aq_depth: options.max_aq_depth,
        c2h_success: (kind == Kind::Tcp).then_some(options.c2h_success),
    };
    Ok(all.map(show).collect())
}
