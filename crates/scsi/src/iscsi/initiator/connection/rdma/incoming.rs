//! What comes of a connection over RDMA: its beginning, answers, requests that are done, its end.

use super::super::{Connection, ConnectionEnd, Misbehaviour, State};
use super::{Context, TEXT};
use crate::iscsi::initiator::iser::RdmaEnd;
use stdx::env::Env;
use verbs::endpoint::Received;
use verbs::{CompletionKind, Data, Key as MemoryKey, PostError, PrivateData, Rejection, Status, Work};
use wire::iscsi::{Bhs, NopIn, Opcode, Residual, ScsiResponse, TaskResponse, padding};
use wire::iser::{HEADER_LEN, Header, MESSAGE_LEN_MIN};

impl Connection {
    /// The target accepted. Whether it invalidates is seen by its answers.
    pub fn handle_established(&mut self, env: &mut dyn Env) {
        self.last_heard = env.now();
        self.handle_carried(env.mem());
    }

    /// The connection did not come about.
    pub fn handle_refused(&mut self, env: &mut dyn Env, why: Option<(Rejection, PrivateData)>) {
        if let Some(rdma) = self.rdma_mut() {
            rdma.connection = None;
        }
        self.end(env, RdmaEnd::refused(why.map(|(why, _)| why)).into());
    }

    /// The connection ends.
    pub fn handle_broken(&mut self, env: &mut dyn Env) {
        let failed = self.rdma_mut().and_then(|rdma| rdma.failed).filter(|status| *status != Status::Flushed);
        self.end(env, failed.map_or(ConnectionEnd::ByPeer, |status| RdmaEnd::Broken(status).into()));
    }

    /// A message came. It is given back at once.
    pub fn handle_received(&mut self, cx: &mut Context<'_>, received: Received) {
        self.last_heard = cx.env.now();
        let taken = match self.state {
            State::LoggingIn | State::FullFeature => self.take_message(cx, &received),
            State::Connecting | State::Ended(_) => Ok(()),
        };
        if let Some(connection) = self.carried_by() {
            cx.endpoint.release(cx.device, connection, received);
        }
        if let Err(why) = taken {
            self.end(cx.env, why);
        }
    }

    fn take_message(&mut self, cx: &mut Context<'_>, received: &Received) -> Result<(), ConnectionEnd> {
        let nonsense = ConnectionEnd::Misbehaved(Misbehaviour::Message);
        let message = cx.endpoint.message(received);
        let mut front = [0; MESSAGE_LEN_MIN];
        if message.len() < front.len() {
            return Err(nonsense);
        }
        cx.env.mem().read(message.first(front.len()), &mut front);
        let header = Header::decode(&front).map_err(|_| nonsense.clone())?;
        let Ok(&bhs) = Bhs::view(&front[HEADER_LEN..]) else { return Err(nonsense) };
        let layout = bhs.check(&self.rules)?;
        let len = layout.data_len as usize;
        let padded = len + padding(layout.data_len);
        let has = message.len() - front.len();
        // A target advertises nothing, and need not pad.
        if header != Header::default() || layout.ahs_len != 0 || has != len && has != padded {
            return Err(nonsense);
        }
        let mut data = vec![0; len];
        cx.env.mem().read(message.slice(front.len(), len), &mut data);
        self.handle_closed_memory(cx, layout.opcode, &bhs, received.invalidated)?;
        match layout.opcode {
            // What they are for is done by the device.
            Opcode::DataIn | Opcode::R2t => Err(ConnectionEnd::Misbehaved(Misbehaviour::Phase)),
            opcode => self.handle_pdu(cx.env, opcode, &bhs, &data),
        }
    }

    /// The memory of a command whose answer has come is closed: by the answer, or else now by us.
    fn handle_closed_memory(
        &mut self,
        cx: &mut Context<'_>,
        opcode: Opcode,
        bhs: &Bhs,
        invalidated: Option<MemoryKey>,
    ) -> Result<(), ConnectionEnd> {
        let wrong = Err(ConnectionEnd::Misbehaved(Misbehaviour::Invalidation));
        if opcode != Opcode::ScsiResponse {
            if opcode == Opcode::NopIn
                && let Some(slot) = self.tasks.find(NopIn::decode(bhs)?.task_tag)
            {
                self.note_answered(slot);
            }
            if opcode == Opcode::TaskResponse && invalidated.is_none() {
                for slot in self.ended_by(&TaskResponse::decode(bhs)?) {
                    self.close_key(cx, slot);
                }
            }
            return if invalidated.is_some() { wrong } else { Ok(()) };
        }
        let response = ScsiResponse::decode(bhs)?;
        let unknown = ConnectionEnd::Misbehaved(Misbehaviour::UnknownTask);
        let slot = self.tasks.find(response.task_tag).ok_or(unknown.clone())?;
        self.count_moved(slot, &response);
        if !self.note_answered(slot) {
            return Err(unknown);
        }
        let Some(rdma) = self.rdma_mut() else { return Ok(()) };
        match (rdma.open_key(slot), invalidated) {
            (None, None) => Ok(()),
            (Some(key), Some(closed)) if key == closed => {
                self.handle_key_closed(slot);
                Ok(())
            }
            (_, Some(_)) => wrong,
            (Some(_), None) => {
                self.close_key(cx, slot);
                Ok(())
            }
        }
    }

    /// Closes the memory of the task at a place, if it is open.
    fn close_key(&mut self, cx: &mut Context<'_>, slot: u16) {
        let Some(rdma) = self.rdma_mut() else { return };
        let (Some(key), Some(connection)) = (rdma.open_key(slot), rdma.connection) else { return };
        let work = Work::Invalidate(key);
        let posted = cx.endpoint.post(cx.device, connection, slot.into(), work, Data::NONE, false);
        // There is room, unless the connection ends: then all keys are closed.
        debug_assert!(posted != Err(PostError::Full));
    }

    /// The message of the task at a place was answered. Who answers what was sent behind our answers to signs of life has taken
    /// those. False if it was not sent.
    fn note_answered(&mut self, slot: u16) -> bool {
        let Some(rdma) = self.rdma_mut() else { return false };
        let number = rdma.sent_as.get(usize::from(slot)).copied().filter(|number| *number > 0);
        if number.is_some_and(|number| number > rdma.credit.last_pong) {
            rdma.credit.pongs = 0;
        }
        number.is_some()
    }

    /// How much was moved is not seen; the answer says what of it is missing.
    fn count_moved(&mut self, slot: u16, response: &ScsiResponse) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        task.moved = match response.residual {
            Residual::Underflow(missing) => task.data.len().saturating_sub(missing),
            Residual::None | Residual::Overflow(_) => task.data.len(),
        };
    }

    fn handle_key_closed(&mut self, slot: u16) {
        if let Some(rdma) = self.rdma_mut() {
            rdma.open[usize::from(slot)] = false;
        }
        self.handle_data_gone(slot);
    }

    /// The device is done with a request.
    pub fn handle_done(&mut self, token: u32, kind: CompletionKind, status: Status) {
        let Some(rdma) = self.rdma_mut() else { return };
        rdma.stalled = false;
        if status != Status::Success {
            rdma.failed.get_or_insert(status);
            return;
        }
        if token == TEXT {
            rdma.text_is_busy = false;
            return;
        }
        let Ok(slot) = u16::try_from(token) else { return };
        match kind {
            CompletionKind::Send => self.handle_data_gone(slot),
            CompletionKind::Invalidate => self.handle_key_closed(slot),
            _opened => {}
        }
    }
}
