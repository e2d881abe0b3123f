//! Statuses: what a volume's status means to a host, and which statuses tell the host not to retry. The one place for
//! either.

use block::Status as Volume;
use wire::nvme::{Status, StatusCodeType};

/// The NVMe status (Base figures 94 to 99) of a volume's status.
pub(super) const fn of_volume(status: Volume) -> Status {
    match status {
        Volume::Ok => Status::SUCCESS,
        Volume::OutOfRange => Status::LBA_OUT_OF_RANGE,
        Volume::BadLength => Status::INVALID_FIELD,
        Volume::ReadError => Status::UNRECOVERED_READ_ERROR,
        Volume::WriteError => Status::WRITE_FAULT,
        Volume::NoSpace => Status::CAPACITY_EXCEEDED,
        Volume::ReadOnly => Status::NAMESPACE_WRITE_PROTECTED,
        Volume::Gone => Status::NAMESPACE_NOT_READY.with_do_not_retry(),
        Volume::TimedOut => Status::COMMAND_INTERRUPTED,
        Volume::Aborted => Status::ABORT_REQUESTED,
        Volume::Reserved => Status::RESERVATION_CONFLICT,
        Volume::Unsupported => Status::INVALID_OPCODE,
        Volume::Miscompare { at: _ } => Status::COMPARE_FAILURE,
    }
}

/// The status with "do not retry" where the same command would meet the same end again.
pub(super) fn final_for_host(status: Status) -> Status {
    if status.is_success() || may_pass(status) { status } else { status.with_do_not_retry() }
}

/// True for conditions that may be over when the host tries again.
fn may_pass(status: Status) -> bool {
    if status.code_type() == Some(StatusCodeType::PathRelated) {
        return true;
    }
    TRANSIENT.contains(&status.kind())
}

const TRANSIENT: [Status; 11] = [
    Status::INTERNAL_ERROR,
    Status::ABORT_REQUESTED,
    Status::ABORTED_QUEUE_DELETION,
    Status::ABORTED_FAILED_FUSED,
    Status::ABORTED_MISSING_FUSED,
    Status::ABORTED_PREEMPT,
    Status::COMMAND_INTERRUPTED,
    Status::TRANSIENT_TRANSPORT_ERROR,
    Status::NAMESPACE_NOT_READY,
    Status::WRITE_FAULT,
    Status::CONNECT_CONTROLLER_BUSY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_can_never_succeed_says_so() {
        assert!(final_for_host(Status::LBA_OUT_OF_RANGE).do_not_retry());
        assert!(final_for_host(of_volume(Volume::Gone)).do_not_retry());
        assert!(!final_for_host(Status::ASYMMETRIC_ACCESS_TRANSITION).do_not_retry());
        assert!(!final_for_host(of_volume(Volume::TimedOut)).do_not_retry());
        assert_eq!(final_for_host(Status::SUCCESS), Status::SUCCESS);
    }
}
