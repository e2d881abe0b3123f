//! The reservation notification log of a controller (Base 5.16.1.24): one page an event, oldest first.

use std::collections::VecDeque;
use wire::nvme::log::{ReservationNotification, ReservationNotificationType};
use zerocopy::little_endian::{U32, U64};

/// Notifications the host has not read.
#[derive(Debug, Default)]
pub(in super::super::super) struct NotificationLog {
    waiting: VecDeque<(u64, ReservationNotificationType, u32)>,
    count: u64,
}

impl NotificationLog {
    /// Keeps a notification; when there are too many the oldest is lost, which a gap in the counts shows.
    pub(super) fn note(&mut self, kind: ReservationNotificationType, namespace_id: u32) {
        self.count += 1;
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((self.count, kind, namespace_id));
    }

    /// The page of the oldest; all zero if there is none.
    pub(in super::super::super) fn page(&self) -> ReservationNotification {
        let mut page = ReservationNotification::zeroed();
        if let Some(&(count, kind, namespace_id)) = self.waiting.front() {
            page.count = U64::new(count);
            page.kind = kind.code();
            page.pending = (self.waiting.len() - 1).min(usize::from(u8::MAX)) as u8;
            page.namespace_id = U32::new(namespace_id);
        }
        page
    }

    /// The oldest was read; true if more wait.
    pub(in super::super::super) fn advance(&mut self) -> bool {
        self.waiting.pop_front();
        !self.waiting.is_empty()
    }
}

const WAITING_MAX: usize = 256;
