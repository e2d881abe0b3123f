//! How a volume was made: enough to make it again.

use std::path::PathBuf;

/// A kind of volume with its parameters. Volumes that others are built on are named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// In memory.
    Ram {
        /// How many blocks.
        blocks: u64,
        /// Bytes a block.
        block_size: u32,
        /// Bytes of a physical block; as a block if not said.
        physical_block_size: Option<u32>,
    },
    /// Nowhere: reads zeros, forgets writes.
    Null {
        /// How many blocks.
        blocks: u64,
        /// Bytes a block.
        block_size: u32,
        /// Bytes of a physical block; as a block if not said.
        physical_block_size: Option<u32>,
    },
    /// In a file or on a block device.
    File(FileSpec),
    /// Another volume, slower.
    Delay {
        /// The other.
        base: String,
        /// Mean and 99th percentile of a read's delay, in microseconds.
        read_us: (u64, u64),
        /// Mean and 99th percentile of a write's delay, in microseconds.
        write_us: (u64, u64),
    },
    /// Another volume, with errors on demand.
    Error {
        /// The other.
        base: String,
    },
    /// A part of another volume.
    Partition {
        /// The other.
        base: String,
        /// The first block of the part.
        offset_blocks: u64,
        /// How many blocks it has.
        blocks: u64,
    },
    /// Another volume, encrypted.
    Crypt {
        /// The other.
        base: String,
        /// Where its key is from.
        key: KeySource,
    },
    /// A namespace of a remote controller; it comes and goes with the controller.
    Remote {
        /// The controller's name here.
        controller: String,
        /// The namespace.
        nsid: u32,
    },
    /// A disk of an iSCSI target, which is attached under the volume's name and goes with it.
    Disk {
        /// The logical unit.
        lun: u16,
    },
    /// A disk of an SRP target, likewise.
    SrpDisk {
        /// The logical unit.
        lun: u16,
    },
}

/// Where the key of an encrypted volume is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// It was given under this name.
    Named(String),
    /// It is kept in this file.
    File(PathBuf),
}

/// A file or block device, and how to use it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSpec {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes a block; what the file prefers if not said.
    pub block_size: Option<u32>,
    /// Past the page cache.
    pub direct: bool,
    /// Refuse writes.
    pub read_only: bool,
    /// Make it this long, in bytes, if there is none.
    pub create: Option<u64>,
}

impl Spec {
    /// The volume it is built on, if on one.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Delay { base, .. } | Self::Error { base } | Self::Partition { base, .. } => Some(base),
            Self::Crypt { base, .. } => Some(base),
            Self::Ram { .. } | Self::Null { .. } | Self::File(_) => None,
            Self::Remote { .. } | Self::Disk { .. } | Self::SrpDisk { .. } => None,
        }
    }

    /// The name of the key that it is encrypted with, if one was given for it.
    pub fn key_name(&self) -> Option<&str> {
        match self {
            Self::Crypt { key: KeySource::Named(name), .. } => Some(name),
            Self::Crypt { key: KeySource::File(_), .. } => None,
            Self::Delay { .. } | Self::Error { .. } | Self::Partition { .. } => None,
            Self::Ram { .. } | Self::Null { .. } | Self::File(_) => None,
            Self::Remote { .. } | Self::Disk { .. } | Self::SrpDisk { .. } => None,
        }
    }

    /// The kind in SPDK's words, for `bdev_get_bdevs`.
    pub const fn product_name(&self) -> &'static str {
        match self {
            Self::Ram { .. } => "Malloc disk",
            Self::Null { .. } => "Null disk",
            Self::File(_) => "AIO disk",
            Self::Delay { .. } => "delay",
            Self::Error { .. } => "Error Injection Disk",
            Self::Partition { .. } => "Split Disk",
            Self::Crypt { .. } => "crypto",
            Self::Remote { .. } => "NVMe disk",
            Self::Disk { .. } => "iSCSI LUN",
            Self::SrpDisk { .. } => "SRP LUN",
        }
    }
}
