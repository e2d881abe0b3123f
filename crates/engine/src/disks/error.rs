//! Why a disk is not attached.

use crate::fabric::DeviceError;
use crate::volumes::VolumeError;
use thiserror::Error;

/// See the module. `E` is what an initiator refuses options with, `F` why it gave up for good.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AttachDiskError<E, F> {
    /// One is attached under that name.
    #[error("a disk is attached under that name already")]
    Exists,
    /// None is attached under that name.
    #[error("no disk is attached under that name")]
    Unknown,
    /// As many as there may be.
    #[error("there are as many disks as there may be")]
    Full,
    /// The options make no sense, or memory is short.
    #[error("{0}")]
    Initiator(E),
    /// There is no RDMA device to connect from.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Which device it is was not said.
    #[error("RDMA needs the address of this machine to connect from")]
    NoLocalAddress,
    /// It could not be connected.
    #[error("{0}")]
    Failed(F),
    /// The target has no such logical unit, or it is no disk.
    #[error("the target has no such disk")]
    NoDisk,
    /// Its volume cannot be made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It was let go before it was there.
    #[error("it was let go meanwhile")]
    Detached,
}
