//! A SCSI Command comes in (RFC 7143, sections 11.3 and 4.2.5.2: immediate and unsolicited data).

use super::super::Context;
use super::super::session::{self, Parked, Pieces, Request, Session, Stage, Task};
use super::Connection;
use super::framer::{Incoming, Landing};
use super::hold::{Held, Problem, Taken};
use super::outgoing::{Item, Response};
use crate::target::{TaskAttribute, Transfer};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::iscsi::{
    AdditionalHeaders, Bhs, PduLayout, RESERVED_TAG, RejectReason, Residual, ScsiCommand, Serial,
    ServiceResponse, TaskAttributeCode,
};
use wire::scsi::Status;

/// What comes with a command without being asked for.
#[derive(Clone, Copy, Debug)]
struct Unsolicited {
    /// Bytes in the command's own PDU.
    immediate: u32,
    /// Where it ends at most, with what follows in Data-Out.
    end: u32,
    /// The buffer it goes to, and whether that waits for more that is to be asked for.
    buffer: Span,
    solicited: bool,
}

impl Connection {
    /// The header of a command is whole; its data, if any, follows.
    pub(super) fn handle_command(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
    ) -> Result<Taken, Problem> {
        let command = match ScsiCommand::decode(bhs) {
            Ok(command) => command,
            Err(error) => return Ok(self.refuse(cx, layout, bhs, error.reason())),
        };
        let additional =
            AdditionalHeaders::decode(self.framer.additional(layout)).map_err(Problem::Header)?;
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) else {
            return Ok(Taken(None));
        };
        let turn = if command.immediate { session::Turn::Now } else { session.window.turn(command.cmd_sn) };
        if turn == session::Turn::Never {
            cx.shard.counters.ignored += 1;
            return Ok(Taken(Incoming::unwanted(layout)));
        }
        if let Some(reason) = objection(session, &command) {
            return Ok(self.refuse(cx, layout, bhs, reason));
        }
        let unsolicited = match self.unsolicited(cx, layout, &command)? {
            Some(unsolicited) => unsolicited,
            None if turn == session::Turn::Now => return Ok(self.refuse_busy(cx, layout, bhs, &command)),
            None => return Err(Problem::Held(Held::Buffers(command.expected_length as usize))),
        };
        let in_len = in_len(&command, &additional);
        if !self.advertises_enough(&command, in_len, unsolicited.end) {
            if unsolicited.solicited {
                cx.shard.solicited_bytes -= unsolicited.buffer.len();
            }
            session::give(cx.env, unsolicited.buffer);
            return Err(Problem::Protocol("a command without memory for its data"));
        }
        // With digests, and with recovery from what they show, a command counts once its own data is known to be intact: if it
        // is not, the initiator sends the whole command again (section 7.8).
        let arrives = layout.data_digest && layout.data_len > 0 && session_recovers(cx, self.session);
        let mut task = self.task(cx, &command, in_len, &unsolicited);
        if arrives {
            task.stage = Stage::Arriving;
        }
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(Taken(None));
        };
        let slot = session.tasks.insert(task);
        let window = unsolicited.buffer.first(unsolicited.buffer.len().min(unsolicited.immediate as usize));
        let incoming = Incoming::new(layout, Landing::Task(slot), window);
        if arrives {
            return Ok(Taken(incoming));
        }
        // The data follows whatever becomes of the command from here on, so the framer hears of it first.
        self.framer.accept(incoming);
        self.take_turn(cx, slot, turn)?;
        Ok(Taken(self.framer.take_incoming()))
    }

    /// The data of a command that was waited for is here. If it is damaged, the command has not come.
    pub(super) fn admit(&mut self, cx: &mut Context<'_>, slot: u32, intact: bool) -> Result<(), Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(());
        };
        let Some(task) = session.tasks.get_mut(slot) else { return Ok(()) };
        let request = &task.request;
        let turn = if request.immediate { session::Turn::Now } else { session.window.turn(request.cmd_sn) };
        if !intact || turn == session::Turn::Never {
            self.forget_task(cx, slot);
            return Ok(());
        }
        task.stage = Stage::Parked;
        self.take_turn(cx, slot, turn)
    }

    /// A command takes its place in the order of commands.
    fn take_turn(&mut self, cx: &mut Context<'_>, slot: u32, turn: session::Turn) -> Result<(), Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(());
        };
        let Some(request) = session.tasks.get(slot).map(|task| task.request) else { return Ok(()) };
        match turn {
            session::Turn::Later => {
                session.window.park(request.cmd_sn, Parked::Task(slot));
                Ok(())
            }
            session::Turn::Now | session::Turn::Never => {
                if !request.immediate {
                    session.window.advance(true);
                }
                self.begin(cx, slot);
                self.deliver(cx)
            }
        }
    }

    /// What the command brings by itself, with a buffer for it. `None`: there is none to be had, and waiting for one
    /// could be waiting for what comes behind this command.
    fn unsolicited(
        &self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        command: &ScsiCommand,
    ) -> Result<Option<Unsolicited>, Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) else { return Ok(None) };
        let parameters = &session.parameters;
        let immediate = layout.data_len;
        if immediate > 0 && !(command.write && parameters.immediate_data) {
            return Err(Problem::Protocol("immediate data that was not agreed on"));
        }
        if !command.is_final && parameters.initial_r2t {
            return Err(Problem::Protocol("unsolicited data that was not agreed on"));
        }
        if immediate > parameters.first_burst_len {
            return Err(Problem::Protocol("more unsolicited data than agreed on"));
        }
        let end = if command.is_final {
            immediate
        } else {
            parameters.first_burst_len.min(command.expected_length).max(immediate)
        };
        let mut unsolicited = Unsolicited { immediate, end, buffer: Span::EMPTY, solicited: false };
        if end == 0 {
            return Ok(Some(unsolicited));
        }
        let all = (command.expected_length as usize).min(cx.env.mem().buffer_len_max());
        let early = (end as usize).min(all);
        if early == 0 {
            return Ok(Some(unsolicited));
        }
        let budget = cx.shard.limits.solicited_bytes_max;
        if all > early
            && cx.shard.solicited_bytes + all <= budget
            && let Some(buffer) = cx.env.mem().take(all)
        {
            cx.shard.solicited_bytes += all;
            (unsolicited.buffer, unsolicited.solicited) = (buffer, true);
            return Ok(Some(unsolicited));
        }
        match cx.env.mem().take(early) {
            Some(buffer) => {
                unsolicited.buffer = buffer;
                Ok(Some(unsolicited))
            }
            None if self.is_owed_data(cx) => Ok(None),
            None => Err(Problem::Held(Held::Buffers(early))),
        }
    }

    /// Whether the initiator still has to send data by this connection for commands before.
    fn is_owed_data(&self, cx: &Context<'_>) -> bool {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        let comes = |stage| matches!(stage, Stage::Waiting | Stage::Receiving | Stage::Settling);
        session.is_some_and(|session| {
            session.tasks.iter().any(|(_, task)| task.connection == self.key && comes(task.stage))
        })
    }

    fn task(&self, cx: &Context<'_>, command: &ScsiCommand, in_len: u32, with: &Unsolicited) -> Task {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        let in_pieces = command.write && session.is_some_and(|session| !session.parameters.is_plain());
        let unsolicited_end = (!command.is_final).then_some(with.end);
        Task {
            tag: command.task_tag,
            connection: self.key,
            stage: Stage::Parked,
            key: None,
            request: Request {
                lun: command.lun,
                cmd_sn: command.cmd_sn,
                immediate: command.immediate,
                attribute: attribute(command.attribute),
                cdb: command.cdb,
                out_len: if command.write { command.expected_length } else { 0 },
                in_len,
            },
            transfer: Transfer::None,
            buffer: with.buffer,
            incoming: session::Incoming {
                wanted: 0,
                received: with.immediate,
                unsolicited_end: with.end,
                unsolicited: !command.is_final,
                solicited_start: 0,
                asked: 0,
                r2ts: 0,
                data_sn: Serial(0),
                landing: with.immediate > 0,
            },
            pieces: in_pieces.then(|| Box::new(Pieces::new(with.immediate, unsolicited_end))),
            solicited: with.solicited,
            damaged: false,
            outcome: None,
            promised_bytes: 0,
            memory: self.advertised(),
            fetch: 0,
        }
    }

    /// There is no buffer: the initiator may try again. What it sends for the command all the same is dropped.
    fn refuse_busy(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
        command: &ScsiCommand,
    ) -> Taken {
        cx.shard.counters.busy += 1;
        self.outgoing.push(Item::Response(Response {
            tag: command.task_tag,
            response: ServiceResponse::Completed,
            status: Status::Busy,
            residual: Residual::between(command.expected_length, 0),
            exp_data_sn: Serial(0),
            sense: None,
            read_bytes: 0,
            invalidate: self.invalidates(&self.advertised()),
        }));
        self.pass_over(cx, layout, bhs);
        Taken(Incoming::unwanted(layout))
    }
}

/// Bytes that the initiator is ready to take. Those of a command both ways stand in an additional header (section 11.2.2.4).
fn in_len(command: &ScsiCommand, additional: &AdditionalHeaders<'_>) -> u32 {
    match (command.read, command.write) {
        (false, _) => 0,
        (true, false) => command.expected_length,
        (true, true) => additional.bidirectional_read_length.unwrap_or(0),
    }
}

/// Whether what is damaged is sent again in this session.
fn session_recovers(cx: &Context<'_>, session: Option<Key>) -> bool {
    let session = session.and_then(|key| cx.shard.sessions.get(key));
    session.is_some_and(|session| session.parameters.error_recovery_level > 0)
}

/// Why a command is rejected, if it is.
fn objection(session: &Session, command: &ScsiCommand) -> Option<RejectReason> {
    if session.nexus.is_none() {
        Some(RejectReason::CommandNotSupported)
    } else if command.task_tag == RESERVED_TAG {
        Some(RejectReason::InvalidPduField)
    } else if session.tasks.find(command.task_tag).is_some() {
        Some(RejectReason::TaskInProgress)
    } else if !session.tasks.has_room() {
        Some(RejectReason::ImmediateCommandReject)
    } else {
        None
    }
}

pub(super) const fn attribute(code: TaskAttributeCode) -> TaskAttribute {
    match code {
        TaskAttributeCode::Untagged | TaskAttributeCode::Simple => TaskAttribute::Simple,
        TaskAttributeCode::Ordered => TaskAttribute::Ordered,
        TaskAttributeCode::HeadOfQueue => TaskAttribute::HeadOfQueue,
        TaskAttributeCode::Aca => TaskAttribute::Aca,
    }
}
