//! The data pointer of a command against the data the command moves (Base 4.1.2, TCP transport 3.3.1, RDMA transport 3.1.2).
//!
//! A command carries one descriptor (several, over RDMA, have been joined to one by the transport): data in its capsule, or data the
//! transport moves, over RDMA with a key. The length it gives is the length the command's other fields give, or more where the
//! standard's hosts send more than they use.

use super::Transport;
use super::seam::Transfer;
use wire::nvme::command::DataPointer;
use wire::nvme::{Sgl, SglError, Status, SubmissionQueueEntry};

/// What a capsule may carry and a command may move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of data in the capsule.
    pub(super) in_capsule: u32,
    /// Bytes of data of a command.
    pub(super) transfer: u32,
    /// How the command came.
    pub(super) transport: Transport,
}

/// Data to the controller, exactly `len` bytes.
pub(super) fn to_controller(
    command: &SubmissionQueueEntry,
    len: u64,
    limits: &Limits,
) -> Result<Transfer, Status> {
    let given = descriptor(command, limits, true)?;
    check_length(len, given, limits)?;
    Ok(Transfer::ToController { len: given })
}

/// Data to the controller, at least `len` and at most `most` bytes: what is beyond `len` is not looked at.
pub(super) fn to_controller_at_least(
    command: &SubmissionQueueEntry,
    len: u32,
    most: u32,
    limits: &Limits,
) -> Result<Transfer, Status> {
    let given = descriptor(command, limits, true)?;
    if given < len || given > most {
        return Err(Status::DATA_SGL_LENGTH_INVALID);
    }
    Ok(Transfer::ToController { len: given })
}

/// Data from the controller, exactly `len` bytes.
pub(super) fn from_controller(
    command: &SubmissionQueueEntry,
    len: u64,
    lent: bool,
    limits: &Limits,
) -> Result<Transfer, Status> {
    let given = descriptor(command, limits, false)?;
    check_length(len, given, limits)?;
    Ok(Transfer::FromController { len: given, lent })
}

/// A command without data: whatever its descriptor says.
pub(super) fn none(command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
    check_pointer(command)?;
    Ok(Transfer::None)
}

fn check_length(len: u64, given: u32, limits: &Limits) -> Result<(), Status> {
    if len > u64::from(limits.transfer) {
        return Err(Status::INVALID_FIELD);
    }
    if len == u64::from(given) { Ok(()) } else { Err(Status::DATA_SGL_LENGTH_INVALID) }
}

/// Fabrics commands use SGLs only, and no metadata SGL (Base 3.3.3.1).
fn check_pointer(command: &SubmissionQueueEntry) -> Result<(), Status> {
    match command.data_pointer() {
        Some(DataPointer::Sgl) => Ok(()),
        Some(DataPointer::Prp | DataPointer::SglWithMetadata) | None => Err(Status::INVALID_FIELD),
    }
}

/// The length the descriptor gives.
fn descriptor(command: &SubmissionQueueEntry, limits: &Limits, to_controller: bool) -> Result<u32, Status> {
    check_pointer(command)?;
    match command.data.decode() {
        Ok(Sgl::Transport { length }) if limits.transport == Transport::Tcp => Ok(length),
        Ok(Sgl::Keyed { length, .. }) if limits.transport == Transport::Rdma => Ok(length),
        Ok(Sgl::InCapsule { offset, length }) => {
            if !to_controller {
                return Err(Status::INVALID_FIELD);
            }
            let end = offset.checked_add(u64::from(length));
            let fits = end.is_some_and(|end| end <= u64::from(limits.in_capsule));
            if fits { Ok(length) } else { Err(Status::SGL_OFFSET_INVALID) }
        }
        Ok(Sgl::Segment { .. }) => Err(Status::INVALID_SGL_DESCRIPTOR_COUNT),
        Ok(Sgl::Transport { .. } | Sgl::Keyed { .. } | Sgl::DataBlock { .. } | Sgl::BitBucket { .. })
        | Err(SglError::Type(..)) => Err(Status::SGL_DESCRIPTOR_TYPE_INVALID),
        Err(SglError::SegmentLength(_)) => Err(Status::INVALID_SGL_SEGMENT_DESCRIPTOR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { in_capsule: 8192, transfer: 1 << 20, transport: Transport::Tcp };

    fn command(sgl: Sgl) -> SubmissionQueueEntry {
        SubmissionQueueEntry::new(1, 0).with_data(sgl)
    }

    #[test]
    fn a_descriptor_must_fit_the_command_and_the_capsule() {
        let write = |sgl, len| to_controller(&command(sgl), len, &LIMITS);
        assert_eq!(write(Sgl::Transport { length: 4096 }, 4096), Ok(Transfer::ToController { len: 4096 }));
        assert_eq!(write(Sgl::Transport { length: 4096 }, 4097), Err(Status::DATA_SGL_LENGTH_INVALID));
        assert_eq!(write(Sgl::Transport { length: 2 << 20 }, 2 << 20), Err(Status::INVALID_FIELD));
        let capsule = |offset, length| Sgl::InCapsule { offset, length };
        assert_eq!(write(capsule(4096, 4096), 4096), Ok(Transfer::ToController { len: 4096 }));
        assert_eq!(write(capsule(4097, 4096), 4096), Err(Status::SGL_OFFSET_INVALID));
        assert_eq!(write(capsule(u64::MAX, 4096), 4096), Err(Status::SGL_OFFSET_INVALID));
        let address = Sgl::DataBlock { address: 0, length: 4096 };
        assert_eq!(write(address, 4096), Err(Status::SGL_DESCRIPTOR_TYPE_INVALID));
        let segment = Sgl::Segment { address: 0, length: 32, in_capsule: true, last: true };
        assert_eq!(write(segment, 4096), Err(Status::INVALID_SGL_DESCRIPTOR_COUNT));
    }

    #[test]
    fn reads_come_through_the_transport_alone() {
        let read = command(Sgl::InCapsule { offset: 0, length: 512 });
        assert_eq!(from_controller(&read, 512, false, &LIMITS), Err(Status::INVALID_FIELD));
        let mut prp = command(Sgl::Transport { length: 512 });
        prp.flags = 0;
        assert_eq!(from_controller(&prp, 512, false, &LIMITS), Err(Status::INVALID_FIELD));
        assert_eq!(none(&prp), Err(Status::INVALID_FIELD));
    }
}
