//! The limits of every table of a target.

/// Devices of one target.
pub const DEVICES_MAX: usize = 1024;
/// Target ports of one device.
pub const PORTS_MAX: usize = 256;
/// Logical units of one target.
pub const UNITS_MAX: usize = 4096;
/// Logical units of one device: as many as single level LUNs can name here.
pub const UNITS_PER_DEVICE_MAX: usize = 1024;
/// Nexuses of one target.
pub const NEXUSES_MAX: usize = 4096;
/// Tasks of one target.
pub const TASKS_MAX: usize = 1 << 18;
/// Tasks of one logical unit: more are answered with TASK SET FULL.
pub const TASK_SET_MAX: u32 = 1 << 14;
/// Task management requests under way in one target: more are rejected.
pub const MANAGEMENT_MAX: usize = 4096;
/// Bytes one command moves at most: what the longest I/O buffer holds. Where memory is short, buffers are, and a command
/// moves less.
pub const TRANSFER_MAX: u32 = stdx::mem::Memory::BUFFER_LONG as u32;
/// Blocks that COMPARE AND WRITE takes at most.
pub const COMPARE_BLOCKS_MAX: u8 = 255;
/// Blocks that WRITE SAME takes at most: it may have to write them all, and one command is not to keep a volume busy for
/// long. UNMAP has no such limit.
pub const WRITE_SAME_BLOCKS_MAX: u32 = 1 << 15;
/// Blocks that UNMAP takes at most: the highest number says that there is no limit.
pub const UNMAP_BLOCKS_MAX: u32 = u32::MAX;
/// Descriptors that UNMAP takes at most.
pub const UNMAP_DESCRIPTORS_MAX: u32 = 256;

/// Blocks that WRITE ATOMIC takes at most: what the volume writes at once or not at all.
pub const fn atomic_blocks_max(info: &block::Info) -> u32 {
    let most = TRANSFER_MAX / info.block_size;
    if info.atomic_blocks_max < most { info.atomic_blocks_max } else { most }
}

/// Bytes of parameter data that a command tells at most.
pub const PARAMETER_DATA_MAX: u32 = 256 << 10;
/// Bytes of a parameter list that a command takes at most.
pub const PARAMETER_LIST_MAX: u32 = 64 << 10;
