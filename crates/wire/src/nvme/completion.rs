//! The completion queue entry: 16 bytes (Base 3.3.3.2, figure 92).
//!
//! Over Fabrics the queue identifier and the phase bit have no use: a response capsule belongs to its connection.

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::status::Status;
use crate::{BufferTooSmall, Truncated};

/// The 16 bytes of a completion.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CompletionQueueEntry {
    /// Dwords 0 and 1: what the command returns beside its data.
    pub result: U64,
    /// Submission queue head pointer (SQHD).
    pub submission_queue_head: U16,
    /// Submission queue identifier (SQID), reserved over Fabrics.
    pub submission_queue_id: U16,
    /// The identifier of the completed command.
    pub command_id: U16,
    /// Status in bits 15:1, phase tag in bit 0.
    pub status: U16,
}

impl CompletionQueueEntry {
    /// Bytes of a completion.
    pub const LEN: usize = 16;

    /// A completion of `command_id` with this status and no result.
    pub const fn new(command_id: u16, status: Status) -> Self {
        Self {
            result: U64::new(0),
            submission_queue_head: U16::new(0),
            submission_queue_id: U16::new(0),
            command_id: U16::new(command_id),
            status: U16::new(status.to_wire()),
        }
    }

    /// The same completion with a 64-bit result (only Property Get has one wider than dword 0).
    pub const fn with_result(mut self, result: u64) -> Self {
        self.result = U64::new(result);
        self
    }

    /// The same completion with the submission queue head pointer.
    pub const fn with_submission_queue_head(mut self, head: u16) -> Self {
        self.submission_queue_head = U16::new(head);
        self
    }

    /// The status, whatever the phase tag.
    pub fn status(&self) -> Status {
        Status::from_wire(self.status.get())
    }

    /// Dword 0 of the result.
    pub fn dword0(&self) -> u32 {
        self.result.get() as u32
    }

    /// Borrows a completion from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 16 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_standard_puts_them() {
        let completion = CompletionQueueEntry::new(0x1234, Status::INVALID_FIELD.with_do_not_retry())
            .with_result(0x0807_0605_0403_0201)
            .with_submission_queue_head(9);
        let mut bytes = [0; 16];
        assert_eq!(completion.encode(&mut bytes), Ok(16));
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0x34, 0x12, 0x04, 0x80]);
        let back = CompletionQueueEntry::view(&bytes).unwrap();
        assert_eq!(back.status(), Status::INVALID_FIELD.with_do_not_retry());
        assert_eq!(back.dword0(), 0x0403_0201);
    }
}
