//! A command whose data is at hand and whose volume does it at once: it is answered before the next one is looked at, and
//! takes neither slot nor buffer.

use super::super::super::Context;
use super::super::outgoing::Outgoing;
use super::Established;
use super::answer::Answer;
use stdx::mem::{Memory, Span};
use wire::nvme::tcp::{CapsuleCmd, PduLayout};
use wire::nvme::{Sgl, Status, SubmissionQueueEntry};

impl Established {
    /// A capsule's header is whole, and `following` is what came behind it. Says how many bytes of that the command took;
    /// `None` if nothing was done, because it is not one of this kind.
    pub(crate) fn perform(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        layout: &PduLayout,
        header: &[u8],
        following: Span,
    ) -> Option<usize> {
        let command = &CapsuleCmd::view(header).ok()?.command;
        let used = layout.padding_len() as usize + layout.data_len as usize;
        // Digests are computed over memory that nobody changes meanwhile, and a command that was held is half decided.
        if outgoing.digests.data || self.decided.is_some() || following.len() < used {
            return None;
        }
        let command_id = command.command_id.get();
        if self.slots.in_use(command_id) || !self.has_slot() || !self.has_room_for(cx, outgoing, command) {
            return None;
        }
        let at_hand = following.slice(layout.padding_len() as usize, layout.data_len as usize);
        let brought = match command.data.decode() {
            Ok(Sgl::InCapsule { offset: 0, length }) if length == layout.data_len => at_hand,
            Ok(Sgl::Transport { .. }) if at_hand.is_empty() => Span::EMPTY,
            _ => return None,
        };
        let data = cx.target.perform(cx.env, self.queue, command, brought)?;
        self.submission_queue.advance();
        let answer = Answer { command_id, status: Status::SUCCESS, result: 0, data, buffer: Span::EMPTY };
        self.answer(cx, outgoing, &answer);
        Some(used)
    }

    /// Whether the answer finds room, and as much read data as it may bring is allowed to be under way.
    fn has_room_for(&self, cx: &Context<'_>, outgoing: &Outgoing, command: &SubmissionQueueEntry) -> bool {
        let limits = &cx.shard.limits;
        let header_bytes = outgoing.read_bytes(Memory::BUFFER_MAX, limits.c2h_data_bytes_max);
        let len = match command.data.decode() {
            Ok(Sgl::Transport { length }) => length as usize,
            _ => 0,
        };
        outgoing.transmit.header_room() >= self.reserved_bytes + header_bytes
            && outgoing.transmit.bytes() + self.promised_bytes + len <= limits.lent_ahead_bytes_max
    }
}
