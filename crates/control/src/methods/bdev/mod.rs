//! `bdev_*`: volumes.

mod change;
mod create;
mod histogram;
mod iostat;
mod params;
mod results;
mod save;
mod show;

use block::device::FileError;
use engine::{Shard, Spec, VolumeError, volumes::Entry};

use crate::error::{Errno, RpcError};
use crate::fabric::FabricMethod;
use crate::method::NoParams;
use crate::values::Uuid;
use params::SetOptions;

pub(crate) use histogram::{HISTOGRAM_DEFAULT, histogram_counts};
pub(crate) use iostat::TICKS_PER_SEC;
pub(crate) use results::HistogramCounts;
pub(crate) use save::save;

/// The `bdev_*` methods, but for those of remote controllers.
pub fn methods() -> Vec<FabricMethod> {
    let mut all = vec![
        FabricMethod::composed("bdev_get_bdevs", "Shows volumes.", show::get_bdevs),
        FabricMethod::new("bdev_get_iostat", "Shows the counters of volumes.", iostat::get),
        FabricMethod::new("bdev_reset_iostat", "Sets the counters of volumes back.", iostat::reset),
        FabricMethod::new("bdev_set_qos_limit", "Limits the rate of a volume.", change::set_qos_limit),
        FabricMethod::new("bdev_malloc_create", "Makes a volume in RAM.", create::malloc),
        FabricMethod::new("bdev_malloc_delete", "Takes a volume in RAM away.", create::delete(is_ram)),
        FabricMethod::new(
            "bdev_malloc_resize",
            "Makes a volume in RAM larger. Not in SPDK.",
            change::malloc_resize,
        ),
        FabricMethod::new(
            "bdev_null_create",
            "Makes a volume that reads as zeroes and forgets writes.",
            create::null,
        ),
        FabricMethod::new("bdev_null_delete", "Takes a null volume away.", create::delete(is_null)),
        FabricMethod::new("bdev_null_resize", "Makes a null volume larger.", change::null_resize),
        FabricMethod::new("bdev_aio_create", "Makes a volume of a file or block device.", create::aio),
        FabricMethod::new("bdev_aio_rescan", "Takes on the present size of the file.", change::rescan),
        FabricMethod::new(
            "bdev_aio_delete",
            "Takes the volume of a file away; the file stays.",
            create::delete(is_file),
        ),
        FabricMethod::new("bdev_uring_create", "The same as bdev_aio_create.", create::uring),
        FabricMethod::new("bdev_uring_rescan", "The same as bdev_aio_rescan.", change::rescan),
        FabricMethod::new("bdev_uring_delete", "The same as bdev_aio_delete.", create::delete(is_file)),
        FabricMethod::new("bdev_delay_create", "Makes a volume that is slower than another.", create::delay),
        FabricMethod::new("bdev_delay_delete", "Takes a delay volume away.", create::delete(is_delay)),
        FabricMethod::new(
            "bdev_delay_update_latency",
            "Changes a latency of a delay volume.",
            change::update_latency,
        ),
        FabricMethod::new("bdev_error_create", "Makes a volume that fails when told to.", create::error),
        FabricMethod::new("bdev_error_delete", "Takes an error volume away.", create::delete(is_error)),
        FabricMethod::new(
            "bdev_error_inject_error",
            "Has requests to an error volume fail.",
            change::inject_error,
        ),
        FabricMethod::new(
            "bdev_error_resume_pending",
            "Carries out the requests that hang, and lets no more hang.",
            change::resume_pending,
        ),
        FabricMethod::new(
            "bdev_partition_create",
            "Makes a part of a volume. Not in SPDK.",
            create::partition,
        ),
        FabricMethod::new(
            "bdev_partition_delete",
            "Takes a part of a volume away. Not in SPDK.",
            create::delete(is_partition),
        ),
        FabricMethod::new("bdev_split_create", "Makes equal parts of a volume.", create::split),
        FabricMethod::new("bdev_split_delete", "Takes the parts of a volume away.", create::split_delete),
    ];
    all.extend(histogram::methods());
    all.extend(encrypted());
    let (examined, set) = (|_: NoParams| Ok(true), |_: SetOptions| Ok(true));
    all.push(FabricMethod::local(
        "bdev_set_options",
        "Takes what SPDK's saved configurations say; volumes have no pools to size.",
        set,
    ));
    all.push(FabricMethod::local("bdev_wait_for_examine", "Nothing: volumes are not examined.", examined));
    all
}

/// The methods of encrypted volumes.
fn encrypted() -> [FabricMethod; 2] {
    [
        FabricMethod::later(
            "bdev_crypto_create",
            "Makes a volume that keeps another's blocks encrypted.",
            create::crypto,
        ),
        FabricMethod::new(
            "bdev_crypto_delete",
            "Takes an encrypted volume away; what it encrypted stays.",
            create::delete(is_crypt),
        ),
    ]
}

/// The volume of that name or UUID.
pub(crate) fn entry<'a>(shard: &'a Shard, name: &str) -> Result<&'a Entry, RpcError> {
    let volumes = shard.volumes();
    let by_uuid = || {
        let uuid = Uuid::parse(name)?;
        volumes.iter().find(|entry| entry.volume.identity().0 == uuid.0)
    };
    volumes.get(name).or_else(by_uuid).ok_or_else(|| Errno::NoDevice.into())
}

/// What went wrong with a volume, as an errno.
pub(crate) fn volume_error(error: VolumeError) -> RpcError {
    let errno = match error {
        VolumeError::Exists => Errno::Exists,
        VolumeError::Unknown => Errno::NoDevice,
        VolumeError::Full | VolumeError::Memory(_) => Errno::NoMemory,
        VolumeError::InUse => Errno::Busy,
        VolumeError::Geometry(_)
        | VolumeError::Partition(_)
        | VolumeError::Parameters
        | VolumeError::WrongKind => Errno::Invalid,
        VolumeError::File(file) => file_errno(file),
        VolumeError::Device(status) => status_errno(status),
    };
    errno.because(error)
}

fn file_errno(error: FileError) -> Errno {
    match error {
        FileError::Io(error) => io_errno(error),
        FileError::Geometry(_) | FileError::Alignment { .. } => Errno::Invalid,
    }
}

pub(crate) fn io_errno(error: stdx::env::IoError) -> Errno {
    use stdx::env::IoError;
    match error {
        IoError::WouldBlock => Errno::Again,
        IoError::Refused => Errno::ConnectionRefused,
        IoError::Reset | IoError::Media | IoError::Os(_) => Errno::Io,
        IoError::Unreachable => Errno::TimedOut,
        IoError::AddressInUse => Errno::AddressInUse,
        IoError::AddressNotAvailable => Errno::AddressNotAvailable,
        IoError::NotFound => Errno::NoEntry,
        IoError::Exists => Errno::Exists,
        IoError::Permission => Errno::Access,
        IoError::NoSpace => Errno::NoSpace,
        IoError::Unsupported => Errno::NotSupported,
        IoError::Limit => Errno::NoMemory,
    }
}

fn status_errno(status: block::Status) -> Errno {
    use block::Status;
    match status {
        Status::Ok | Status::ReadError | Status::WriteError | Status::Miscompare { .. } => Errno::Io,
        Status::OutOfRange | Status::BadLength => Errno::Invalid,
        Status::NoSpace => Errno::NoSpace,
        Status::ReadOnly => Errno::NotPermitted,
        Status::Gone => Errno::NoDevice,
        Status::TimedOut => Errno::TimedOut,
        Status::Aborted | Status::Reserved => Errno::Busy,
        Status::Unsupported => Errno::NotSupported,
    }
}

fn is_ram(spec: &Spec) -> bool {
    matches!(spec, Spec::Ram { .. })
}

fn is_null(spec: &Spec) -> bool {
    matches!(spec, Spec::Null { .. })
}

fn is_file(spec: &Spec) -> bool {
    matches!(spec, Spec::File(_))
}

fn is_delay(spec: &Spec) -> bool {
    matches!(spec, Spec::Delay { .. })
}

fn is_crypt(spec: &Spec) -> bool {
    matches!(spec, Spec::Crypt { .. })
}

fn is_partition(spec: &Spec) -> bool {
    matches!(spec, Spec::Partition { .. })
}

fn is_error(spec: &Spec) -> bool {
    matches!(spec, Spec::Error { .. })
}
