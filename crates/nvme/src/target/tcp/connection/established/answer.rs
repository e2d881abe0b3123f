//! A response of the target goes out.

use super::super::super::Context;
use super::super::outgoing::{Outgoing, ReadData};
use super::{Established, give};
use crate::target::Response;
use stdx::planted::{Bug, planted};
use wire::nvme::CompletionQueueEntry;

impl Established {
    /// The target is done with a command: its data and its completion are queued.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        response: &Response,
    ) {
        let Some(removed) = u16::try_from(response.slot).ok().and_then(|slot| self.remove(cx, slot)) else {
            debug_assert!(false, "the target answers what it was given");
            return;
        };
        if planted(Bug::CompletionLost) && outgoing.transmit.bytes() > 0 {
            return give(cx, &removed);
        }
        let stale = u16::from(planted(Bug::CommandIdentifierStale) && self.slots.executing() > 2);
        let completion = CompletionQueueEntry::new(removed.command_id.wrapping_sub(stale), response.status)
            .with_result(response.result)
            .with_submission_queue_head(self.submission_queue.head());
        if removed.promised_bytes == 0 || response.data.is_empty() || !response.status.is_success() {
            give(cx, &removed);
            return outgoing.response(cx, &completion);
        }
        // Without a response capsule the host learns neither a result nor how far the queue's head is (TCP transport
        // 3.3.2.1), so only a host that gave up flow control is spared it.
        let success = cx.target.options().c2h_success
            && !self.submission_queue.flow_control
            && response.result == 0
            && response.status.to_wire() == 0;
        let own = !removed.buffer.is_empty() && response.data.region == removed.buffer.region;
        let read = ReadData {
            command_id: removed.command_id,
            data: response.data,
            buffer: own.then_some(removed.buffer),
            success,
        };
        if !own {
            give(cx, &removed);
        }
        outgoing.read_data(cx, &read);
        if !success {
            outgoing.response(cx, &completion);
        }
    }

    /// The target is done with a command of a connection that has ended.
    pub(crate) fn drop_response(&mut self, cx: &mut Context<'_>, response: &Response) {
        if let Some(removed) = u16::try_from(response.slot).ok().and_then(|slot| self.remove(cx, slot)) {
            give(cx, &removed);
        }
    }
}
