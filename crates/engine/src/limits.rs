//! How much a shard may hold: every limit of the engine, in one place.

use crate::fabric::DeviceOptions;
use core::time::Duration;
use nvme::target::{rdma, tcp};
use stdx::mem::MemoryLimits;

/// The limits of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Volumes.
    pub volumes: usize,
    /// Remote controllers attached.
    pub hosts: usize,
    /// Discovery services watched.
    pub discoveries: usize,
    /// Disks of iSCSI targets attached.
    pub disks: usize,
    /// Connections of hosts to us, over all subsystems, and of initiators, over all targets.
    pub connections: usize,
    /// Address space of I/O buffers, in bytes; memory is used only as far as they are.
    pub buffer_bytes: usize,
    /// What the NVMe/TCP transport allows; its number of connections is [`Limits::connections`].
    pub transport: tcp::Limits,
    /// What NVMe/RDMA allows on each device.
    pub rdma: rdma::Limits,
    /// What SRP allows on each device.
    pub srp: scsi::srp::target::Limits,
    /// RDMA devices: one for each address that is listened on or connected from; at most
    /// [`DEVICES_MAX`](crate::fabric::DEVICES_MAX).
    pub devices: usize,
    /// What the devices are like.
    pub device: DeviceOptions,
    /// What the iSCSI transport allows; its number of connections is [`Limits::connections`].
    pub iscsi: scsi::iscsi::target::Limits,
    /// What iSER allows on each device.
    pub iser: scsi::iscsi::target::iser::Limits,
    /// How long peers have to take what they asked for, once an orderly end was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (transport, iscsi) = (tcp::Limits::default(), scsi::iscsi::target::Limits::default());
        Self {
            volumes: 1024,
            hosts: 256,
            discoveries: 64,
            disks: 256,
            connections: 4096,
            buffer_bytes: 1 << 30,
            transport,
            rdma: rdma::Limits::default(),
            srp: scsi::srp::target::Limits::default(),
            devices: 8,
            device: DeviceOptions::default(),
            iscsi,
            iser: scsi::iscsi::target::iser::Limits::default(),
            drain: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// The part that the environment needs to know.
    pub const fn memory(&self) -> MemoryLimits {
        MemoryLimits { buffer_bytes: self.buffer_bytes }
    }
}
