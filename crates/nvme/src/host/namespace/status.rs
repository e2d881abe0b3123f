//! What a controller's status means for a request: the one place where NVMe statuses become [`block::Status`].

use block::Status as Outcome;
use wire::nvme::{Status, StatusCodeType};

/// What a completion means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::host) enum Answer {
    /// That is how it went.
    Done(Outcome),
    /// It may go better in a moment; if it never does, this is how it went.
    Again(Outcome),
}

/// The meaning of a status of a command of the NVM command set. A controller that says "do not retry" is believed.
pub(in crate::host) fn answer_of(status: Status) -> Answer {
    let answer = match status.code_type() {
        Some(StatusCodeType::Generic) => generic(status.kind()),
        Some(StatusCodeType::CommandSpecific) => command_specific(status.kind()),
        Some(StatusCodeType::MediaAndDataIntegrity) => media(status.kind()),
        Some(StatusCodeType::PathRelated) => path(status.kind()),
        Some(StatusCodeType::VendorSpecific) | None => Answer::Done(UNEXPECTED),
    };
    match answer {
        Answer::Again(outcome) if status.do_not_retry() => Answer::Done(outcome),
        answer => answer,
    }
}

fn generic(kind: Status) -> Answer {
    match kind {
        Status::SUCCESS => Answer::Done(Outcome::Ok),
        Status::INVALID_OPCODE | Status::INVALID_FIELD => Answer::Done(Outcome::Unsupported),
        Status::LBA_OUT_OF_RANGE => Answer::Done(Outcome::OutOfRange),
        Status::CAPACITY_EXCEEDED => Answer::Done(Outcome::NoSpace),
        Status::RESERVATION_CONFLICT => Answer::Done(Outcome::Reserved),
        Status::NAMESPACE_WRITE_PROTECTED => Answer::Done(Outcome::ReadOnly),
        Status::INVALID_NAMESPACE_OR_FORMAT => Answer::Done(Outcome::Gone),
        Status::ABORT_REQUESTED => Answer::Done(Outcome::TimedOut),
        Status::ABORTED_PREEMPT => Answer::Done(Outcome::Reserved),
        Status::TRANSIENT_TRANSPORT_ERROR | Status::COMMAND_INTERRUPTED => Answer::Again(UNEXPECTED),
        Status::NAMESPACE_NOT_READY | Status::FORMAT_IN_PROGRESS => Answer::Again(Outcome::TimedOut),
        Status::ABORTED_QUEUE_DELETION | Status::ABORTED_POWER_LOSS => Answer::Again(Outcome::Aborted),
        Status::DATA_TRANSFER_ERROR | Status::INTERNAL_ERROR => Answer::Again(UNEXPECTED),
        _unlisted => Answer::Done(UNEXPECTED),
    }
}

fn command_specific(kind: Status) -> Answer {
    match kind {
        Status::WRITE_TO_READ_ONLY_RANGE => Answer::Done(Outcome::ReadOnly),
        Status::COMMAND_SIZE_LIMIT_EXCEEDED => Answer::Done(Outcome::BadLength),
        Status::CONFLICTING_ATTRIBUTES => Answer::Done(Outcome::Unsupported),
        _unlisted => Answer::Done(UNEXPECTED),
    }
}

fn media(kind: Status) -> Answer {
    match kind {
        Status::WRITE_FAULT => Answer::Done(Outcome::WriteError),
        Status::UNRECOVERED_READ_ERROR
        | Status::GUARD_CHECK_ERROR
        | Status::APPLICATION_TAG_CHECK_ERROR
        | Status::REFERENCE_TAG_CHECK_ERROR
        | Status::STORAGE_TAG_CHECK_ERROR
        | Status::DEALLOCATED_OR_UNWRITTEN_BLOCK => Answer::Done(Outcome::ReadError),
        Status::ACCESS_DENIED => Answer::Done(Outcome::ReadOnly),
        _unlisted => Answer::Done(UNEXPECTED),
    }
}

/// Through this controller the namespace cannot be reached now; it may be later.
fn path(kind: Status) -> Answer {
    match kind {
        Status::ASYMMETRIC_ACCESS_PERSISTENT_LOSS => Answer::Done(Outcome::Gone),
        Status::ABORTED_BY_HOST => Answer::Done(Outcome::Aborted),
        _unlisted => Answer::Again(Outcome::TimedOut),
    }
}

/// The controller failed in a way it does not explain: nothing is known of the blocks.
const UNEXPECTED: Outcome = Outcome::ReadError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_ok_and_nothing_else_is() {
        for field in 0..=u16::MAX {
            let status = Status::from_wire(field);
            assert_eq!(answer_of(status) == Answer::Done(Outcome::Ok), status.is_success(), "{status}");
        }
    }

    #[test]
    fn do_not_retry_is_obeyed() {
        assert_eq!(answer_of(Status::NAMESPACE_NOT_READY), Answer::Again(Outcome::TimedOut));
        let final_status = Status::NAMESPACE_NOT_READY.with_do_not_retry();
        assert_eq!(answer_of(final_status), Answer::Done(Outcome::TimedOut));
    }
}
