//! What the `bdev_*` methods answer, by SPDK's names.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::values::Uuid;

/// A volume.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Bdev {
    /// What it is called.
    pub name: String,
    /// What it is called besides: its UUID.
    pub aliases: Vec<String>,
    /// What kind of volume it is.
    pub product_name: String,
    /// Bytes a block.
    pub block_size: u32,
    /// Bytes of a physical block.
    pub physical_block_size: u32,
    /// How many blocks.
    pub num_blocks: u64,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its limits; 0 where there is none.
    pub assigned_rate_limits: RateLimits,
    /// Whether a namespace or another volume stands on it.
    pub claimed: bool,
    /// How, if it is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_type: Option<&'static str>,
    /// Never.
    pub zoned: bool,
    /// What it can do.
    pub supported_io_types: IoTypes,
    /// What only its kind has.
    pub driver_specific: Map<String, Value>,
}

/// Limits of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RateLimits {
    /// Reads and writes a second.
    pub rw_ios_per_sec: u64,
    /// MiB a second read and written.
    pub rw_mbytes_per_sec: u64,
    /// MiB a second read.
    pub r_mbytes_per_sec: u64,
    /// MiB a second written.
    pub w_mbytes_per_sec: u64,
}

/// What a volume can do.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct IoTypes {
    /// Read.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Give space back.
    pub unmap: bool,
    /// Make data durable.
    pub flush: bool,
    /// Always.
    pub reset: bool,
    /// Never: no NVMe command is passed through.
    pub nvme_admin: bool,
    /// Never: no NVMe command is passed through.
    pub nvme_io: bool,
    /// Write zeroes without sending them.
    pub write_zeroes: bool,
    /// Compare.
    pub compare: bool,
    /// Compare and write as one.
    pub compare_and_write: bool,
    /// Abort requests under way.
    pub abort: bool,
    /// Copy within the volume.
    pub copy: bool,
}

/// Latencies that were counted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistogramCounts {
    /// The counts of all buckets, range by range: 64-bit numbers, lowest byte first, in Base64.
    pub histogram: String,
    /// Each range has 2 to this power buckets.
    pub granularity: u8,
    /// The first range: range 0 is of one tick a bucket, as is range 1, and each after it of twice as many.
    pub min_range: u32,
    /// The last range.
    pub max_range: u32,
    /// Ticks a second.
    pub tsc_rate: u64,
}

/// Latencies that were counted, summed up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BordersCount {
    /// How many took less than each of the borders, and in the end how many there were.
    pub borders_count: Vec<u64>,
}

/// Counters.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Iostat {
    /// Ticks a second: latencies are counted in ticks.
    pub tick_rate: u64,
    /// The time of reading, in ticks since the start.
    pub ticks: u64,
    /// The volumes.
    pub bdevs: Vec<BdevIostat>,
}

/// Counters of a volume.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct BdevIostat {
    /// The volume.
    pub name: String,
    /// Bytes read.
    pub bytes_read: u64,
    /// Reads.
    pub num_read_ops: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Writes.
    pub num_write_ops: u64,
    /// Bytes given back.
    pub bytes_unmapped: u64,
    /// Discards.
    pub num_unmap_ops: u64,
    /// Bytes copied.
    pub bytes_copied: u64,
    /// Copies within the volume.
    pub num_copy_ops: u64,
    /// Flushes.
    pub num_flush_ops: u64,
    /// The time that all reads took together.
    pub read_latency_ticks: u64,
    /// The longest read.
    pub max_read_latency_ticks: u64,
    /// The time that all writes took together.
    pub write_latency_ticks: u64,
    /// The longest write.
    pub max_write_latency_ticks: u64,
    /// The time that all discards took together.
    pub unmap_latency_ticks: u64,
    /// The longest discard.
    pub max_unmap_latency_ticks: u64,
    /// The time that all copies took together.
    pub copy_latency_ticks: u64,
    /// The longest copy.
    pub max_copy_latency_ticks: u64,
    /// Requests that failed.
    pub num_io_errors: u64,
    /// Requests under way.
    pub queue_depth: u64,
}
