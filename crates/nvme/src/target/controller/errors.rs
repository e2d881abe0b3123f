//! The error log of a controller: the latest failures, newest first (Base 5.16.1.2).

use std::collections::VecDeque;
use wire::nvme::Status;
use wire::nvme::log::{ErrorEntry, TransportType};
use zerocopy::little_endian::{U16, U32, U64};

use super::super::Target;
use stdx::slab::Key;
use wire::nvme::SubmissionQueueEntry;

/// A command that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) queue_id: u16,
    pub(super) command_id: u16,
    pub(super) status: Status,
    pub(super) first_block: u64,
    pub(super) namespace_id: u32,
}

/// The latest failures.
#[derive(Debug, Default)]
pub(in super::super) struct ErrorLog {
    latest: VecDeque<ErrorEntry>,
    count: u64,
}

impl ErrorLog {
    pub(super) fn note(&mut self, failure: Failure) {
        self.count += 1;
        if self.latest.len() == ENTRIES {
            self.latest.pop_back();
        }
        let mut entry = ErrorEntry::zeroed();
        entry.error_count = U64::new(self.count);
        entry.queue_id = U16::new(failure.queue_id);
        entry.command_id = U16::new(failure.command_id);
        entry.status = U16::new(failure.status.to_wire());
        entry.parameter_location = U16::new(NO_PARAMETER);
        entry.logical_block = U64::new(failure.first_block);
        entry.namespace_id = U32::new(failure.namespace_id);
        entry.transport = TransportType::Tcp.code();
        self.latest.push_front(entry);
    }

    /// How many failures there ever were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The log page: 64 bytes an entry, unused ones zero.
    pub(super) fn page(&self) -> Vec<u8> {
        let mut page = vec![0; ENTRIES * ErrorEntry::LEN];
        for (entry, place) in self.latest.iter().zip(page.chunks_mut(ErrorEntry::LEN)) {
            // A place is as long as an entry.
            let _ = entry.encode(place);
        }
        page
    }
}

impl Target {
    /// Keeps the error of a command that no volume has seen.
    pub(in super::super) fn note_error(&mut self, key: Key, command: &SubmissionQueueEntry, status: Status) {
        let Some(queue) = self.queues.get(key) else { return };
        let Some(controller) = self.controllers.get_mut(queue.controller) else { return };
        controller.errors.note(Failure {
            queue_id: queue.id,
            command_id: command.command_id.get(),
            status,
            first_block: 0,
            namespace_id: command.namespace_id.get(),
        });
    }
}

/// Entries kept (ELPE + 1).
pub(super) const ENTRIES: usize = 64;

const NO_PARAMETER: u16 = 0xffff;
