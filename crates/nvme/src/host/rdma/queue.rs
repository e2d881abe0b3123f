//! One queue pair over one connection: capsules out, responses in.
//!
//! ```text
//!   Asking --asked for--> Connecting --accepted--> Established
//!      |                       |                       |
//!      +---- refused, no room, broken, a lie ----------+--> Ended(why)
//! ```
//!
//! A command's way: it waits, is posted (its memory opened first, unless its data goes along), and is complete when three
//! things have happened in whatever order: the response is there, the key is closed, and the device is done with the data that
//! went along. Of a capsule without data the device has a copy, and nobody waits for what becomes of that: its receipt may come
//! later than the response.

use super::QueueEnd;
use crate::host::queue::{Commands, Completed, Data, InCapsule, Refused, Submission};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::Time;
use verbs::endpoint::Endpoint;
use verbs::{Device, Key as MemoryKey, Object};
use wire::nvme::{Status, SubmissionQueueEntry};

/// One queue pair.
#[derive(Debug)]
pub(in crate::host) struct QueuePair {
    pub(super) parameters: Parameters,
    pub(super) state: State,
    pub(super) connection: Option<Key>,
    pub(super) commands: Commands<Command>,
    /// Commands that may be outstanding: what the submission queue and the controller's receives have room for.
    pub(super) outstanding_max: usize,
    pub(super) submission: Submission,
    /// What opens the memory of the command at each place.
    pub(super) keys: Vec<MemoryKey>,
    /// Places of commands that are yet to be posted.
    pub(super) waiting: VecDeque<u16>,
    /// The longest capsule that is sent with its data now; `None` if that may be of any length.
    pub(super) along_max: Option<usize>,
    completed: Vec<Completed>,
    /// How the first request failed that did.
    pub(super) failed: Option<verbs::Status>,
}

/// What a queue is to be like.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Parameters {
    /// Its identifier (QID).
    pub id: u16,
    /// The controller it belongs to (CNTLID); of an admin queue 0.
    pub controller_id: u16,
    /// Entries of the submission queue, 2 to 1,024. One less can be outstanding.
    pub entries: u16,
    /// The controller tells its submission queue head.
    pub flow_control: bool,
    /// How much data goes along in a capsule.
    pub in_capsule: InCapsule,
    /// The place of its first capsule in the link's memory.
    pub first_capsule: usize,
}

/// How far the queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::host) enum State {
    /// The connection is yet to be asked for.
    Asking,
    /// It was.
    Connecting,
    /// Commands may be sent.
    Established,
    /// It is over.
    Ended(QueueEnd),
}

/// A command that is outstanding.
#[derive(Debug)]
pub(super) struct Command {
    /// What the owner of the queue knows it by.
    token: u64,
    pub(super) entry: SubmissionQueueEntry,
    pub(super) data: Data,
    /// When it was taken on.
    since: Time,
    /// Its capsule was given to the device.
    pub(super) posted: bool,
    /// The device has data of ours that goes along with the capsule.
    pub(super) is_lent: bool,
    /// What its memory is open under.
    pub(super) key: Option<MemoryKey>,
    pub(super) response: Option<(Status, u64)>,
}

/// What a queue reaches besides itself.
pub(super) struct Context<'a> {
    pub env: &'a mut dyn Env,
    pub device: &'a mut dyn Device,
    pub endpoint: &'a mut Endpoint,
    /// Memory of all capsules whose data goes along.
    pub capsules: Span,
    /// Zeros between a command and data that does not begin right behind it.
    pub padding: Span,
}

impl QueuePair {
    /// A queue whose connection is to be asked for.
    pub fn new(parameters: Parameters) -> Self {
        let most = if planted(Bug::QueueOverrun) { 2 * parameters.entries } else { parameters.entries };
        let outstanding_max = most - 1;
        Self {
            parameters,
            state: State::Asking,
            connection: None,
            commands: Commands::new(outstanding_max),
            outstanding_max: outstanding_max.into(),
            submission: Submission::new(parameters.entries, parameters.flow_control),
            keys: Vec::with_capacity(outstanding_max.into()),
            waiting: VecDeque::with_capacity(outstanding_max.into()),
            along_max: None,
            completed: Vec::with_capacity(outstanding_max.into()),
            failed: None,
        }
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// How many commands are outstanding.
    pub fn outstanding(&self) -> usize {
        self.commands.len()
    }

    /// The commands taken on and not answered: identifier, token, and since when.
    pub fn unanswered(&self) -> impl Iterator<Item = (u16, u64, Time)> {
        self.commands.iter().map(|(id, command)| (id, command.token, command.since))
    }

    /// True if there is something to do that needs the device.
    pub fn wants_device(&self) -> bool {
        self.state == State::Asking || !self.waiting.is_empty()
    }

    /// Takes a command on; its identifier and data pointer are filled in when it is posted.
    pub fn submit(
        &mut self,
        now: Time,
        command: &SubmissionQueueEntry,
        data: Data,
        token: u64,
    ) -> Result<(), Refused> {
        let is_full = self.commands.len() >= self.outstanding_max || self.submission.is_full();
        if self.state != State::Established || is_full {
            return Err(Refused);
        }
        let command = Command {
            token,
            entry: *command,
            data,
            since: now,
            posted: false,
            is_lent: false,
            key: None,
            response: None,
        };
        let (slot, _) = self.commands.insert(command).ok_or(Refused)?;
        self.submission.advance();
        self.waiting.push_back(slot);
        Ok(())
    }

    /// Appends what was completed since the last call.
    pub fn take_completed(&mut self, into: &mut Vec<Completed>) {
        into.append(&mut self.completed);
    }

    /// It is over. The first reason counts.
    pub(super) fn end(&mut self, why: QueueEnd) {
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(why);
            self.waiting.clear();
        }
    }

    /// Closes all memory: what was open to the controller is so no more.
    pub(super) fn close_memory(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        for key in self.keys.drain(..) {
            let destroyed = device.destroy(env, Object::Memory(key));
            debug_assert!(destroyed.is_ok(), "{destroyed:?}");
        }
    }

    /// Tells the command at a place complete, once it is.
    pub(super) fn settle(&mut self, slot: u16) {
        let is_complete =
            |command: &mut Command| !command.is_lent && command.key.is_none() && command.response.is_some();
        if !self.commands.get_mut(slot).is_some_and(is_complete) {
            return;
        }
        let Some(Command { token, response: Some((status, result)), .. }) = self.commands.remove(slot) else {
            return;
        };
        if self.commands.len() == 0 {
            self.submission.handle_idle();
        }
        self.completed.push(Completed { token, status, result });
    }
}
