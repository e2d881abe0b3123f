//! How long the commands of a target node take, counted.

use block::volume::Histogram;
use engine::Shard;
use scsi::iscsi::target::Node;

use super::params::{EnableHistogram, Name};
use super::{iscsi_error, parse_name};
use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::methods::bdev::{HISTOGRAM_DEFAULT, HistogramCounts, histogram_counts};

pub(super) fn enable(at: At<'_>, params: EnableHistogram) -> Result<bool, RpcError> {
    let histogram = if params.enable { Histogram::new(HISTOGRAM_DEFAULT) } else { None };
    at.shard.iscsi_mut().set_histogram(&parse_name(&params.name)?, histogram).map_err(iscsi_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, params: Name) -> Result<HistogramCounts, RpcError> {
    let histogram = at.shard.iscsi().histogram(&parse_name(&params.name)?).map_err(iscsi_error)?;
    let why = "the latencies of this target node are not counted";
    histogram.map(histogram_counts).ok_or_else(|| Errno::Invalid.because(why))
}

/// The call that has a node's latencies counted again.
pub(super) fn save(shard: &Shard, node: &Node) -> Option<Call> {
    shard.iscsi().histogram(&node.name).ok().flatten()?;
    let params = EnableHistogram { name: node.name.to_string(), enable: true };
    Some(Call::new("iscsi_enable_histogram", params))
}
