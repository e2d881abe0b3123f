//! What the `bdev_*` methods take, by SPDK's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{AnyNode, Off, Uuid, Zero};

/// A volume that keeps another's blocks encrypted. One of `key_name` and `key_file` is given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CryptoCreate {
    /// The volume below it.
    pub base_bdev_name: String,
    /// What to call it.
    pub name: String,
    /// The key, as `accel_crypto_key_create` called it.
    pub key_name: Option<String>,
    /// A file that keeps the key, and is made with a random one if there is none. The volume can be erased by a new key. Not
    /// in SPDK.
    pub key_file: Option<String>,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
}

/// A volume in RAM.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MallocCreate {
    /// What to call it; `Malloc0`, `Malloc1`, ... by default.
    pub name: Option<String>,
    /// Bytes a block: 512 or 4096.
    pub block_size: u32,
    /// How many blocks.
    pub num_blocks: u64,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
    /// Bytes of a physical block: a power of two, at least `block_size`, which it is by default.
    pub physical_block_size: Option<u32>,
    /// Requests are not split.
    pub optimal_io_boundary: Option<Zero>,
    /// There is no metadata.
    pub md_size: Option<Zero>,
    /// There is no metadata.
    pub md_interleave: Option<Off>,
    /// There is no protection information.
    pub dif_type: Option<Zero>,
    /// There is no protection information.
    pub dif_is_head_of_md: Option<Off>,
    /// There is no protection information.
    pub dif_pi_format: Option<Zero>,
    /// Memory comes from anywhere.
    pub numa_id: Option<AnyNode>,
}

/// A volume that reads as zeroes and forgets what is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullCreate {
    /// What to call it.
    pub name: String,
    /// Bytes a block: 512 or 4096.
    pub block_size: u32,
    /// How many blocks.
    pub num_blocks: u64,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
    /// Bytes of a physical block: a power of two, at least `block_size`, which it is by default.
    pub physical_block_size: Option<u32>,
    /// There is no metadata.
    pub md_size: Option<Zero>,
    /// There is no protection information.
    pub dif_type: Option<Zero>,
    /// There is no protection information.
    pub dif_is_head_of_md: Option<Off>,
    /// There is no protection information.
    pub dif_pi_format: Option<Zero>,
}

/// A new size for a null volume.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullResize {
    /// The volume.
    pub name: String,
    /// Its new size in MiB; not less than before.
    pub new_size: u64,
}

/// A file or block device as a volume.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AioCreate {
    /// What to call it.
    pub name: String,
    /// The path of the file or device.
    pub filename: String,
    /// Bytes a block: 512 or 4096; what the device says by default, 512 for a file.
    pub block_size: Option<u32>,
    /// Whether writes are refused.
    pub readonly: Option<bool>,
    /// Space is given back wherever the file can do that, whatever this says.
    pub fallocate: Option<bool>,
    /// Its UUID; one that follows from the path by default.
    pub uuid: Option<Uuid>,
    /// No I/O ever waits in the caller, so there is nothing to ask for.
    pub nowait: Option<Off>,
    /// Past the page cache. Not in SPDK.
    pub direct: Option<bool>,
    /// Make a sparse file of so many bytes if there is none. Not in SPDK.
    pub create_size: Option<u64>,
}

/// A file or block device as a volume.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UringCreate {
    /// What to call it.
    pub name: String,
    /// The path of the file or device.
    pub filename: String,
    /// Bytes a block: 512 or 4096; what the device says by default, 512 for a file.
    pub block_size: Option<u32>,
    /// Its UUID; one that follows from the path by default.
    pub uuid: Option<Uuid>,
}

/// A volume that is slower than the one below it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayCreate {
    /// What to call it.
    pub name: String,
    /// The volume below it.
    pub base_bdev_name: String,
    /// How long a read takes more, in microseconds.
    pub avg_read_latency: u64,
    /// How long one read in a hundred takes more, in microseconds.
    pub p99_read_latency: u64,
    /// How long a write takes more, in microseconds.
    pub avg_write_latency: u64,
    /// How long one write in a hundred takes more, in microseconds.
    pub p99_write_latency: u64,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
}

/// Another latency for a delay volume.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayUpdateLatency {
    /// The delay volume.
    pub delay_bdev_name: String,
    /// Which of its latencies.
    pub latency_type: LatencyType,
    /// The latency in microseconds.
    pub latency_us: u64,
}

/// A latency of a delay volume.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LatencyType {
    /// Of reads.
    AvgRead,
    /// Of writes.
    AvgWrite,
    /// Of one read in a hundred.
    P99Read,
    /// Of one write in a hundred.
    P99Write,
}

/// A volume that fails when told to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorCreate {
    /// The volume below it. The new one is called `EE_` and that name.
    pub base_name: String,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
}

/// What an error volume is to do wrong.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorInject {
    /// The error volume.
    pub name: String,
    /// To which requests; `clear` takes back all that was injected.
    pub io_type: InjectIoType,
    /// What is to go wrong.
    pub error_type: InjectErrorType,
    /// How often; once by default.
    pub num: Option<u32>,
    /// For `corrupt_data`: the first byte of a request to spoil.
    pub corrupt_offset: Option<u64>,
    /// For `corrupt_data`: what to XOR it with, not 0.
    pub corrupt_value: Option<u8>,
}

/// Requests to which something is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InjectIoType {
    /// None any more.
    Clear,
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Discards.
    Unmap,
    /// Flushes.
    Flush,
    /// All of these.
    All,
}

/// What is to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InjectErrorType {
    /// The request fails.
    Failure,
    /// The request stays until `bdev_error_resume_pending`.
    Pending,
    /// A byte of the data is changed.
    CorruptData,
    /// The volume is out of memory for the request.
    Nomem,
}

impl MallocCreate {
    /// What the volume needs, and nothing for compatibility.
    pub(super) fn plain(
        name: String,
        (block_size, physical_block_size): (u32, Option<u32>),
        num_blocks: u64,
        uuid: Option<Uuid>,
    ) -> Self {
        Self {
            name: Some(name),
            block_size,
            num_blocks,
            uuid,
            physical_block_size,
            optimal_io_boundary: None,
            md_size: None,
            md_interleave: None,
            dif_type: None,
            dif_is_head_of_md: None,
            dif_pi_format: None,
            numa_id: None,
        }
    }
}

impl NullCreate {
    /// What the volume needs, and nothing for compatibility.
    pub(super) fn plain(
        name: String,
        (block_size, physical_block_size): (u32, Option<u32>),
        num_blocks: u64,
        uuid: Option<Uuid>,
    ) -> Self {
        Self {
            name,
            block_size,
            num_blocks,
            uuid,
            physical_block_size,
            md_size: None,
            dif_type: None,
            dif_is_head_of_md: None,
            dif_pi_format: None,
        }
    }
}

/// Equal parts of a volume, as volumes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitCreate {
    /// The volume below; the parts are called by its name and `p0`, `p1`, ...
    pub base_bdev: String,
    /// How many parts.
    pub split_count: u32,
    /// The size of each in MiB; as large as possible by default.
    pub split_size_mb: Option<u64>,
}

/// A split volume.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitDelete {
    /// The volume below the parts.
    pub base_bdev: String,
}

/// A volume.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The volume.
    pub name: String,
}

/// A part of a volume.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionCreate {
    /// What to call it.
    pub name: String,
    /// The volume below it.
    pub base_bdev_name: String,
    /// The first block of the part.
    pub offset_blocks: u64,
    /// How many blocks it has.
    pub num_blocks: u64,
    /// Its UUID; a random one by default.
    pub uuid: Option<Uuid>,
}

/// What holds for all volumes: SPDK's sizes of pools, which Weft does not have. Requests and buffers have the limits of the
/// transports that bring them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOptions {
    /// Requests are not pooled, whatever this says.
    pub bdev_io_pool_size: Option<u32>,
    /// Requests are not pooled, whatever this says.
    pub bdev_io_cache_size: Option<u32>,
    /// Volumes are not examined, whatever this says.
    pub bdev_auto_examine: Option<bool>,
    /// Buffers come from one pool, whatever this says.
    pub iobuf_small_cache_size: Option<u32>,
    /// Buffers come from one pool, whatever this says.
    pub iobuf_large_cache_size: Option<u32>,
}

/// Which volumes to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetBdevs {
    /// One volume, by name or UUID; all by default.
    pub name: Option<String>,
    /// How long to wait for it to appear, in milliseconds; not at all by default.
    #[serde(default)]
    pub timeout: u64,
}

/// Limits for a volume. What is not given stays as it is; 0 takes a limit away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetQosLimit {
    /// The volume.
    pub name: String,
    /// Reads and writes a second: at least 1000, a multiple of 1000.
    pub rw_ios_per_sec: Option<u64>,
    /// MiB a second read and written.
    pub rw_mbytes_per_sec: Option<u64>,
    /// MiB a second read.
    pub r_mbytes_per_sec: Option<u64>,
    /// MiB a second written.
    pub w_mbytes_per_sec: Option<u64>,
}

/// Whether to count latencies, and which.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableHistogram {
    /// The volume.
    pub name: String,
    /// Count, from zero, or do not.
    pub enable: bool,
    /// Requests of this kind; all by default.
    pub opc: Option<RequestKind>,
    /// Each range of latencies has 2 to this power buckets, at most 10; 7 by default.
    pub granularity: Option<u8>,
    /// The shortest latency to tell from others, in nanoseconds; 1000 by default.
    pub min_nsec: Option<u64>,
    /// The latency from which on all are alike, in nanoseconds; two minutes by default.
    pub max_nsec: Option<u64>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Discards.
    Unmap,
    /// Flushes.
    Flush,
    /// Zeroing.
    WriteZeroes,
    /// Compares.
    Compare,
    /// Compare-and-writes.
    CompareAndWrite,
    /// Copies.
    Copy,
}

/// Whose latencies to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetHistogram {
    /// The volume.
    pub name: String,
}

/// Whose latencies to show, and how to sum them up.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetHistogramBorders {
    /// The volume.
    pub name: String,
    /// Up to 256 latencies in microseconds.
    pub borders: Vec<u64>,
}

/// Which counters to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetIostat {
    /// These volumes; all by default.
    pub names: Option<Vec<String>>,
    /// Counters are kept for volumes only.
    pub per_channel: Option<Off>,
    /// What to set back after reading.
    #[serde(default)]
    pub reset_mode: ResetMode,
}

/// Which counters to set back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetIostat {
    /// One volume; all by default.
    pub name: Option<String>,
    /// Which of its counters; all by default.
    pub mode: Option<ResetMode>,
}

/// Counters to set back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetMode {
    /// All of them.
    All,
    /// None.
    #[default]
    None,
}
