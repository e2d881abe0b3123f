//! What a volume's status means to an initiator: the one place for it.

use super::super::task::Fault;
use block::Status as Volume;
use wire::scsi::{Sense, Status};

/// The SCSI status of a volume's status, for a request that began with block `lba`.
pub(super) const fn of_volume(status: Volume, lba: u64) -> Result<(), Fault> {
    let sense = match status {
        Volume::Ok => return Ok(()),
        Volume::OutOfRange => Sense::LBA_OUT_OF_RANGE,
        Volume::BadLength => Sense::INVALID_FIELD_IN_CDB,
        Volume::ReadError => Sense::UNRECOVERED_READ_ERROR.with_information(lba),
        Volume::WriteError => Sense::WRITE_ERROR.with_information(lba),
        Volume::NoSpace => Sense::SPACE_ALLOCATION_FAILED,
        Volume::ReadOnly => Sense::WRITE_PROTECTED,
        Volume::Gone => Sense::MEDIUM_NOT_PRESENT,
        Volume::TimedOut => Sense::COMMAND_TIMEOUT,
        Volume::Aborted => Sense::COMMAND_ABORTED,
        Volume::Reserved => return Err(Fault::Status(Status::ReservationConflict)),
        Volume::Unsupported => Sense::INVALID_OPERATION_CODE,
        Volume::Miscompare { at } => Sense::MISCOMPARE_DURING_VERIFY.with_information(at as u64),
    };
    Err(Fault::Sense(sense))
}
