//! Volumes as the calls that make them again.

use block::BlockDevice;
use engine::{KeySource, Shard, Spec, volumes::Entry};

use super::params::{
    AioCreate, CryptoCreate, DelayCreate, ErrorCreate, GetBdevs, MallocCreate, NullCreate, PartitionCreate,
    SetQosLimit,
};
use crate::config::Call;
use crate::methods::rounds::Rounds;
use crate::values::Uuid;

/// The calls of a round, each after those that it builds on.
pub(crate) fn save(shard: &Shard, round: usize) -> Vec<Call> {
    let rounds = Rounds::new(shard);
    let mut entries: Vec<&Entry> = shard.volumes().iter().collect();
    entries.retain(|entry| rounds.of_volume(entry) == round);
    entries.sort_by_key(|entry| height(shard, entry));
    let limits = entries.iter().filter_map(|entry| limit(entry));
    let made = entries.iter().filter_map(|entry| create(entry, round));
    let histograms = entries.iter().filter_map(|entry| super::histogram::save(entry));
    made.chain(limits).chain(histograms).collect()
}

/// How many volumes there are below.
fn height(shard: &Shard, entry: &Entry) -> usize {
    let base = |entry: &&Entry| entry.spec.base().and_then(|base| shard.volumes().get(base));
    std::iter::successors(Some(entry), base).count()
}

/// The call that makes the volume; none for what comes with a remote controller or target. One of our own that
/// is served only after its controller was attached is waited for.
fn create(entry: &Entry, round: usize) -> Option<Call> {
    let name = entry.name.clone();
    let uuid = Some(Uuid(entry.volume.identity().0));
    Some(match entry.spec.clone() {
        Spec::Ram { block_size, physical_block_size, .. } => {
            let (num_blocks, sizes) = (entry.volume.info().blocks, (block_size, physical_block_size));
            Call::new("bdev_malloc_create", MallocCreate::plain(name, sizes, num_blocks, uuid))
        }
        Spec::Null { block_size, physical_block_size, .. } => {
            let (num_blocks, sizes) = (entry.volume.info().blocks, (block_size, physical_block_size));
            Call::new("bdev_null_create", NullCreate::plain(name, sizes, num_blocks, uuid))
        }
        Spec::File(file) => {
            let params = AioCreate {
                name,
                filename: file.path.to_string_lossy().into_owned(),
                block_size: file.block_size,
                readonly: Some(file.read_only),
                fallocate: None,
                uuid,
                nowait: None,
                direct: Some(file.direct),
                create_size: file.create,
            };
            Call::new("bdev_aio_create", params)
        }
        Spec::Delay { base, read_us, write_us } => {
            let params = DelayCreate {
                name,
                base_bdev_name: base,
                avg_read_latency: read_us.0,
                p99_read_latency: read_us.1,
                avg_write_latency: write_us.0,
                p99_write_latency: write_us.1,
                uuid,
            };
            Call::new("bdev_delay_create", params)
        }
        Spec::Error { base } => Call::new("bdev_error_create", ErrorCreate { base_name: base, uuid }),
        Spec::Partition { base, offset_blocks, blocks } => {
            let params =
                PartitionCreate { name, base_bdev_name: base, offset_blocks, num_blocks: blocks, uuid };
            Call::new("bdev_partition_create", params)
        }
        Spec::Crypt { base, key } => {
            let (key_name, key_file) = match key {
                KeySource::Named(name) => (Some(name), None),
                KeySource::File(path) => (None, Some(path.to_string_lossy().into_owned())),
            };
            Call::new(
                "bdev_crypto_create",
                CryptoCreate { base_bdev_name: base, name, key_name, key_file, uuid },
            )
        }
        Spec::Disk { .. } | Spec::SrpDisk { .. } => return None,
        Spec::Remote { .. } if round < 2 => return None,
        Spec::Remote { .. } => {
            Call::new("bdev_get_bdevs", GetBdevs { name: Some(name), timeout: LOAD_TIMEOUT_MS })
        }
    })
}

fn limit(entry: &Entry) -> Option<Call> {
    let limits = super::show::rate_limits(entry);
    if limits == Default::default() {
        return None;
    }
    let params = SetQosLimit {
        name: entry.name.clone(),
        rw_ios_per_sec: Some(limits.rw_ios_per_sec),
        rw_mbytes_per_sec: Some(limits.rw_mbytes_per_sec),
        r_mbytes_per_sec: Some(limits.r_mbytes_per_sec),
        w_mbytes_per_sec: Some(limits.w_mbytes_per_sec),
    };
    Some(Call::new("bdev_set_qos_limit", params))
}

/// How long loading a configuration waits for a volume of our own.
const LOAD_TIMEOUT_MS: u64 = 30_000;
