//! What the transports' owner chooses, and the limits of every table.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Choices that hold for all controllers (what SPDK's `nvmf_create_transport` and `nvmf_set_config` name).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Entries of an I/O queue, at most (CAP.MQES + 1).
    pub max_queue_depth: u16,
    /// Entries of an admin queue, at most.
    pub max_aq_depth: u16,
    /// I/O queues of one controller, at most; SPDK counts the admin queue in.
    pub max_io_qpairs_per_ctrlr: u16,
    /// Bytes of data a command capsule of an I/O queue may carry, a multiple of 16.
    pub in_capsule_data_size: u32,
    /// Bytes one command may move. Rounded down to a power of two of 4 KiB pages, as MDTS counts.
    pub max_io_size: u32,
    /// A successful read may end with its last data instead of a response of its own.
    pub c2h_success: bool,
    /// How long a discovery controller lives that never asked for keep alive, and is silent.
    pub discovery_silence: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_queue_depth: 128,
            max_aq_depth: 128,
            max_io_qpairs_per_ctrlr: 127,
            in_capsule_data_size: 8192,
            max_io_size: 1 << 20,
            c2h_success: true,
            discovery_silence: Duration::from_secs(120),
        }
    }
}

impl Options {
    /// MDTS: the longest transfer as a power of two of 4 KiB pages, at least one page.
    pub fn transfer_size_power(&self) -> u8 {
        (self.max_io_size / PAGE).max(1).ilog2() as u8
    }

    /// True if a controller can have these.
    pub fn in_range(&self) -> bool {
        QUEUE_DEPTHS.contains(&self.max_queue_depth)
            && ADMIN_QUEUE_DEPTHS.contains(&self.max_aq_depth)
            && self.max_io_qpairs_per_ctrlr > 0
            && IO_SIZES.contains(&self.max_io_size)
            && self.in_capsule_data_size <= self.max_io_size.min(IN_CAPSULE_MAX)
            && self.in_capsule_data_size.is_multiple_of(16)
    }

    /// The longest transfer in bytes, as MDTS tells it.
    pub fn transfer_len_max(&self) -> u32 {
        PAGE << self.transfer_size_power()
    }
}

const PAGE: u32 = 4096;
/// Entries of an I/O queue.
const QUEUE_DEPTHS: RangeInclusive<u16> = 2..=4096;
/// Entries of an admin queue: ASQSZ in the discovery log is at least 32.
const ADMIN_QUEUE_DEPTHS: RangeInclusive<u16> = 32..=4096;
/// Bytes of one command.
const IO_SIZES: RangeInclusive<u32> = PAGE..=16 << 20;
/// Bytes in a capsule.
const IN_CAPSULE_MAX: u32 = 64 << 10;

/// Subsystems of one target, the discovery subsystem among them.
pub const SUBSYSTEMS_MAX: usize = 1024;
/// Namespaces of one target.
pub const NAMESPACES_MAX: usize = 4096;
/// Namespaces of one subsystem, at most.
pub const NAMESPACES_PER_SUBSYSTEM_MAX: u32 = NAMESPACES_MAX as u32;
/// Listeners of one subsystem.
pub const LISTENERS_MAX: usize = 64;
/// Hosts one subsystem lets in by name.
pub const HOSTS_MAX: usize = 1024;
/// Referrals to other discovery services.
pub const REFERRALS_MAX: usize = 64;
/// Controllers of one target.
pub const CONTROLLERS_MAX: usize = 4096;
/// Queues of one target.
pub const QUEUES_MAX: usize = 65_536;
/// I/O requests under way in one target.
pub const OUTSTANDING_MAX: usize = 1 << 20;
/// The fewest entries a queue has.
pub const QUEUE_ENTRIES_MIN: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_a_range() {
        let usual = Options::default();
        assert!(usual.in_range());
        assert!(!Options { max_queue_depth: 1, ..usual }.in_range());
        assert!(!Options { max_aq_depth: 31, ..usual }.in_range());
        assert!(!Options { max_io_qpairs_per_ctrlr: 0, ..usual }.in_range());
        assert!(!Options { in_capsule_data_size: 8, ..usual }.in_range());
        assert!(!Options { in_capsule_data_size: 8192, max_io_size: 4096, ..usual }.in_range());
        assert!(!Options { max_io_size: 17 << 20, ..usual }.in_range());
    }
}
