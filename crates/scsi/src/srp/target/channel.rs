//! One channel: a connection of an initiator, and the requests that came by it.
//!
//! ```text
//!            SRP_T_LOGOUT is sent        it has gone out
//!   Open ---------------------> Leaving -----------------> Ending --> (gone, once nothing of it is under way)
//!     \_____________________________________________________^
//!        the connection breaks, or the initiator logs out
//! ```
//!
//! Invariants: the channel lives until the executor has told all its tasks and the device has let go of all its memory; after
//! `Open` it takes nothing and answers nothing.

use super::Context;
use super::credits::Credits;
use super::events::Events;
use super::nexus::NexusName;
use super::task::{Stage, Task, Tasks};
use crate::target::{Function, Management, NexusKey, tagged};
use core::net::SocketAddr;
use std::collections::VecDeque;
use stdx::mem::Span;
use stdx::slab::Key;
use verbs::Data;
use verbs::endpoint::Received;
use wire::srp::{CreditRequest, LogoutReason, TargetLogout};

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    /// The server's name for it.
    pub(super) key: Key,
    /// The endpoint's.
    pub(super) connection: Key,
    pub(super) peer: SocketAddr,
    pub(super) login: Login,
    pub(super) phase: Phase,
    pub(super) credits: Credits,
    pub(super) tasks: Tasks,
    /// Requests that wait for a buffer or for room at the device, the longest first.
    stalled: Vec<u16>,
    /// Units that came while tasks of an earlier nexus were being executed.
    pub(super) held: VecDeque<Received>,
    /// SRP_CRED_REQ was sent and not answered.
    pub(super) asks_credit: bool,
    pub(super) events: Events,
    /// Its nexus counts it among its channels.
    pub(super) is_counted: bool,
    /// The endpoint has told that the connection is gone.
    pub(super) is_gone: bool,
}

/// What was agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Login {
    pub(super) name: NexusName,
    /// The server's name for the nexus, and the executor's.
    pub(super) nexus: Key,
    pub(super) executor_nexus: NexusKey,
    /// Bytes of the longest unit the initiator sends.
    pub(super) iu_len: u32,
    /// Where immediate data begins, if it is taken.
    pub(super) immediate_offset: Option<u16>,
    /// Credit requests, logouts, and events of logical units come with a solicited event.
    pub(super) solicit_credit: bool,
    pub(super) solicit_logout: bool,
    pub(super) solicit_event: bool,
    /// Descriptors of one direction.
    pub(super) descriptors_max: u32,
}

/// What a channel is doing, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It takes requests.
    Open,
    /// It says that it ends.
    Leaving,
    /// It ends.
    Ending,
}

impl Channel {
    pub(super) fn new(key: Key, connection: Key, peer: SocketAddr, login: Login, credits: Credits) -> Self {
        Self {
            key,
            connection,
            peer,
            login,
            phase: Phase::Open,
            credits,
            tasks: Tasks::default(),
            stalled: Vec::new(),
            held: VecDeque::new(),
            asks_credit: false,
            events: Events::default(),
            is_counted: true,
            is_gone: false,
        }
    }

    /// Requests that are not answered.
    pub(super) fn outstanding(&self) -> usize {
        self.tasks.iter().filter(|(_, task)| is_owed(task)).count()
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone && self.tasks.len() == 0
    }

    /// Whether something waits for a buffer, for room, or for an earlier nexus.
    pub(super) fn is_stalled(&self) -> bool {
        !self.stalled.is_empty() || !self.held.is_empty()
    }

    /// The executor's name for a request: it says which channel it came by.
    pub(super) fn slot(&self, index: u16) -> u32 {
        tagged(self.key.tag(), (self.key.index() as u32) << PLACE_SHIFT | u32::from(index))
    }

    /// Takes a request as far as it goes now.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>, index: u16) {
        if !self.step(cx, index) {
            cx.counters.stalls += 1;
            self.stalled.push(index);
        }
    }

    /// Buffers or room may have come back, or an earlier nexus may be over.
    pub(super) fn retry(&mut self, cx: &mut Context<'_>) -> Result<(), LogoutReason> {
        let mut stalled = core::mem::take(&mut self.stalled);
        stalled.retain(|&index| !self.step(cx, index));
        debug_assert!(self.stalled.is_empty(), "a step does not stall others");
        self.stalled = stalled;
        self.resume(cx)
    }

    /// What has come while there was an earlier nexus.
    fn resume(&mut self, cx: &mut Context<'_>) -> Result<(), LogoutReason> {
        while self.phase == Phase::Open
            && !self.held.is_empty()
            && !cx.executor.awaits_predecessor(self.login.executor_nexus)
        {
            if let Some(received) = self.held.pop_front() {
                self.take_unit(cx, received)?;
            }
        }
        Ok(())
    }

    /// A request waits for nothing any more.
    pub(super) fn unstall(&mut self, index: u16) {
        self.stalled.retain(|waiting| *waiting != index);
    }

    /// The channel says that it ends, and ends.
    pub(super) fn leave(&mut self, cx: &mut Context<'_>, reason: LogoutReason) {
        if self.phase != Phase::Open {
            return;
        }
        self.end(cx);
        let solicited = self.login.solicit_logout;
        let logout = TargetLogout { reason, solicited, tag: OWN_TAG }.encode();
        let (work, data) = (verbs::Work::Send, Data::Inline(&logout));
        let sent = cx.endpoint.post(cx.device, self.connection, LOGOUT_TOKEN, work, data, solicited);
        if sent.is_ok() {
            self.phase = Phase::Leaving;
        } else {
            cx.endpoint.disconnect(cx.env, cx.device, self.connection);
        }
    }

    /// The channel ends: what it was asked is given up.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        if core::mem::replace(&mut self.phase, Phase::Ending) != Phase::Open {
            return;
        }
        self.stalled.clear();
        for received in self.held.drain(..) {
            cx.endpoint.release(cx.device, self.connection, received);
        }
        for index in 0..self.tasks.places() {
            let Some(task) = self.tasks.get(index) else { continue };
            match (task.is_executors, task.stage) {
                // These wait for the executor, or for the device.
                (true, _) | (false, Stage::Replying | Stage::Dropped) => {}
                (false, _) => self.drop_task(cx, index),
            }
        }
    }

    /// The channel has ended, and its nexus goes on by others: its tasks do not.
    pub(super) fn abandon_tasks(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.tasks.places() {
            if self.tasks.get(index).is_some_and(|task| task.is_executors && !task.is_management) {
                self.abort(cx, index);
            }
        }
    }

    /// The nexus is lost: the executor tells its tasks, and nothing of task management.
    pub(super) fn forget_managements(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.tasks.places() {
            if self.tasks.get(index).is_some_and(|task| task.is_management && task.is_executors) {
                self.drop_task(cx, index);
            }
        }
    }

    /// Has the executor end a task of ours.
    pub(super) fn abort(&mut self, cx: &mut Context<'_>, index: u16) {
        let Some(task) = self.tasks.get(index) else { return };
        let (lun, tag) = (task.lun, u64::from(self.slot(index)));
        let (nexus, function) = (self.login.executor_nexus, Function::AbortTask { tag });
        cx.executor
            .manage(cx.env, &Management { nexus, slot: tagged(self.key.tag(), OWN_SLOT), lun, function });
    }

    /// Nobody is told of a request. It is gone when the device lets go of it.
    pub(super) fn drop_task(&mut self, cx: &mut Context<'_>, index: u16) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        if !matches!(task.stage, Stage::Replying | Stage::Dropped) {
            self.credits.earn();
        }
        task.stage = Stage::Dropped;
        task.is_executors = false;
        if task.under_way == 0 {
            self.free(cx, index);
        }
    }

    /// Empties a place; its buffers are the shard's again.
    pub(super) fn free(&mut self, cx: &mut Context<'_>, index: u16) {
        self.unstall(index);
        self.release_message(cx, index);
        let Some(task) = self.tasks.get_mut(index) else { return };
        for buffer in [&mut task.buffer, &mut task.table_buffer] {
            let buffer = core::mem::replace(buffer, Span::EMPTY);
            if !buffer.is_empty() {
                cx.env.mem().give(buffer);
            }
        }
        self.tasks.remove(index);
    }

    /// The message that a request came in is not needed any more.
    pub(super) fn release_message(&mut self, cx: &mut Context<'_>, index: u16) {
        let received = self.tasks.get_mut(index).and_then(|task| task.received.take());
        if let Some(received) = received {
            cx.endpoint.release(cx.device, self.connection, received);
        }
    }

    /// Gives back credits for which no response will come (section 6.10).
    pub(super) fn give_credit(&mut self, cx: &mut Context<'_>) {
        if self.phase != Phase::Open || self.asks_credit || !self.credits.is_due() {
            return;
        }
        // Requests are counted only where there is something to give, since there may be many.
        if self.outstanding() > 0 {
            return;
        }
        if cx.endpoint.room(self.connection) == 0 {
            return;
        }
        let solicited = self.login.solicit_credit;
        let request_limit_delta = self.credits.give();
        let unit = CreditRequest { request_limit_delta, solicited, tag: OWN_TAG }.encode();
        let (work, data) = (verbs::Work::Send, Data::Inline(&unit));
        let posted = cx.endpoint.post(cx.device, self.connection, CREDIT_TOKEN, work, data, solicited);
        debug_assert!(posted.is_ok(), "{posted:?}");
        self.asks_credit = true;
    }

    /// Asserts what always holds; says how many buffers it holds.
    pub(super) fn check(&self) -> usize {
        if self.phase == Phase::Open {
            self.credits.check(self.outstanding() as u32);
        }
        for &index in &self.stalled {
            let stage = self.tasks.get(index).map(|task| task.stage);
            let waits = [Stage::Table, Stage::Buffer, Stage::Fetch, Stage::Write, Stage::Reply];
            assert!(stage.is_some_and(|stage| waits.contains(&stage)), "{stage:?}");
        }
        let count = |span: &Span| usize::from(!span.is_empty());
        self.tasks.iter().map(|(_, task)| count(&task.buffer) + count(&task.table_buffer)).sum()
    }
}

/// Whether a request's credit has not been given back.
fn is_owed(task: &Task) -> bool {
    !matches!(task.stage, Stage::Replying | Stage::Dropped)
}

/// The tag of what the target asks: one of a kind at a time, so that one name is enough.
pub(super) const OWN_TAG: u64 = 0x8000_0000_0000_0000;
/// What the executor calls task management of our own, of which nobody is told: no channel has the last place.
const OWN_SLOT: u32 = (1 << 28) - 1;
/// Where the place of the channel begins in a slot, and how many places there are.
pub(super) const PLACE_SHIFT: u32 = 16;
pub(super) const CHANNELS_MAX: u32 = (1 << 12) - 1;
/// The tokens of what is no request's. No request has them: there are fewer.
pub(super) const LOGOUT_TOKEN: u32 = u32::MAX;
const CREDIT_TOKEN: u32 = u32::MAX - 1;
pub(super) const EVENT_TOKEN: u32 = u32::MAX - 2;
