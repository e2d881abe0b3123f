//! A response of the target goes out.

use super::super::super::Context;
use super::super::outgoing::{Outgoing, ReadData};
use super::{Established, give};
use crate::target::Response;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use wire::nvme::{CompletionQueueEntry, Status};

/// What a command is answered with.
pub(super) struct Answer {
    pub(super) command_id: u16,
    pub(super) status: Status,
    pub(super) result: u64,
    /// What it read, if it did; sent if the status is a success.
    pub(super) data: Span,
    /// The command's own buffer, if it has one: it goes back now, or when the data in it is sent.
    pub(super) buffer: Span,
}

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
        let stale = u16::from(planted(Bug::CommandIdentifierStale) && self.slots.executing() > 2);
        let data = if removed.promised_bytes == 0 { Span::EMPTY } else { response.data };
        let answer = Answer {
            command_id: removed.command_id.wrapping_sub(stale),
            status: response.status,
            result: response.result,
            data,
            buffer: removed.buffer,
        };
        self.answer(cx, outgoing, &answer);
    }

    /// Queues the data and the completion of a command.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing, answer: &Answer) {
        let &Answer { command_id, status, result, data, buffer } = answer;
        let own = !buffer.is_empty() && data.region == buffer.region;
        let lost = planted(Bug::CompletionLost) && outgoing.transmit.bytes() > 0;
        let with_data = !data.is_empty() && status.is_success();
        if !buffer.is_empty() && (!own || !with_data || lost) {
            cx.env.mem().give(buffer);
        }
        if lost {
            return;
        }
        let completion = CompletionQueueEntry::new(command_id, status)
            .with_result(result)
            .with_submission_queue_head(self.submission_queue.head());
        if !with_data {
            return outgoing.response(cx, &completion);
        }
        // Without a response capsule the host learns neither a result nor how far the queue's head is (TCP transport
        // 3.3.2.1), so only a host that gave up flow control is spared it.
        let success = cx.target.options().c2h_success
            && !self.submission_queue.has_flow_control()
            && result == 0
            && status.to_wire() == 0;
        let read = ReadData { command_id, data, buffer: own.then_some(buffer), success };
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
