//! A capsule comes in: it becomes a slot, or its answer (RDMA Transport 3.1; Base 3.3.3, 6.3).

use super::Context;
use super::list::List;
use super::queue::{Answer, Phase, Queue, Slot, Stage};
use crate::target::Transfer;
use stdx::mem::Span;
use verbs::endpoint::Received;
use wire::nvme::fabrics::{CONNECT_DATA_LEN, Connect, ConnectData};
use wire::nvme::{FABRICS_OPCODE, FabricsCommandType, Sgl, Status, SubmissionQueueEntry};

/// A host sent what ends its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fatal {
    /// A capsule is shorter than a command.
    Short,
    /// More commands than the queue has entries.
    Overrun,
    /// A command before the connection was made, or after its end began.
    Sequence,
}

impl Queue {
    /// A capsule came. Its message is given back here, or when its command is answered.
    pub(super) fn handle_capsule(&mut self, cx: &mut Context<'_>, received: Received) -> Result<(), Fatal> {
        let taken = self.take_capsule(cx, received);
        if taken.is_err() {
            cx.endpoint.release(cx.device, self.connection, received);
        }
        taken
    }

    fn take_capsule(&mut self, cx: &mut Context<'_>, received: Received) -> Result<(), Fatal> {
        let message = cx.endpoint.message(&received);
        if message.len() < SubmissionQueueEntry::LEN {
            return Err(Fatal::Short);
        }
        let mut bytes = [0; SubmissionQueueEntry::LEN];
        cx.env.mem().read(message.first(SubmissionQueueEntry::LEN), &mut bytes);
        let command = *SubmissionQueueEntry::view(&bytes).map_err(|_| Fatal::Short)?;
        if self.outstanding() >= self.entries() {
            return Err(Fatal::Overrun);
        }
        let in_capsule = message.from(SubmissionQueueEntry::LEN);
        match self.phase {
            Phase::Connecting => self.take_connect(cx, received, command, in_capsule),
            Phase::Established => self.take_command(cx, received, command, in_capsule),
            Phase::Opening | Phase::Ending => return Err(Fatal::Sequence),
        }
        Ok(())
    }

    /// The first command of a queue is Connect; its data comes with it or is fetched.
    fn take_connect(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
        command: SubmissionQueueEntry,
        in_capsule: Span,
    ) {
        let index = self.add(received, command);
        let is_connect = command.opcode == FABRICS_OPCODE
            && command.fabrics_type_code() == FabricsCommandType::Connect.code();
        if !is_connect || self.outstanding() > 1 {
            return self.answer(cx, index, Status::COMMAND_SEQUENCE_ERROR.with_do_not_retry(), 0, 0);
        }
        match command.data.decode() {
            Ok(Sgl::InCapsule { length, .. } | Sgl::Keyed { length, .. })
                if length as usize == CONNECT_DATA_LEN =>
            {
                self.bring(cx, index, CONNECT_DATA_LEN as u32, in_capsule);
            }
            Ok(Sgl::InCapsule { .. } | Sgl::Keyed { .. }) => {
                self.answer(cx, index, Status::DATA_SGL_LENGTH_INVALID.with_do_not_retry(), 0, 0);
            }
            Ok(_) | Err(_) => {
                self.answer(cx, index, Status::SGL_DESCRIPTOR_TYPE_INVALID.with_do_not_retry(), 0, 0);
            }
        }
    }

    /// Connect's data is there.
    pub(super) fn connect(&mut self, cx: &mut Context<'_>, index: u16, data: Span) {
        let mut bytes = [0; CONNECT_DATA_LEN];
        cx.env.mem().read(data, &mut bytes);
        let (key, arrival) = (self.key, self.arrival);
        let Some(command) = self.slot(index).map(|slot| slot.command) else { return };
        let Ok(data) = ConnectData::view(&bytes) else { return };
        let (connect, asked) = (Connect::read(&command), self.asked);
        if (connect.queue_id, connect.queue_size_zero_based)
            != (asked.queue_id, asked.host_send_size_zero_based)
        {
            // What the host says now is not what it asked a connection for (RDMA Transport 3.2).
            return self.answer(cx, index, Status::CONNECT_INVALID_PARAMETERS.with_do_not_retry(), 0, 0);
        }
        if let Some(outcome) = cx.target.connect(cx.env, key, &arrival, &command, data) {
            self.finish_connect(cx, index, &outcome);
        }
    }

    fn take_command(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
        command: SubmissionQueueEntry,
        in_capsule: Span,
    ) {
        let Some(established) = &mut self.established else { return };
        established.submission.advance();
        let queue = established.queue;
        let id = command.command_id.get();
        if self.identifiers.contains(id) {
            // Base 3.3.2: an identifier may not be used again before its command is completed.
            cx.counters.identifier_conflicts += 1;
            return self.refuse_twin(cx, received, command);
        }
        let list = List::take(cx.env.mem(), &command, in_capsule);
        if matches!(list, Ok(None)) && self.perform(cx, received, &command, in_capsule) {
            return;
        }
        let transfer = match &list {
            Ok(None) => cx.target.transfer(queue, &command),
            Ok(Some((_, whole))) => cx.target.transfer(queue, whole),
            Err(status) => Err(status.with_do_not_retry()),
        };
        let (list, command) = match list {
            Ok(Some((list, whole))) => (Some(list), whole),
            Ok(None) | Err(_) => (None, command),
        };
        let index = self.add(received, command);
        if let Some(list) = list {
            self.keep_list(index, list);
        }
        match transfer {
            Err(status) => self.answer(cx, index, status, 0, 0),
            Ok(
                Transfer::None | Transfer::ToController { len: 0 } | Transfer::FromController { len: 0, .. },
            ) => {
                self.release_message(cx, index);
                self.submit(cx, index, Span::EMPTY);
            }
            Ok(Transfer::ToController { len }) => self.bring(cx, index, len, in_capsule),
            Ok(Transfer::FromController { len, .. }) => self.prepare(cx, index, len),
        }
    }

    /// A slot for a command whose message is still held.
    pub(super) fn add(&mut self, received: Received, command: SubmissionQueueEntry) -> u16 {
        self.identifiers.insert(command.command_id.get());
        self.insert(Slot {
            command,
            stage: Stage::Buffer,
            received: Some(received),
            buffer: Span::EMPTY,
            wanted: 0,
            to_controller: false,
            answer: Answer { status: Status::SUCCESS, result: 0, len: 0, queue_head: 0 },
        })
    }

    /// A command whose identifier is in use is answered without touching the one that uses it.
    fn refuse_twin(&mut self, cx: &mut Context<'_>, received: Received, command: SubmissionQueueEntry) {
        let index = self.add(received, command);
        let id = command.command_id.get();
        self.answer(cx, index, Status::COMMAND_ID_CONFLICT.with_do_not_retry(), 0, 0);
        self.identifiers.insert(id);
    }

    /// The message a command came in is not needed any more.
    pub(super) fn release_message(&mut self, cx: &mut Context<'_>, index: u16) {
        let received = self.slot(index).and_then(|slot| slot.received.take());
        if let Some(received) = received {
            cx.endpoint.release(cx.device, self.connection, received);
        }
    }
}
