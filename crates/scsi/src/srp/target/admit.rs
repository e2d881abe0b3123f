//! A unit comes in: it becomes a request, or its answer (sections 5.2, 6.7 and 6.8).

use super::Context;
use super::channel::{Channel, Phase};
use super::pieces::{Invalid, Source};
use super::task::{Answer, Stage, Task};
use crate::target::{Command, TaskAttribute, Transfer};
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use verbs::endpoint::Received;
use wire::scsi::{Cdb, Lun};
use wire::srp::{
    self, COMMAND_LEN, Descriptor, IU_LEN_MIN, LogoutReason, Opcode, ResponseCode,
    TaskAttribute as AttributeCode,
};

/// A command that was read, without the memory it names.
struct Arrived {
    tag: u64,
    lun: Lun,
    attribute: TaskAttribute,
    cdb: Cdb,
    out_len: u32,
    in_len: u32,
    solicit: (bool, bool),
    immediate: Option<Span>,
}

impl Channel {
    /// A unit came.
    pub(super) fn handle_unit(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
    ) -> Result<(), LogoutReason> {
        if self.phase != Phase::Open {
            cx.endpoint.release(cx.device, self.connection, received);
            return Ok(());
        }
        if self.held.is_empty() && !cx.executor.awaits_predecessor(self.login.executor_nexus) {
            return self.take_unit(cx, received);
        }
        if self.held.len() as u32 >= self.credits.units_max() {
            cx.endpoint.release(cx.device, self.connection, received);
            return Err(LogoutReason::Unspecified);
        }
        cx.counters.holds += u64::from(self.held.is_empty());
        self.held.push_back(received);
        Ok(())
    }

    /// A unit's turn has come. Its message is given back here, or when its data has been used.
    pub(super) fn take_unit(&mut self, cx: &mut Context<'_>, received: Received) -> Result<(), LogoutReason> {
        let taken = self.read_unit(cx, received);
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => {
                cx.endpoint.release(cx.device, self.connection, received);
                Ok(())
            }
            Err(reason) => {
                cx.endpoint.release(cx.device, self.connection, received);
                Err(reason)
            }
        }
    }

    /// Reads a unit and does what it says. True if its message is still used.
    fn read_unit(&mut self, cx: &mut Context<'_>, received: Received) -> Result<bool, LogoutReason> {
        let message = cx.endpoint.message(&received);
        if message.len() < IU_LEN_MIN || message.len > self.login.iu_len {
            return Err(LogoutReason::Unspecified);
        }
        let mut scratch = core::mem::take(cx.scratch);
        scratch.resize(self.header_len(cx, message), 0);
        cx.env.mem().read(message.first(scratch.len()), &mut scratch);
        let taken = self.take_read(cx, received, message, &scratch);
        *cx.scratch = scratch;
        taken
    }

    /// Bytes of a unit that are no immediate data.
    fn header_len(&self, cx: &mut Context<'_>, message: Span) -> usize {
        let Some(offset) = self.login.immediate_offset else { return message.len() };
        let mut start = [0; FORMATS_AT + 1];
        if message.len() < COMMAND_LEN {
            return message.len();
        }
        cx.env.mem().read(message.first(start.len()), &mut start);
        let is_immediate = start[0] == Opcode::Command.code() && start[FORMATS_AT] >> 4 == IMMEDIATE_FORMAT;
        if is_immediate { message.len().min(usize::from(offset)) } else { message.len() }
    }

    fn take_read(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
        message: Span,
        unit: &[u8],
    ) -> Result<bool, LogoutReason> {
        let (opcode, tag) = srp::peek(unit).map_err(|_| LogoutReason::Unspecified)?;
        match opcode {
            Some(Opcode::Command) => self.take_command(cx, received, message, unit),
            Some(Opcode::TaskManagement) => {
                let request = srp::TaskRequest::decode(unit).map_err(|_| LogoutReason::Unspecified)?;
                self.spend()?;
                self.take_management(cx, &request);
                Ok(false)
            }
            Some(Opcode::InitiatorLogout) => {
                cx.counters.logged_out += 1;
                self.end(cx);
                cx.endpoint.disconnect(cx.env, cx.device, self.connection);
                Ok(false)
            }
            Some(Opcode::CreditResponse) if self.asks_credit && tag == super::channel::OWN_TAG => {
                self.asks_credit = false;
                Ok(false)
            }
            Some(Opcode::AsynchronousEventResponse) if self.handle_heard(tag) => Ok(false),
            Some(Opcode::CreditResponse | Opcode::AsynchronousEventResponse) => {
                Err(LogoutReason::SpuriousResponse)
            }
            Some(
                Opcode::LoginRequest
                | Opcode::TargetLogout
                | Opcode::CreditRequest
                | Opcode::AsynchronousEventRequest
                | Opcode::LoginResponse
                | Opcode::Response
                | Opcode::LoginReject,
            )
            | None => Err(LogoutReason::InvalidType),
        }
    }

    /// A request spends a credit (section 5.2): who has none must not send one.
    fn spend(&mut self) -> Result<(), LogoutReason> {
        if self.credits.spend() { Ok(()) } else { Err(LogoutReason::Unspecified) }
    }

    fn take_command(
        &mut self,
        cx: &mut Context<'_>,
        received: Received,
        message: Span,
        unit: &[u8],
    ) -> Result<bool, LogoutReason> {
        let command = srp::Command::decode(unit).map_err(srp::CommandError::reason)?;
        let immediate = self.immediate(&command, message)?;
        self.spend()?;
        cx.counters.immediate += u64::from(immediate.is_some());
        let Some(attribute) = attribute(command.attribute) else {
            self.refuse(cx, &command);
            return Ok(false);
        };
        let arrived = Arrived {
            tag: command.tag,
            lun: command.lun,
            attribute,
            cdb: Cdb(command.cdb),
            out_len: command.data_out.data_len(),
            in_len: command.data_in.data_len(),
            solicit: (command.solicit_success, command.solicit_failure),
            immediate,
        };
        if self.perform(cx, &arrived, &command) {
            return Ok(false);
        }
        let index = self.insert(&arrived);
        let begun = cx.executor.begin(cx.env, &self.command(index, &arrived));
        let Some(task) = self.tasks.get_mut(index) else { return Ok(false) };
        (task.key, task.is_executors) = (Some(begun.task), true);
        Ok(self.start(cx, index, begun.transfer, &command, immediate.map(|data| (received, data))))
    }

    /// Where a command's immediate data lies, if it has any (SRP-2).
    fn immediate(&self, command: &srp::Command<'_>, message: Span) -> Result<Option<Span>, LogoutReason> {
        let Descriptor::Immediate { len } = command.data_out else { return Ok(None) };
        let offset = self.login.immediate_offset.ok_or(LogoutReason::DataOutFormat)?;
        let end = usize::from(offset).checked_add(len as usize).filter(|end| *end <= message.len());
        end.ok_or(LogoutReason::Unspecified)?;
        let shift = if planted(Bug::ImmediateShifted) { 4 } else { 0 };
        Ok(Some(message.slice(usize::from(offset) - shift, len as usize)))
    }

    /// Which memory a command moves, and its first step. True if its message is still used.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        index: u16,
        transfer: Transfer,
        command: &srp::Command<'_>,
        immediate: Option<(Received, Span)>,
    ) -> bool {
        let most = self.login.descriptors_max;
        let Some(task) = self.tasks.get_mut(index) else { return false };
        let (descriptor, len) = match transfer {
            Transfer::None => (&Descriptor::None, 0),
            Transfer::Out { len } | Transfer::Both { len } => {
                task.out_wanted = len;
                (&command.data_out, len.min(task.out_len))
            }
            Transfer::In { len, .. } => (&command.data_in, len),
        };
        task.is_both = matches!(transfer, Transfer::Both { .. });
        (task.wanted, task.is_out) = (len, task.is_both || matches!(transfer, Transfer::Out { .. }));
        let answered = if task.is_both { &command.data_in } else { &Descriptor::None };
        match task.answer_pieces.take(answered, most) {
            Ok(Source::Here) => {}
            Ok(Source::Table(table)) => task.answer_table = Some(table),
            Err(Invalid) => {
                self.fail(cx, index);
                return false;
            }
        }
        if let (true, Some((received, data))) = (task.is_out, immediate) {
            task.received = Some(received);
            if task.is_both {
                task.immediate = data.first(len as usize);
                self.gather(cx, index);
            } else {
                self.submit(cx, index, data.first(len as usize));
            }
            return true;
        }
        match task.pieces.take(descriptor, most) {
            Ok(Source::Here) => self.gather(cx, index),
            Ok(Source::Table(table)) => {
                (task.stage, task.table) = (Stage::Table, table);
                self.advance(cx, index);
            }
            Err(Invalid) => self.fail(cx, index),
        }
        false
    }

    /// The descriptors of one direction are here: those of the other follow, or the data.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, index: u16) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        match task.answer_table.take() {
            Some(table) => (task.stage, task.table, task.reads_answer_table) = (Stage::Table, table, true),
            None if task.wanted == 0 => return self.submit(cx, index, Span::EMPTY),
            None => task.stage = Stage::Buffer,
        }
        self.advance(cx, index);
    }

    /// A command whose descriptors are no good: it ends with that, once the executor lets go of it.
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, index: u16) {
        cx.counters.invalid += 1;
        if let Some(task) = self.tasks.get_mut(index) {
            task.fault = Some(ResponseCode::InvalidFields);
            task.stage = Stage::Executing;
            self.abort(cx, index);
        }
    }

    /// A command with a field of no meaning.
    fn refuse(&mut self, cx: &mut Context<'_>, command: &srp::Command<'_>) {
        cx.counters.invalid += 1;
        let (index, task) = self.tasks.insert(command.tag);
        task.solicit = (command.solicit_success, command.solicit_failure);
        self.answer(cx, index, Answer::of(ResponseCode::InvalidFields));
    }

    /// A command whose data is at hand and whose volume does it at once. False if nothing was done.
    fn perform(&mut self, cx: &mut Context<'_>, arrived: &Arrived, command: &srp::Command<'_>) -> bool {
        let wanted = match (arrived.immediate, &command.data_out, &command.data_in) {
            (Some(_), _, Descriptor::None) => 0,
            (None, Descriptor::None, Descriptor::Direct(memory)) => memory.len,
            _ => return false,
        };
        if wanted as usize > Memory::BUFFER_MAX {
            return false;
        }
        // The buffer comes first: what was performed must be answered.
        let buffer = match wanted {
            0 => Span::EMPTY,
            wanted => match self.answer_buffer(cx, wanted) {
                Some(buffer) => buffer,
                None => return false,
            },
        };
        let brought = arrived.immediate.unwrap_or(Span::EMPTY);
        let request = self.command(0, arrived);
        let Some(data) = cx.executor.perform(cx.env, &request, brought) else {
            if !buffer.is_empty() {
                cx.env.mem().give(buffer);
            }
            return false;
        };
        let len = data.len().min(buffer.len());
        if len > 0 {
            cx.env.mem().copy(buffer.first(len), data.first(len));
        }
        let index = self.insert(arrived);
        if let Some(task) = self.tasks.get_mut(index) {
            (task.buffer, task.out_wanted) = (buffer, arrived.out_len);
            let taken = task.pieces.take(&command.data_in, 1);
            debug_assert!(taken.is_ok());
        }
        self.answer(cx, index, Answer::good(data.len));
        true
    }

    fn insert(&mut self, arrived: &Arrived) -> u16 {
        let (index, task) = self.tasks.insert(arrived.tag);
        let Arrived { lun, out_len, in_len, solicit, .. } = *arrived;
        (task.lun, task.out_len, task.in_len, task.solicit) = (lun, out_len, in_len, solicit);
        index
    }

    /// For the executor. Its tag is ours, which no other request of the nexus has, by whichever channel it came.
    fn command(&self, index: u16, arrived: &Arrived) -> Command {
        let slot = self.slot(index);
        Command {
            nexus: self.login.executor_nexus,
            slot,
            lun: arrived.lun,
            tag: slot.into(),
            attribute: arrived.attribute,
            cdb: arrived.cdb,
            data_out_len: arrived.out_len,
            data_in_len: arrived.in_len,
        }
    }

    /// Gives a task to the executor.
    pub(super) fn submit(&mut self, cx: &mut Context<'_>, index: u16, data: Span) {
        let Some(Task { stage, key, .. }) = self.tasks.get_mut(index) else { return };
        *stage = Stage::Executing;
        if let Some(key) = *key {
            cx.executor.submit(cx.env, key, data);
        }
    }
}

fn attribute(code: u8) -> Option<TaskAttribute> {
    Some(match AttributeCode::from_code(code)? {
        AttributeCode::Simple => TaskAttribute::Simple,
        AttributeCode::HeadOfQueue => TaskAttribute::HeadOfQueue,
        AttributeCode::Ordered => TaskAttribute::Ordered,
        AttributeCode::Aca => TaskAttribute::Aca,
    })
}

/// Where a command says which formats its descriptors have, and the format of immediate data.
const FORMATS_AT: usize = 5;
const IMMEDIATE_FORMAT: u8 = 3;
