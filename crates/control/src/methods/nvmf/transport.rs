//! The transport: NVMe/TCP, and what its connections may use.

use nvme::target::Options;

use super::params::{CreateTransport, GetTransports};
use super::results::Transport;
use super::{config_error, is_tcp};
use crate::error::{Errno, RpcError};
use crate::fabric::At;

/// Sets the options. The transport itself is always there.
pub(super) fn create(at: At<'_>, params: CreateTransport) -> Result<bool, RpcError> {
    is_tcp(&params.trtype)?;
    let admin_depth = params.max_aq_depth.map(u16::try_from).transpose();
    let defaults = Options::default();
    let options = Options {
        max_queue_depth: params.max_queue_depth.unwrap_or(defaults.max_queue_depth),
        max_aq_depth: admin_depth
            .map_err(|_| Errno::Invalid.because("max_aq_depth"))?
            .unwrap_or(defaults.max_aq_depth),
        max_io_qpairs_per_ctrlr: params.max_io_qpairs_per_ctrlr.unwrap_or(defaults.max_io_qpairs_per_ctrlr),
        in_capsule_data_size: params.in_capsule_data_size.unwrap_or(defaults.in_capsule_data_size),
        max_io_size: params.max_io_size.unwrap_or(defaults.max_io_size),
        c2h_success: params.c2h_success.unwrap_or(defaults.c2h_success),
        discovery_silence: defaults.discovery_silence,
    };
    at.shard.target_mut().set_options(options).map_err(config_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, params: GetTransports) -> Result<Vec<Transport>, RpcError> {
    params.trtype.as_deref().map_or(Ok(()), is_tcp)?;
    let options = at.shard.target().options();
    Ok(vec![Transport {
        trtype: "TCP",
        max_queue_depth: options.max_queue_depth,
        max_io_qpairs_per_ctrlr: options.max_io_qpairs_per_ctrlr,
        in_capsule_data_size: options.in_capsule_data_size,
        max_io_size: options.max_io_size,
        max_aq_depth: options.max_aq_depth,
        c2h_success: options.c2h_success,
    }])
}
