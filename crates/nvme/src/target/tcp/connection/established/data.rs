//! Data of the host comes in: H2CData that answers an R2T, and the end of any data.

use super::super::super::Context;
use super::super::framer::{Incoming, Landing};
use super::super::hold::{Problem, Taken};
use super::super::outgoing::Outgoing;
use super::super::slots::Stage;
use super::{Established, give};
use stdx::planted::{Bug, planted};
use wire::nvme::tcp::{H2cData, HeaderError, HeaderField, PduLayout};
use wire::nvme::{CompletionQueueEntry, Status};

impl Established {
    /// The header of an H2CData is whole. It must answer the R2T of a command, continuing where the one before ended
    /// (TCP transport 3.3.2.2: data comes in order), and announce the end of the data where the end is.
    pub(crate) fn handle_data(&mut self, layout: &PduLayout, header: &[u8]) -> Result<Taken, Problem> {
        let data = H2cData::decode(layout, header).map_err(Problem::Fatal)?;
        let invalid = |field| Problem::Fatal(HeaderError::InvalidField(field));
        let slot = self.slots.get_mut(data.transfer_tag);
        let asked =
            slot.filter(|slot| slot.stage == Stage::Receiving && slot.solicited && !slot.buffer.is_empty());
        let slot = asked.ok_or(invalid(HeaderField::TransferTag))?;
        if slot.command.command_id.get() != data.command_id {
            return Err(invalid(HeaderField::CommandId));
        }
        let left = slot.wanted - slot.received;
        if data.offset != slot.received || data.length > left {
            return Err(Problem::Fatal(HeaderError::DataOutOfRange));
        }
        if data.last != (data.length == left) {
            return Err(invalid(HeaderField::Flags));
        }
        let start = if planted(Bug::DataOffsetForgotten) { 0 } else { slot.received as usize };
        slot.received += data.length;
        let part = slot.buffer.slice(start, data.length as usize);
        self.asked_bytes -= part.len();
        Ok(Taken(Incoming::new(layout, Landing::Slot(data.transfer_tag), 0, part)))
    }

    /// All data of a PDU has landed. A digest that does not match fails the command (TCP transport 3.4.1.2), once all of
    /// its data has come.
    pub(crate) fn handle_landed(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        index: u16,
        intact: bool,
    ) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if !intact {
            cx.shard.counters.data_digest_errors += 1;
            slot.failed = Some(Status::TRANSIENT_TRANSPORT_ERROR);
        }
        if slot.solicited && slot.received < slot.wanted {
            return;
        }
        let (command, buffer) = (slot.command, slot.buffer);
        match slot.failed {
            None => {
                if core::mem::take(&mut slot.solicited) {
                    cx.shard.solicited_bytes -= buffer.len();
                }
                self.slots.start(index);
                self.submit(cx, index, command, buffer);
            }
            Some(status) => {
                cx.target.abandon(self.queue, &command, status);
                let completion = CompletionQueueEntry::new(command.command_id.get(), status)
                    .with_submission_queue_head(self.submission_queue.head());
                if let Some(removed) = self.remove(cx, index) {
                    give(cx, &removed);
                }
                outgoing.response(cx, &completion);
            }
        }
    }
}
