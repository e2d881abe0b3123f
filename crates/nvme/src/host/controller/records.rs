//! What is known of a namespace.

use super::limits::{CommandLimits, blocks_of};
use block::{Identity, Info};
use stdx::mem::Memory;
use wire::nvme::identify::{ControllerData, NamespaceData, NvmCommands, VolatileWriteCache};

/// A namespace as Identify described it.
#[derive(Clone, Debug)]
pub(in crate::host) struct Record {
    /// What it is as a volume.
    pub info: Info,
    /// Its name for ever: UUID, else NGUID, else EUI64; `None` if the controller gives none.
    pub identity: Option<Identity>,
    /// What Identify Namespace said.
    pub data: Box<NamespaceData>,
    /// The longest command that moves data, in blocks (MDTS).
    pub transfer_blocks_max: u32,
    /// The longest Write Zeroes, in blocks (WZSL); `None` if the controller has none.
    pub zero_blocks_max: Option<u32>,
    /// The longest Dataset Management of one range, in blocks (DMRSL, DMSL).
    pub discard_blocks_max: u32,
    /// Its owner closed it.
    pub closed: bool,
}

impl Record {
    /// The namespace that `data` describes; `None` if we cannot use it: not active, metadata, or blocks of another size
    /// than 512 and 4096 bytes.
    pub fn new(
        controller: &ControllerData,
        page_size_min: u8,
        limits: &CommandLimits,
        data: &NamespaceData,
    ) -> Option<Self> {
        let format = data.format();
        let block_size = format.block_size().filter(|size| matches!(size, 512 | 4096))?;
        let blocks = data.size.get();
        if blocks == 0 || format.metadata_size.get() != 0 {
            return None;
        }
        let commands = NvmCommands(controller.nvm_commands.get());
        let cache = VolatileWriteCache(controller.volatile_write_cache);
        let info = Info {
            block_size,
            physical_block_size: block_size,
            blocks,
            blocks_max: Memory::BUFFER_MAX as u32 / block_size,
            atomic_blocks_max: 1,
            volatile_cache: cache.contains(VolatileWriteCache::PRESENT),
            thin: commands.contains(NvmCommands::DATASET_MANAGEMENT),
            read_only: data.attributes & WRITE_PROTECTED != 0,
            lends: false,
            offline: false,
            crypto_erases: false,
        };
        let transfer_blocks_max = blocks_of(controller.max_data_transfer, page_size_min, block_size);
        let zero_blocks_max = limits.zero_blocks_max(page_size_min, block_size, transfer_blocks_max);
        Some(Self {
            info,
            identity: identity_in(data),
            data: Box::new(*data),
            transfer_blocks_max,
            zero_blocks_max: commands.contains(NvmCommands::WRITE_ZEROES).then_some(zero_blocks_max),
            discard_blocks_max: limits.discard_blocks_max(),
            closed: false,
        })
    }

    /// The group of namespaces that are reached alike (ANAGRPID).
    pub fn ana_group(&self) -> u32 {
        self.data.ana_group_id.get()
    }
}

/// NGUID or EUI64, if they are there.
fn identity_in(data: &NamespaceData) -> Option<Identity> {
    if data.nguid != [0; 16] {
        return Some(Identity(data.nguid));
    }
    (data.eui64 != [0; 8]).then(|| eui64_identity(&data.eui64))
}

/// An identity made of an EUI64: its eight bytes, then zeros.
pub(super) fn eui64_identity(eui64: &[u8; 8]) -> Identity {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(eui64);
    Identity(bytes)
}

/// NSATTR: write protected.
const WRITE_PROTECTED: u8 = 1;

impl super::Controller {
    /// What is known of a namespace.
    pub fn record(&self, namespace_id: u32) -> Option<&Record> {
        self.records.get(&namespace_id).filter(|record| !record.closed)
    }

    pub fn namespace_ids(&self) -> Vec<u32> {
        self.records.keys().copied().collect()
    }

    /// A namespace has a user, who may have come back after closing it.
    pub fn open_namespace(&mut self, namespace_id: u32) {
        if let Some(record) = self.records.get_mut(&namespace_id) {
            record.closed = false;
        }
    }

    /// The volume's user is done with it: requests under way complete as gone.
    pub fn close_namespace(&mut self, namespace_id: u32) {
        if let Some(record) = self.records.get_mut(&namespace_id) {
            record.closed = true;
        }
        self.drop_requests_of(namespace_id);
    }

    pub fn controller_id(&self) -> u16 {
        self.controller_id
    }

    pub fn io_queues(&self) -> (usize, u16) {
        (self.io.len(), self.io_queue_entries())
    }
}
