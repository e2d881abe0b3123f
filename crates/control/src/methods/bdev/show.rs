//! Showing volumes.

use std::time::{Duration, Instant};

use block::BlockDevice;
use engine::{KeySource, Shard, Spec, volumes::Entry};
use serde_json::{Map, Value, json};

use super::entry;
use super::params::GetBdevs;
use super::results::{Bdev, IoTypes, RateLimits};
use crate::dispatch::Dispatcher;
use crate::error::RpcError;
use crate::fabric::Fabric;
use crate::values::Uuid;

/// Shows one volume, waiting for it if asked to, or all, by name.
pub(super) async fn get_bdevs(
    dispatcher: Dispatcher<Fabric>,
    params: GetBdevs,
) -> Result<Vec<Bdev>, RpcError> {
    let deadline = Instant::now() + Duration::from_millis(params.timeout.min(WAIT_MS_MAX));
    loop {
        let name = params.name.clone();
        let shown = dispatcher.run(|at| bdevs(at.shard, name)).await;
        if shown.is_ok() || Instant::now() >= deadline {
            return shown;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn bdevs(shard: &Shard, name: Option<String>) -> Result<Vec<Bdev>, RpcError> {
    match name {
        Some(name) => Ok(vec![bdev(shard, entry(shard, &name)?)]),
        None => Ok(shard.volumes().iter().map(|entry| bdev(shard, entry)).collect()),
    }
}

/// The limits in force; 0 where there is none.
pub(super) fn rate_limits(entry: &Entry) -> RateLimits {
    let limits = entry.volume.qos();
    RateLimits {
        rw_ios_per_sec: limits.rw_ios_per_sec.unwrap_or(0),
        rw_mbytes_per_sec: limits.rw_mbytes_per_sec.unwrap_or(0),
        r_mbytes_per_sec: limits.r_mbytes_per_sec.unwrap_or(0),
        w_mbytes_per_sec: limits.w_mbytes_per_sec.unwrap_or(0),
    }
}

fn bdev(shard: &Shard, entry: &Entry) -> Bdev {
    let info = entry.volume.info();
    let uuid = Uuid(entry.volume.identity().0);
    let claim_type = claim(shard, &entry.name);
    Bdev {
        name: entry.name.clone(),
        aliases: vec![uuid.to_string()],
        product_name: entry.spec.product_name().to_owned(),
        block_size: info.block_size,
        physical_block_size: info.physical_block_size,
        num_blocks: info.blocks,
        uuid,
        assigned_rate_limits: rate_limits(entry),
        claimed: claim_type.is_some(),
        claim_type,
        zoned: false,
        supported_io_types: IoTypes {
            read: true,
            write: !info.read_only,
            unmap: info.thin && !info.read_only,
            flush: true,
            reset: true,
            nvme_admin: false,
            nvme_io: false,
            write_zeroes: !info.read_only,
            compare: true,
            compare_and_write: !info.read_only,
            abort: false,
            copy: !info.read_only,
        },
        driver_specific: driver_specific(shard, entry),
    }
}

/// Who stands on the volume: a namespace, or another volume.
fn claim(shard: &Shard, name: &str) -> Option<&'static str> {
    let is_base = || shard.volumes().iter().any(|entry| entry.spec.base() == Some(name));
    (is_base() || shard.is_exported(name) || shard.iscsi().is_exported(name) || shard.srp().is_exported(name))
        .then_some("exclusive_write")
}

/// What only one kind of volume has, under SPDK's name for the kind.
fn driver_specific(shard: &Shard, entry: &Entry) -> Map<String, Value> {
    let value = match &entry.spec {
        Spec::Ram { .. } | Spec::Null { .. } => Value::Null,
        Spec::File(file) => json!({ "aio": {
            "filename": file.path.to_string_lossy(),
            "block_size_override": file.block_size.is_some(),
            "readonly": file.read_only,
            "direct": file.direct,
        }}),
        Spec::Delay { base, read_us, write_us } => json!({ "delay": {
            "base_bdev_name": base,
            "avg_read_latency": read_us.0,
            "p99_read_latency": read_us.1,
            "avg_write_latency": write_us.0,
            "p99_write_latency": write_us.1,
        }}),
        Spec::Error { base } => json!({ "error": { "base_bdev_name": base } }),
        Spec::Partition { base, offset_blocks, .. } => {
            json!({ "split": { "base_bdev": base, "offset_blocks": offset_blocks } })
        }
        Spec::Crypt { base, key } => json!({ "crypto": {
            "base_bdev_name": base,
            "key_name": match key {
                KeySource::Named(name) => Some(name),
                KeySource::File(_) => None,
            },
            "key_file": match key {
                KeySource::Named(_) => None,
                KeySource::File(path) => Some(path.to_string_lossy()),
            },
        }}),
        Spec::Remote { controller, nsid } => json!({ "nvme": { "controller": controller, "nsid": nsid } }),
        Spec::Disk { .. } => match shard.iscsi_disks().get(&entry.name) {
            Some(disk) => json!({ "iscsi": {
                "initiator_iqn": disk.initiator.options().initiator.as_str(),
                "url": disk.url.without_secrets(),
            }}),
            None => Value::Null,
        },
        Spec::SrpDisk { .. } => match shard.srp_disks().get(&entry.name) {
            Some(disk) => json!({ "srp": { "url": disk.url.to_string() } }),
            None => Value::Null,
        },
    };
    value.as_object().cloned().unwrap_or_default()
}

/// The longest wait for a volume.
const WAIT_MS_MAX: u64 = 3_600_000;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
