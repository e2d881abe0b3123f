//! What comes of a connection: the answer to its request, responses, requests that are done, the end.

use super::QueueEnd;
use super::queue::{Context, QueuePair, State};
use stdx::planted::{Bug, planted};
use verbs::endpoint::Received;
use verbs::{CompletionKind, Data as Bytes, PrivateData, Rejection, Status as Outcome, Work};
use wire::nvme::CompletionQueueEntry;
use wire::nvme::rdma::{QueueAccept, RejectStatus};

impl QueuePair {
    /// The controller accepted. No more commands are outstanding than it has receives for (CRQSIZE).
    pub(super) fn handle_established(&mut self, private_data: &PrivateData) {
        if self.state != State::Connecting {
            return;
        }
        match QueueAccept::decode(private_data.bytes()) {
            Ok(Some(QueueAccept { controller_receive_size: receives @ 1.. })) => {
                if !planted(Bug::QueueOverrun) {
                    self.outstanding_max = self.outstanding_max.min(receives.into());
                }
                self.state = State::Established;
            }
            Ok(_) | Err(_) => self.end(QueueEnd::BadAccept),
        }
    }

    /// The connection did not come about.
    pub(super) fn handle_refused(&mut self, why: Option<(Rejection, PrivateData)>) {
        self.connection = None;
        self.end(match why {
            None => QueueEnd::Unreachable,
            Some((Rejection::NoListener, _)) => QueueEnd::NoListener,
            Some((Rejection::Other(reason), _)) => QueueEnd::Refused(reason),
            Some((Rejection::Consumer, private_data)) => match RejectStatus::decode(private_data.bytes()) {
                Ok(Some(status)) => QueueEnd::Rejected(status),
                Ok(None) | Err(_) => QueueEnd::RejectedOtherwise,
            },
        });
    }

    /// A message came. It is given back at once.
    pub(super) fn handle_received(&mut self, cx: &mut Context<'_>, received: Received) {
        let taken = self.take_response(cx, &received);
        if let Some(connection) = self.connection {
            cx.endpoint.release(cx.device, connection, received);
        }
        if let Err(why) = taken {
            self.end(why);
        }
    }

    fn take_response(&mut self, cx: &mut Context<'_>, received: &Received) -> Result<(), QueueEnd> {
        let mut bytes = [0; CompletionQueueEntry::LEN];
        if received.len as usize != bytes.len() {
            return Err(QueueEnd::Length(received.len));
        }
        cx.env.mem().read(cx.endpoint.message(received), &mut bytes);
        let completion = CompletionQueueEntry::view(&bytes).map_err(|_| QueueEnd::Length(received.len))?;
        let id = completion.command_id.get();
        let unknown = QueueEnd::UnknownCommand(id);
        let slot = self.commands.find(id).ok_or(unknown)?;
        let command = self.commands.get_mut(slot).ok_or(unknown)?;
        if !command.posted || command.response.is_some() {
            return Err(unknown);
        }
        if let Some(closed) = received.invalidated {
            if command.key != Some(closed) {
                return Err(QueueEnd::Invalidation);
            }
            command.key = None;
        }
        command.response = Some((completion.status(), completion.result.get()));
        // A controller need not have closed the key, whatever it was asked (Base 4.1.2.2): then we do.
        if let (Some(key), Some(connection)) = (command.key, self.connection) {
            let invalidate = Work::Invalidate(key);
            let posted = cx.endpoint.post(cx.device, connection, slot.into(), invalidate, Bytes::NONE, false);
            // There is room, unless the connection ends: then all keys are closed.
            debug_assert!(posted != Err(verbs::PostError::Full));
        }
        self.submission.handle_head(completion.submission_queue_head.get());
        self.settle(slot);
        Ok(())
    }

    /// The device is done with a request of the command at a place.
    pub(super) fn handle_done(&mut self, token: u32, kind: CompletionKind, outcome: Outcome) {
        if outcome != Outcome::Success {
            self.failed.get_or_insert(outcome);
            return;
        }
        let Ok(slot) = u16::try_from(token) else { return };
        let Some(command) = self.commands.get_mut(slot) else { return };
        match kind {
            CompletionKind::Send => command.is_lent = false,
            CompletionKind::Invalidate => command.key = None,
            _ => return,
        }
        self.settle(slot);
    }

    /// The connection ends.
    pub(super) fn handle_broken(&mut self) {
        self.end(match self.failed {
            Some(outcome) if outcome != Outcome::Flushed => QueueEnd::Broken(outcome),
            Some(_) | None => QueueEnd::ByPeer,
        });
    }
}
