//! A command capsule comes in.

use super::super::super::Context;
use super::super::framer::{Incoming, Landing};
use super::super::hold::{Held, Problem, Taken};
use super::super::outgoing::Outgoing;
use super::super::slots::{Slot, Stage};
use super::Established;
use crate::target::{Request, Transfer};
use stdx::mem::{Memory, Span};
use wire::nvme::tcp::{CapsuleCmd, HeaderError, PduLayout, R2t};
use wire::nvme::{AdminOpcode, CompletionQueueEntry, Sgl, Status, SubmissionQueueEntry};

impl Established {
    /// A capsule's header is whole; its data, if any, follows.
    pub(crate) fn handle_capsule(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        layout: &PduLayout,
        header: &[u8],
    ) -> Result<Taken, Problem> {
        let command = CapsuleCmd::view(header).map_err(Problem::Fatal)?.command;
        self.admit(outgoing, Outgoing::RESPONSE_BYTES)?;
        // Base 3.3.2: an identifier may not be used again before its command is completed.
        if self.slots.in_use(command.command_id.get()) {
            cx.shard.counters.identifier_conflicts += 1;
            return Ok(self.refuse(cx, outgoing, layout, &command, Status::COMMAND_ID_CONFLICT));
        }
        // The target is asked once for each command; what it said stands when the command was held meanwhile.
        let transfer = match self.decided.take() {
            Some(decided) => decided,
            None => match cx.target.transfer(self.queue, &command) {
                Ok(transfer) => transfer,
                Err(status) => return Ok(self.refuse(cx, outgoing, layout, &command, status)),
            },
        };
        let taken = match transfer {
            Transfer::None => self.take_plain(cx, layout, command),
            Transfer::FromController { len, lent } => {
                self.take_read(cx, outgoing, layout, command, len as usize, lent)
            }
            Transfer::ToController { len } => self.take_write(cx, outgoing, layout, command, len as usize),
        };
        if matches!(taken, Err(Problem::Held(_))) {
            self.decided = Some(transfer);
        }
        taken
    }

    /// Makes sure that a command finds a slot, and its answer room for `header_bytes` of headers.
    fn admit(&self, outgoing: &Outgoing, header_bytes: usize) -> Result<(), Problem> {
        if !self.slots.has_room() {
            // More commands than the queue has entries. Those being executed will make room; a host that owes the data
            // of all of them cannot send it behind yet another command.
            let stuck = self.slots.executing() == 0;
            return Err(if stuck {
                Problem::Fatal(HeaderError::Sequence)
            } else {
                Problem::Held(Held::Slots)
            });
        }
        if outgoing.transmit.header_room() < self.reserved_bytes + header_bytes {
            return Err(Problem::Held(Held::Headers(header_bytes)));
        }
        Ok(())
    }

    /// A command without data.
    fn take_plain(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        command: SubmissionQueueEntry,
    ) -> Result<Taken, Problem> {
        self.start(cx, command, Span::EMPTY, 0, Outgoing::RESPONSE_BYTES);
        Ok(Taken(Incoming::unwanted(layout)))
    }

    /// A command that brings the host data.
    fn take_read(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &Outgoing,
        layout: &PduLayout,
        command: SubmissionQueueEntry,
        len: usize,
        lent: bool,
    ) -> Result<Taken, Problem> {
        // A digest is computed over memory that nobody changes, so not over what a volume lends.
        let lent = lent && !outgoing.digests.data;
        let limits = &cx.shard.limits;
        let ahead_max = if lent { limits.lent_ahead_bytes_max } else { limits.read_ahead_bytes_max };
        let others_max = ahead_max.saturating_sub(len);
        if outgoing.transmit.bytes() + self.promised_bytes > others_max {
            return Err(Problem::Held(Held::ReadAhead(others_max)));
        }
        let header_bytes = outgoing.read_bytes(len, cx.shard.limits.c2h_data_bytes_max);
        self.admit(outgoing, header_bytes)?;
        let buffer = if len == 0 || lent { Span::EMPTY } else { take(cx, len)? };
        self.start(cx, command, buffer, len, header_bytes);
        Ok(Taken(Incoming::unwanted(layout)))
    }

    /// A command that brings data of the host's: with it, or after it is asked for.
    fn take_write(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        layout: &PduLayout,
        command: SubmissionQueueEntry,
        len: usize,
    ) -> Result<Taken, Problem> {
        if len == 0 {
            return self.take_plain(cx, layout, command);
        }
        let mut slot = Slot {
            command,
            stage: Stage::Receiving,
            buffer: Span::EMPTY,
            wanted: len as u32,
            received: 0,
            solicited: false,
            failed: None,
            promised_bytes: 0,
            header_bytes: Outgoing::RESPONSE_BYTES as u32,
        };
        let Ok(Sgl::InCapsule { offset, length }) = command.data.decode() else {
            self.admit(outgoing, Outgoing::R2T_BYTES + Outgoing::RESPONSE_BYTES)?;
            slot.solicited = true;
            slot.header_bytes += Outgoing::R2T_BYTES as u32;
            let index = self.insert(slot);
            self.waiting.push_back(index);
            self.solicit(cx, outgoing);
            return Ok(Taken(Incoming::unwanted(layout)));
        };
        let end = offset.checked_add(u64::from(length));
        if end.is_none_or(|end| end > u64::from(layout.data_len)) || length as usize != len {
            let status = Status::SGL_OFFSET_INVALID.with_do_not_retry();
            return Ok(self.refuse(cx, outgoing, layout, &command, status));
        }
        slot.buffer = take(cx, len)?;
        let buffer = slot.buffer;
        let index = self.insert(slot);
        Ok(Taken(Incoming::new(layout, Landing::Slot(index), offset as usize, buffer)))
    }

    /// Asks hosts for the data of commands that wait, as far as there are buffers.
    pub(crate) fn solicit(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) {
        while let Some(&index) = self.waiting.front() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let len = slot.wanted as usize;
            let taken = cx.shard.solicited_bytes;
            if taken > 0 && taken + len > cx.shard.limits.solicited_bytes_max {
                return;
            }
            let Some(buffer) = cx.env.mem().take(len) else { return };
            cx.shard.solicited_bytes += len;
            self.asked_bytes += len;
            slot.buffer = buffer;
            slot.header_bytes -= Outgoing::R2T_BYTES as u32;
            self.reserved_bytes -= Outgoing::R2T_BYTES;
            self.waiting.pop_front();
            // One R2T for all of it: the host cuts it into PDUs of at most MAXH2CDATA itself.
            let command_id = slot.command.command_id.get();
            let request = R2t { command_id, transfer_tag: index, offset: 0, length: len as u32 };
            outgoing.ready_to_transfer(cx, &request);
        }
    }

    /// Gives a command to the target at once.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        command: SubmissionQueueEntry,
        buffer: Span,
        promised_bytes: usize,
        header_bytes: usize,
    ) {
        let slot = Slot {
            command,
            stage: Stage::Executing,
            buffer,
            wanted: 0,
            received: 0,
            solicited: false,
            failed: None,
            promised_bytes: promised_bytes as u32,
            header_bytes: header_bytes as u32,
        };
        let index = self.insert(slot);
        self.submit(cx, index, command, buffer);
    }

    pub(super) fn submit(
        &mut self,
        cx: &mut Context<'_>,
        index: u16,
        command: SubmissionQueueEntry,
        data: Span,
    ) {
        let request = Request { connection: self.connection, slot: u32::from(index), command, data };
        cx.target.submit(cx.env, self.queue, request);
    }

    fn insert(&mut self, slot: Slot) -> u16 {
        self.submission_queue.advance();
        self.promised_bytes += slot.promised_bytes as usize;
        self.reserved_bytes += slot.header_bytes as usize;
        self.slots.insert(slot)
    }

    /// Answers a command that is not executed. Its data is not wanted.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        layout: &PduLayout,
        command: &SubmissionQueueEntry,
        status: Status,
    ) -> Taken {
        self.submission_queue.advance();
        let completion = CompletionQueueEntry::new(command.command_id.get(), status)
            .with_submission_queue_head(self.submission_queue.head());
        outgoing.response(cx, &completion);
        Taken(Incoming::unwanted(layout))
    }
}

/// Whether a command waits for something that may never happen.
pub(super) fn is_patient(command: &SubmissionQueueEntry) -> bool {
    command.opcode == AdminOpcode::AsynchronousEventRequest.code()
}

fn take(cx: &mut Context<'_>, len: usize) -> Result<Span, Problem> {
    debug_assert!(len <= Memory::BUFFER_MAX, "the target refuses transfers longer than any buffer");
    cx.env.mem().take(len).ok_or(Problem::Held(Held::Buffers(len)))
}
