//! Data moves: out of the capsule, out of the host's memory, and into it (RDMA Transport 3.1.2).

use super::Context;
use super::list::List;
use super::queue::{Queue, Stage};
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use verbs::endpoint::{Answer, Received};
use verbs::{CompletionKind, Key, Remote, Status as Outcome};
use wire::nvme::{CompletionQueueEntry, Sgl, Status, SubmissionQueueEntry};

impl Queue {
    /// Brings a command's data here, then gives it to the target.
    pub(super) fn bring(&mut self, cx: &mut Context<'_>, index: u16, len: u32, in_capsule: Span) {
        let Some(slot) = self.slot(index) else { return };
        match slot.command.data.decode() {
            Ok(Sgl::InCapsule { offset, length }) => {
                let end = offset.checked_add(u64::from(length));
                let fits = length == len && end.is_some_and(|end| end <= in_capsule.len() as u64);
                match fits {
                    // The data is used where it lies; the message is held until the answer.
                    true => self.submit(cx, index, in_capsule.slice(offset as usize, len as usize)),
                    false => self.abandon(cx, index, Status::SGL_OFFSET_INVALID),
                }
            }
            Ok(Sgl::Keyed { .. }) => {
                (slot.wanted, slot.to_controller) = (len, true);
                self.release_message(cx, index);
                self.advance(cx, index);
            }
            Ok(_) | Err(_) => self.abandon(cx, index, Status::SGL_DESCRIPTOR_TYPE_INVALID),
        }
    }

    /// Finds a buffer for what a command brings the host, then gives it to the target.
    pub(super) fn prepare(&mut self, cx: &mut Context<'_>, index: u16, len: u32) {
        let Some(slot) = self.slot(index) else { return };
        if !matches!(slot.command.data.decode(), Ok(Sgl::Keyed { .. })) {
            return self.abandon(cx, index, Status::SGL_DESCRIPTOR_TYPE_INVALID);
        }
        slot.wanted = len;
        self.release_message(cx, index);
        self.advance(cx, index);
    }

    /// A command that the target has accepted is not executed after all.
    fn abandon(&mut self, cx: &mut Context<'_>, index: u16, status: Status) {
        let status = status.with_do_not_retry();
        let queue = self.established.map(|established| established.queue);
        if let (Some(queue), Some(slot)) = (queue, self.slot(index)) {
            let command = slot.command;
            cx.target.abandon(queue, &command, status);
        }
        self.answer(cx, index, status, 0, 0);
    }

    /// A command whose data is at hand and whose volume does it at once. False if nothing was done.
    pub(super) fn perform(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
        command: &SubmissionQueueEntry,
        in_capsule: Span,
    ) -> bool {
        let Some(queue) = self.established.map(|established| established.queue) else { return false };
        let (brought, wanted) = match command.data.decode() {
            Ok(Sgl::InCapsule { offset: 0, length }) if length > 0 && length as usize == in_capsule.len() => {
                (in_capsule, 0)
            }
            Ok(Sgl::Keyed { length, .. }) if length as usize <= Memory::BUFFER_MAX => (Span::EMPTY, length),
            _ => return false,
        };
        // The buffer comes first: what was performed must be answered.
        let buffer = match wanted {
            0 => Span::EMPTY,
            wanted => match self.take_buffer(cx, wanted) {
                Some(buffer) => buffer,
                None => return false,
            },
        };
        let Some(data) = cx.target.perform(cx.env, queue, command, brought) else {
            if !buffer.is_empty() {
                cx.env.mem().give(buffer);
            }
            return false;
        };
        debug_assert!(data.len() <= buffer.len());
        cx.env.mem().copy(buffer.first(data.len()), data);
        let index = self.add(received, *command);
        if let Some(slot) = self.slot(index) {
            slot.buffer = buffer;
        }
        self.answer(cx, index, Status::SUCCESS, 0, data.len);
        true
    }

    /// Does the next thing for a slot. False if it has to wait.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let Some(slot) = self.slot(index) else { return true };
        match slot.stage {
            Stage::Buffer => {
                let (wanted, to_controller) = (slot.wanted, slot.to_controller);
                let taken = match to_controller {
                    true => cx.env.mem().take(wanted as usize),
                    false => self.take_buffer(cx, wanted),
                };
                let (Some(buffer), Some(slot)) = (taken, self.slot(index)) else { return false };
                slot.buffer = buffer;
                if to_controller && !planted(Bug::DataNotAwaited) {
                    slot.stage = Stage::Fetch;
                    return self.step(cx, index);
                }
                self.submit(cx, index, buffer);
                true
            }
            Stage::Fetch => self.fetch(cx, index),
            Stage::Reply => self.reply(cx, index),
            Stage::Free | Stage::Fetching | Stage::Executing | Stage::Replying => true,
        }
    }

    /// A buffer for what the host gets. What an admin queue brings is not worth memory of its own.
    fn take_buffer(&self, cx: &mut Context<'_>, len: u32) -> Option<Span> {
        if self.asked.queue_id == 0 {
            return cx.env.mem().take(len as usize);
        }
        cx.endpoint.take_buffer(cx.env, cx.device, self.connection, len as usize)
    }

    fn fetch(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        if self.list(index).is_some() {
            return self.fetch_list(cx, index);
        }
        let connection = self.connection;
        let Some(slot) = self.slot(index) else { return true };
        let Ok(Sgl::Keyed { address, key, .. }) = slot.command.data.decode() else { return true };
        let from = Remote { address, key: Key(key) };
        if self.room(cx) == 0 {
            return false;
        }
        let Some(slot) = self.slot(index) else { return true };
        let posted = cx.endpoint.read(cx.device, connection, index.into(), from, &[slot.buffer]);
        if posted.is_ok() {
            slot.stage = Stage::Fetching;
        }
        posted.is_ok()
    }

    /// Writes what the host gets to its memory, and has the response follow.
    fn reply(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let room = self.room(cx);
        let writes = self.list(index).map_or(1, |_| List::PIECES_MAX as u32);
        let Some(slot) = self.slot(index) else { return true };
        let with_data = slot.answer.len > 0 && slot.answer.status.is_success();
        if room < 1 + u32::from(with_data) * writes {
            return false;
        }
        if planted(Bug::ResponseForgotten) && with_data {
            self.free(cx, index);
            return true;
        }
        slot.stage = Stage::Replying;
        if planted(Bug::DataBehindItsResponse) {
            self.respond(cx, index);
            cx.endpoint.send_answers(cx.device);
        }
        if with_data {
            self.write(cx, index);
        }
        if !planted(Bug::DataBehindItsResponse) {
            self.respond(cx, index);
        }
        true
    }

    fn write(&mut self, cx: &mut Context<'_>, index: u16) {
        if self.list(index).is_some() {
            return self.write_list(cx, index);
        }
        let connection = self.connection;
        let Some(slot) = self.slot(index) else { return };
        let Ok(Sgl::Keyed { address, key, length, .. }) = slot.command.data.decode() else { return };
        let data = slot.buffer.first(slot.answer.len.min(length) as usize);
        let to = Remote { address, key: Key(key) };
        let posted = cx.endpoint.write(cx.device, connection, WRITTEN, to, &[data]);
        debug_assert!(posted.is_ok(), "{posted:?}");
    }

    /// Requests that the device takes besides the responses that are to come.
    pub(super) fn room(&self, cx: &Context<'_>) -> u32 {
        cx.endpoint.room(self.connection)
    }

    /// Sends the response behind the data.
    fn respond(&mut self, cx: &mut Context<'_>, index: u16) {
        let list = self.list(index).map(|list| list.invalidate);
        let Some(slot) = self.slot(index) else { return };
        let (command, answer) = (slot.command, slot.answer);
        let invalidate = match (list, command.data.decode()) {
            (Some(closed), _) => closed,
            (None, Ok(Sgl::Keyed { key, invalidate: true, .. })) => Some(Key(key)),
            (None, Ok(_) | Err(_)) => None,
        };
        let completion = CompletionQueueEntry::new(command.command_id.get(), answer.status)
            .with_result(answer.result)
            .with_submission_queue_head(answer.queue_head);
        let mut bytes = [0; CompletionQueueEntry::LEN];
        let encoded = completion.encode(&mut bytes);
        debug_assert!(encoded.is_ok());
        let answer = Answer { token: index.into(), invalidate, solicited: true };
        // What finds no way any more goes with the connection.
        if cx.endpoint.answer(cx.device, self.connection, answer, &bytes).is_err() {
            self.free(cx, index);
        }
    }

    /// The device is done with a request.
    pub(super) fn handle_done(
        &mut self,
        cx: &mut Context<'_>,
        token: u32,
        kind: CompletionKind,
        outcome: Outcome,
    ) {
        let Ok(index) = u16::try_from(token) else { return };
        match kind {
            CompletionKind::Read => {
                let mut is_here = outcome == Outcome::Success;
                if self.list(index).is_some() {
                    let Some(all) = self.note_piece(index, is_here) else { return };
                    is_here = all;
                }
                let Some(buffer) = self.slot(index).map(|slot| slot.buffer) else { return };
                match is_here && self.phase != super::Phase::Ending {
                    true => self.submit(cx, index, buffer),
                    false => self.free(cx, index),
                }
            }
            _ => self.free(cx, index),
        }
    }
}

/// The token of writes, of which nobody waits for the end: the response behind them tells it.
pub(super) const WRITTEN: u32 = u32::MAX;
