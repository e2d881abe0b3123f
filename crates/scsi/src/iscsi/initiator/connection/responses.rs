//! What the target sends, as far as it means something: responses, R2Ts, pings, messages.

use super::tasks::{Kind, Sequence};
use super::{Answer, Completed, Connection, ConnectionEnd, Ending, Misbehaviour, News, State, receive};
use stdx::env::Env;
use wire::iscsi::{
    AsyncEvent, AsyncMessage, Bhs, LoginResponse, LogoutResponse, NopIn, Numbers, Opcode, R2t, RESERVED_TAG,
    Reject, Residual, ScsiResponse, Serial, ServiceResponse, TaskResponse, TextResponse,
};
use wire::scsi::{Sense, Status};

pub(super) type Handled = Result<(), ConnectionEnd>;

impl Connection {
    /// Anything but Data-In.
    pub(super) fn handle_pdu(
        &mut self,
        env: &mut dyn Env,
        opcode: Opcode,
        bhs: &Bhs,
        data: &[u8],
    ) -> Handled {
        let logging_in = self.state == State::LoggingIn;
        if logging_in != (opcode == Opcode::LoginResponse) {
            return misbehaved(Misbehaviour::Phase);
        }
        match opcode {
            Opcode::LoginResponse => self.handle_login(env, &LoginResponse::decode(bhs)?, data),
            Opcode::ScsiResponse => self.handle_response(&ScsiResponse::decode(bhs)?, data),
            Opcode::R2t => self.handle_r2t(&R2t::decode(bhs)?),
            Opcode::NopIn => self.handle_nop(env, &NopIn::decode(bhs)?),
            Opcode::TaskResponse => self.handle_management(&TaskResponse::decode(bhs)?),
            Opcode::TextResponse => self.handle_text(env, &TextResponse::decode(bhs)?, data),
            Opcode::LogoutResponse => self.handle_logged_out(&LogoutResponse::decode(bhs)?),
            Opcode::AsyncMessage => self.handle_message(&AsyncMessage::decode(bhs)?),
            Opcode::Reject => self.handle_reject(env.mem(), &Reject::decode(bhs)?, data),
            Opcode::DataIn => misbehaved(Misbehaviour::Phase),
            Opcode::NopOut
            | Opcode::ScsiCommand
            | Opcode::TaskRequest
            | Opcode::LoginRequest
            | Opcode::TextRequest
            | Opcode::DataOut
            | Opcode::LogoutRequest
            | Opcode::Snack => misbehaved(Misbehaviour::Phase),
        }
    }

    /// A command has ended. The data segment has the sense data behind its length (section 11.4.7).
    fn handle_response(&mut self, response: &ScsiResponse, data: &[u8]) -> Handled {
        self.count(&response.numbers)?;
        let slot = self.task_of(response.task_tag, Kind::Command)?;
        let completed = response.response == ServiceResponse::Completed;
        let sense = data.get(2..).and_then(Sense::read);
        let (status, number) = (completed.then_some(response.status), response.numbers.stat_sn);
        self.set_ending(slot, status, sense, response.residual, number)?;
        self.finish(slot);
        Ok(())
    }

    /// The target wants data: in order, and one R2T at a time.
    fn handle_r2t(&mut self, r2t: &R2t) -> Handled {
        // It bears a StatSN, but is no response.
        self.window.update(&r2t.numbers);
        let slot = self.task_of(r2t.task_tag, Kind::Command)?;
        let burst_max = self.parameters.max_burst_len;
        let Some(task) = self.tasks.get_mut(slot) else { return misbehaved(Misbehaviour::UnknownTask) };
        let Some(span) = task.out_span() else { return misbehaved(Misbehaviour::UnknownTask) };
        // It may come while what goes unasked is still on its way; but a second one may not.
        let solicited = task.sequence.is_some_and(|sequence| sequence.transfer_tag != RESERVED_TAG);
        if solicited || task.queued.is_some() {
            return misbehaved(Misbehaviour::R2tLimit);
        }
        let fits =
            u64::from(r2t.offset) + u64::from(r2t.length) <= u64::from(span.len) && r2t.length <= burst_max;
        // With recovery, data may be asked for again.
        let recovers = self.parameters.error_recovery_level > 0;
        let in_order = r2t.offset == task.moved || recovers && r2t.offset < task.moved;
        if !fits || !in_order || r2t.r2t_sn != task.next_sn || task.answer.is_some() {
            return misbehaved(Misbehaviour::DataOrder);
        }
        task.moved = task.moved.max(r2t.offset + r2t.length);
        task.next_sn = task.next_sn.next();
        let (transfer_tag, offset, left) = (r2t.transfer_tag, r2t.offset, r2t.length);
        let asked = Sequence { transfer_tag, offset, left, data_sn: Serial(0) };
        if task.sequence.is_some() {
            task.queued = Some(asked);
        } else {
            task.sequence = Some(asked);
            self.sending.push_back(slot);
        }
        Ok(())
    }

    /// An answer to our ping, a ping, or only numbers (section 11.19). Of the three only the first is a response.
    fn handle_nop(&mut self, env: &mut dyn Env, nop: &NopIn) -> Handled {
        if nop.task_tag != RESERVED_TAG {
            self.count(&nop.numbers)?;
            let slot = self.task_of(nop.task_tag, Kind::Nop)?;
            return self.answer(slot, Answer::Nop);
        }
        self.window.update(&nop.numbers);
        if nop.transfer_tag == RESERVED_TAG {
            return Ok(());
        }
        if self.put_pong(env.mem(), nop) { Ok(()) } else { misbehaved(Misbehaviour::Flood) }
    }

    /// Text goes on until the target says that it has ended, and has no tag for more (section 11.11).
    fn handle_text(&mut self, env: &mut dyn Env, response: &TextResponse, data: &[u8]) -> Handled {
        self.count(&response.numbers)?;
        let slot = self.task_of(response.task_tag, Kind::Text)?;
        let more = !response.is_final || response.continues;
        let whole =
            self.text.add(data, more).map_err(|_| ConnectionEnd::Misbehaved(Misbehaviour::TooLong))?;
        match whole {
            Some(text) => self.answer(slot, Answer::Text(text)),
            None if response.transfer_tag == RESERVED_TAG || !self.has_room() => {
                misbehaved(Misbehaviour::Phase)
            }
            None => {
                self.put_text(env.mem(), slot, &[], response.transfer_tag, response.lun);
                Ok(())
            }
        }
    }

    fn handle_logged_out(&mut self, response: &LogoutResponse) -> Handled {
        self.count(&response.numbers)?;
        let slot = self.task_of(response.task_tag, Kind::Logout)?;
        self.answer(slot, Answer::LoggedOut(response.result))
    }

    /// Section 11.9.1. A target that wants to negotiate anew gets a new login, which is that.
    fn handle_message(&mut self, message: &AsyncMessage) -> Handled {
        self.count(&message.numbers)?;
        match message.event {
            AsyncEvent::Scsi => {
                self.tell(News::Changed);
                Ok(())
            }
            AsyncEvent::LogoutRequest { .. } | AsyncEvent::NegotiationRequest { .. } => {
                Err(ConnectionEnd::AskedToLeave)
            }
            AsyncEvent::ConnectionDrop { connection_id, .. } if connection_id != self.connection_id => {
                self.tell(News::Dropped(connection_id));
                Ok(())
            }
            AsyncEvent::ConnectionDrop { .. } => Err(ConnectionEnd::Dropped),
            AsyncEvent::SessionDrop { .. } => Err(ConnectionEnd::SessionDropped),
            AsyncEvent::TasksTerminated | AsyncEvent::Vendor { .. } => Ok(()),
        }
    }

    /// The owner hears it once, however often it is told before he listens.
    fn tell(&mut self, news: News) {
        if self.news.len() < NEWS_MAX && !self.news.contains(&news) {
            self.news.push_back(news);
        }
    }

    /// Notes how a command ended. Good status without all of its data is a lie, unless the target says how much there was.
    pub(super) fn set_ending(
        &mut self,
        slot: u16,
        status: Option<u8>,
        sense: Option<Sense>,
        residual: Residual,
        number: Serial,
    ) -> Handled {
        let Some(task) = self.tasks.get_mut(slot) else { return misbehaved(Misbehaviour::UnknownTask) };
        let unexplained = task.moved != task.data.len() && residual == Residual::None;
        if task.answer.is_some() || (status == Some(Status::Good as u8) && unexplained) {
            return misbehaved(Misbehaviour::DataMissing);
        }
        (task.sequence, task.queued) = (None, None);
        let moved = task.moved;
        if !task.missing.is_empty() {
            // Section 11.16.1: what is asked for again must be before the status is acknowledged.
            task.answer_sn = Some(number);
            self.holding += 1;
        }
        task.answer =
            Some(Answer::Command(Ending { status, sense, moved, is_exact: residual == Residual::None }));
        Ok(())
    }

    /// The task at a place has its answer: it is told once none of its memory is in use.
    pub(super) fn finish(&mut self, slot: u16) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        if task.unsent > 0 || task.answer.is_none() || !task.missing.is_empty() {
            return;
        }
        // What comes again is still landing.
        if self.receive.payload.is_some_and(|payload| payload.slot == slot) {
            return;
        }
        let large = task.in_span().is_some_and(|span| span.len() >= receive::DIRECT_LEN_MIN);
        let Some(mut task) = self.tasks.remove(slot) else { return };
        self.large_reads -= usize::from(large);
        self.holding -= usize::from(task.answer_sn.is_some());
        if let Some(answer) = task.answer.take() {
            self.completed.push(Completed { token: task.token, answer });
        }
    }

    /// A segment of a task's data is gone.
    pub(super) fn handle_data_gone(&mut self, slot: u16) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        task.unsent = task.unsent.saturating_sub(1);
        self.finish(slot);
    }

    pub(super) fn answer(&mut self, slot: u16, answer: Answer) -> Handled {
        if let Some(task) = self.tasks.get_mut(slot) {
            task.answer = Some(answer);
        }
        self.finish(slot);
        Ok(())
    }

    /// A response takes its place in the order. One that is missing without a trace is beyond all recovery of ours: streams lose
    /// nothing.
    pub(super) fn count(&mut self, numbers: &Numbers) -> Handled {
        self.window.update(numbers);
        if self.order.advance(numbers) { Ok(()) } else { misbehaved(Misbehaviour::StatusOrder) }
    }

    pub(super) fn task_of(&mut self, tag: u32, kind: Kind) -> Result<u16, ConnectionEnd> {
        let slot = self.tasks.find(tag);
        let found = slot.filter(|slot| self.tasks.get_mut(*slot).is_some_and(|task| task.kind == kind));
        found.ok_or(ConnectionEnd::Misbehaved(Misbehaviour::UnknownTask))
    }
}

fn misbehaved(what: Misbehaviour) -> Handled {
    Err(ConnectionEnd::Misbehaved(what))
}

/// How many messages may wait: one of changes, and one of each connection of the session.
const NEWS_MAX: usize = 1 + super::CONNECTIONS_MAX as usize;
