//! The counters of volumes.

use block::volume::Stats;
use engine::volumes::Entry;

use super::entry;
use super::params::{GetIostat, ResetIostat, ResetMode};
use super::results::{BdevIostat, Iostat};
use crate::error::RpcError;
use crate::fabric::At;

pub(super) fn get(at: At<'_>, params: GetIostat) -> Result<Iostat, RpcError> {
    let volumes = at.shard.volumes();
    let entries: Vec<&Entry> = match &params.names {
        None => volumes.iter().collect(),
        Some(names) => names.iter().map(|name| entry(at.shard, name)).collect::<Result<_, _>>()?,
    };
    let bdevs = entries.iter().map(|entry| counters(entry)).collect();
    if params.reset_mode == ResetMode::All {
        entries.iter().for_each(|entry| entry.volume.reset_stats());
    }
    Ok(Iostat { tick_rate: TICKS_PER_SEC, ticks: at.env.now().as_nanos(), bdevs })
}

pub(super) fn reset(at: At<'_>, params: ResetIostat) -> Result<bool, RpcError> {
    if params.mode == Some(ResetMode::None) {
        return Ok(true);
    }
    match &params.name {
        Some(name) => entry(at.shard, name)?.volume.reset_stats(),
        None => at.shard.volumes().iter().for_each(|entry| entry.volume.reset_stats()),
    }
    Ok(true)
}

fn counters(entry: &Entry) -> BdevIostat {
    let Stats { reads, writes, unmaps, copies, flushes, errors } = entry.volume.stats();
    BdevIostat {
        name: entry.name.clone(),
        bytes_read: reads.bytes,
        num_read_ops: reads.requests,
        bytes_written: writes.bytes,
        num_write_ops: writes.requests,
        bytes_unmapped: unmaps.bytes,
        num_unmap_ops: unmaps.requests,
        bytes_copied: copies.bytes,
        num_copy_ops: copies.requests,
        num_flush_ops: flushes.requests,
        read_latency_ticks: reads.latency_ns,
        max_read_latency_ticks: reads.latency_ns_max,
        write_latency_ticks: writes.latency_ns,
        max_write_latency_ticks: writes.latency_ns_max,
        unmap_latency_ticks: unmaps.latency_ns,
        max_unmap_latency_ticks: unmaps.latency_ns_max,
        copy_latency_ticks: copies.latency_ns,
        max_copy_latency_ticks: copies.latency_ns_max,
        num_io_errors: errors,
        queue_depth: entry.volume.under_way() as u64,
    }
}

/// A tick is a nanosecond.
pub(crate) const TICKS_PER_SEC: u64 = 1_000_000_000;
