//! What is known of a disk.

use block::device::PHYSICAL_BLOCK_MAX;
use block::{Identity, Info};
use stdx::mem::Memory;

/// A logical unit as its INQUIRY data, vital product data, capacity and mode pages described it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// What it is as a volume.
    pub info: Info,
    /// Its name for ever: a UUID, NAA or EUI-64 designator of the logical unit; `None` if it has none of these.
    pub identity: Option<Identity>,
    /// The longest command that moves data, in blocks.
    pub transfer_blocks_max: u32,
    /// The longest WRITE SAME, in blocks; 0 once the target has said that it has none.
    pub write_same_blocks_max: u32,
    /// WRITE SAME may give the blocks' space back, and they read as zero then (LBPWS, LBPRZ).
    pub write_same_deallocates: bool,
    /// The longest UNMAP, in blocks; 0 if space is given back by WRITE SAME, or not at all.
    pub unmap_blocks_max: u32,
    /// Commands of 16 bytes are known.
    pub long: bool,
    /// Writes may bear FUA.
    pub force_unit_access: bool,
    /// Its owner closed it.
    pub closed: bool,
}

/// What was found so far of a logical unit that is being looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Findings {
    pub identity: Option<Identity>,
    pub has_limits: bool,
    pub has_provisioning: bool,
    pub has_identification: bool,
    pub limits: Limits,
    pub provisioning: Provisioning,
    pub capacity: Capacity,
    pub caching: Caching,
}

/// The Block Limits page (SBC-3, section 6.6.4). Zero is "not told" in each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub transfer_blocks_max: u32,
    pub unmap_blocks_max: u32,
    pub unmap_descriptors_max: u32,
    pub write_same_blocks_max: u64,
}

/// The Logical Block Provisioning page (SBC-3, section 6.6.5).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Provisioning {
    pub unmap: bool,
    pub write_same: bool,
    pub reads_zero: bool,
}

/// READ CAPACITY (SBC-3, sections 5.15 and 5.16).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capacity {
    pub blocks: u64,
    pub block_size: u32,
    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, and LOWEST ALIGNED LOGICAL BLOCK ADDRESS.
    pub physical_exponent: u8,
    pub lowest_aligned: u16,
    pub managed: bool,
    pub protected: bool,
    pub long: bool,
}

/// MODE SENSE of the Caching page (SBC-3, section 6.5.6), and the header before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caching {
    pub read_only: bool,
    pub force_unit_access: bool,
    pub write_back: bool,
}

impl Capacity {
    /// Bytes of a physical block. Where the first does not begin with block 0, or they are longer than any we know, it is
    /// as if each block were one.
    fn physical_block_size(&self) -> u32 {
        let bytes = u64::from(self.block_size) << self.physical_exponent;
        let is_usable = self.lowest_aligned == 0 && bytes <= PHYSICAL_BLOCK_MAX.into();
        if is_usable { bytes as u32 } else { self.block_size }
    }
}

impl Findings {
    /// The disk; `None` if we cannot use it: no blocks, blocks of another size than 512 and 4096 bytes, or protection
    /// information between them.
    pub fn record(&self) -> Option<Record> {
        let Capacity { blocks, block_size, managed, protected, long, .. } = self.capacity;
        if blocks == 0 || ![512, 4096].contains(&block_size) || protected {
            return None;
        }
        let blocks_max = Memory::BUFFER_MAX as u32 / block_size;
        let unless_zero = |told: u64, otherwise: u64| if told == 0 { otherwise } else { told.min(otherwise) };
        let short_max = if long { u32::MAX } else { u32::from(u16::MAX) };
        let can_unmap = self.provisioning.unmap && self.limits.unmap_descriptors_max > 0;
        let unmap_blocks_max = if can_unmap { self.limits.unmap_blocks_max } else { 0 };
        let thin = managed && (unmap_blocks_max > 0 || self.provisioning.write_same);
        let same_max = u64::from(WRITE_SAME_BYTES_MAX / block_size);
        Some(Record {
            info: Info {
                block_size,
                physical_block_size: self.capacity.physical_block_size(),
                blocks,
                blocks_max,
                atomic_blocks_max: 1,
                volatile_cache: self.caching.write_back,
                thin,
                read_only: self.caching.read_only,
                lends: false,
                offline: false,
                crypto_erases: false,
            },
            identity: self.identity,
            transfer_blocks_max: unless_zero(self.limits.transfer_blocks_max.into(), blocks_max.into())
                as u32,
            write_same_blocks_max: (unless_zero(self.limits.write_same_blocks_max, same_max) as u32)
                .min(short_max),
            write_same_deallocates: managed && self.provisioning.write_same && self.provisioning.reads_zero,
            unmap_blocks_max: if managed { unmap_blocks_max } else { 0 },
            long,
            force_unit_access: self.caching.force_unit_access,
            closed: false,
        })
    }
}

/// How much is written by one WRITE SAME: a command that takes long should not take for ever.
const WRITE_SAME_BYTES_MAX: u32 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let capacity =
            Capacity { blocks: 1000, block_size: 4096, managed: true, long: true, ..Capacity::default() };
        Findings { capacity, ..Findings::default() }
    }

    #[test]
    fn a_disk_says_what_it_can() {
        let limits = Limits {
            transfer_blocks_max: 32,
            unmap_blocks_max: 500,
            unmap_descriptors_max: 1,
            ..Limits::default()
        };
        let provisioning = Provisioning { unmap: true, write_same: true, reads_zero: true };
        let record = Findings { limits, provisioning, ..findings() }.record().unwrap();
        assert_eq!((record.transfer_blocks_max, record.unmap_blocks_max), (32, 500));
        assert_eq!(record.write_same_blocks_max, 16_384);
        assert!(record.info.thin && record.write_same_deallocates);
        assert!(!findings().record().unwrap().info.thin);
        let no_descriptors =
            Findings { limits: Limits { unmap_descriptors_max: 0, ..limits }, provisioning, ..findings() };
        assert_eq!(no_descriptors.record().unwrap().unmap_blocks_max, 0);
    }

    #[test]
    fn physical_blocks_are_used_where_they_begin_with_the_disk() {
        let told = |block_size, physical_exponent, lowest_aligned| {
            Capacity { block_size, physical_exponent, lowest_aligned, ..Capacity::default() }
                .physical_block_size()
        };
        assert_eq!(told(512, 0, 0), 512);
        assert_eq!(told(512, 3, 0), 4096);
        assert_eq!(told(512, 3, 7), 512);
        assert_eq!(told(4096, 15, 0), 4096);
    }

    #[test]
    fn what_cannot_be_used_is_no_disk() {
        let with = |change: fn(&mut Capacity)| {
            let mut found = findings();
            change(&mut found.capacity);
            found.record()
        };
        assert!(with(|capacity| capacity.block_size = 520).is_none());
        assert!(with(|capacity| capacity.blocks = 0).is_none());
        assert!(with(|capacity| capacity.protected = true).is_none());
    }
}
