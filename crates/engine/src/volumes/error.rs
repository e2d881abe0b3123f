//! Why a volume could not be made, changed or taken away.

use block::Status;
use block::device::{FileError, GeometryError, PartitionError};
use stdx::mem::OutOfMemory;
use thiserror::Error;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VolumeError {
    /// There is one of that name, or with that identity.
    #[error("a volume of that name or identity exists already")]
    Exists,
    /// There is none of that name.
    #[error("no volume has that name")]
    Unknown,
    /// As many as there may be.
    #[error("there are as many volumes as there may be")]
    Full,
    /// It is in use by another volume.
    #[error("another volume is built on it")]
    InUse,
    /// Not a size that a volume can have.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Not a part that the volume has.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// No memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The file below.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device below refuses.
    #[error("the volume cannot do that: {0:?}")]
    Device(Status),
    /// A value that makes no sense for this kind of volume.
    #[error("the parameters do not fit together")]
    Parameters,
    /// The operation is for another kind of volume.
    #[error("the volume is of another kind")]
    WrongKind,
}
