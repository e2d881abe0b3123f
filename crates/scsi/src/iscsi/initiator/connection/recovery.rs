//! The connection goes on by another stream (RFC 7143, sections 7.1.4.3 and 7.2): commands that the target has taken are
//! reassigned, the others are sent again, with their numbers. Only at error recovery level 2.
//!
//! The new connection has the CID of the lost one, so that its login logs the lost one out for recovery.

use super::receive::Receive;
use super::tasks::Kind;
use super::{
    Answer, Carrier, Connection, ConnectionEnd, Ending, InitiatorLogin, Parameters, Settings, State,
};
use core::time::Duration;
use std::rc::Rc;
use stdx::env::{Env, IoError, Owner};
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use stdx::transmit::Transmit;
use wire::iscsi::{
    Digests, HeaderError, HeaderRules, LOGIN_DATA_MAX, Receiver, Serial, TaskResponse, TaskResult,
};
use wire::scsi::Status;

impl Connection {
    /// Whether the session can go on after such an end.
    pub fn recovers(&self, why: &ConnectionEnd) -> bool {
        let agreed = self.tsih != 0 && self.parameters.error_recovery_level == 2;
        agreed
            && match why {
                ConnectionEnd::Stream(_)
                | ConnectionEnd::ByPeer
                | ConnectionEnd::DataDigest
                | ConnectionEnd::Malformed(HeaderError::HeaderDigest)
                | ConnectionEnd::Dropped
                | ConnectionEnd::Closed => true,
                ConnectionEnd::Login(_)
                | ConnectionEnd::Malformed(_)
                | ConnectionEnd::Misbehaved(_)
                | ConnectionEnd::NotReassigned(_)
                | ConnectionEnd::Rdma(_)
                | ConnectionEnd::Rejected(_)
                | ConnectionEnd::SessionDropped
                | ConnectionEnd::AskedToLeave => false,
            }
    }

    /// How long to wait before the session is taken up again, and for how long after that its tasks are there.
    pub fn times(&self) -> (Duration, Duration) {
        let Parameters { time_to_wait_s, time_to_retain_s, .. } = self.parameters;
        (Duration::from_secs(time_to_wait_s.into()), Duration::from_secs(time_to_retain_s.into()))
    }

    /// Connects anew; the tasks stay.
    pub fn reconnect(&mut self, env: &mut dyn Env, owner: Owner, settings: &Settings) -> Result<(), IoError> {
        self.forget_stream();
        self.carrier = Carrier::Stream(env.connect(owner, settings.address)?);
        self.state = State::Connecting;
        let identity = Rc::clone(&settings.identity);
        let login = InitiatorLogin::join(identity, settings.limits.clone(), &self.parameters);
        self.login = Some(Box::new(login));
        let digests = Digests::default();
        self.rules = HeaderRules { receiver: Receiver::Initiator, digests, data_max: LOGIN_DATA_MAX };
        (self.heard, self.blocked, self.unread) = (false, true, false);
        self.last_heard = env.now();
        Ok(())
    }

    /// What was on its way is not any more: tasks are as far as what has come whole.
    pub(super) fn forget_stream(&mut self) {
        let landing = self.receive.payload.take();
        let places = self.tasks.capacity();
        self.transmit = Transmit::new(self.memory.ring, places * 4);
        self.receive = Receive::new(self.memory.receive);
        self.sending.clear();
        self.resuming.clear();
        self.order.restart();
        for slot in self.tasks.slots() {
            let landing = landing.filter(|payload| payload.slot == slot);
            let landing = landing.filter(|_| !planted(Bug::LandingTakenForLanded));
            let Some(task) = self.tasks.get_mut(slot) else { continue };
            if task.kind != Kind::Command {
                // Signs of life and aborts were for the stream that is gone.
                self.tasks.remove(slot);
                continue;
            }
            (task.unsent, task.sequence, task.queued, task.acknowledge) = (0, None, None, None);
            self.holding -= usize::from(task.answer_sn.take().is_some());
            let damaged = task.missing.drain(..).map(|missing| (missing.data_sn, missing.offset));
            let lost = damaged.chain(landing.map(|payload| (payload.data_sn, payload.offset)));
            let first = lost.min_by_key(|(_, offset)| *offset);
            if let Some((data_sn, offset)) = first {
                (task.next_sn, task.moved) = (data_sn, offset);
                task.answer = None;
            }
            self.finish(slot);
        }
    }

    /// The login is over: what the connection before could not bring to its end goes on.
    pub(super) fn resume(&mut self) {
        let commands = self.tasks.iter().filter(|(_, task)| task.kind == Kind::Command);
        let commands = commands.map(|(slot, _)| slot).collect();
        self.resume_these(commands);
    }

    /// Commands that are here go on, in the order of their numbers.
    pub(super) fn resume_these(&mut self, slots: Vec<u16>) {
        let number_of = |slot: u16| Some((self.tasks.get(slot)?.cmd_sn, slot));
        let mut commands: Vec<(Serial, u16)> = slots.into_iter().filter_map(number_of).collect();
        let first = self.window.exp_cmd_sn();
        // The window is less than half of all numbers, and so are the commands taken before it.
        commands.sort_unstable_by_key(|(number, _)| number.plus(1 << 31).since(first));
        self.resuming.extend(commands.into_iter().map(|(_, slot)| slot));
    }

    /// Has commands go on as far as there is room for that.
    pub(super) fn put_resumed(&mut self, memory: &mut Memory) {
        while self.has_room() {
            let Some(slot) = self.resuming.pop_front() else { return };
            let expected = self.window.exp_cmd_sn();
            let Some(task) = self.tasks.get_mut(slot) else { continue };
            if task.cmd_sn.precedes(expected) {
                let next = task.next_sn;
                self.put_reassign(memory, slot, next);
            } else if planted(Bug::UntakenTakenForDone) {
                let (moved, status) = (task.data.len(), Some(Status::Good as u8));
                let ending = Ending { status, sense: None, moved, is_exact: true };
                task.answer = Some(Answer::Command(ending));
                self.finish(slot);
            } else {
                (task.moved, task.next_sn) = (0, Serial(0));
                self.put_command(memory, slot);
            }
        }
    }

    /// The target goes on with a task, or cannot.
    pub(super) fn handle_reassigned(&mut self, response: &TaskResponse) -> Result<(), ConnectionEnd> {
        match response.result {
            TaskResult::Complete => Ok(()),
            other => Err(ConnectionEnd::NotReassigned(other)),
        }
    }
}
