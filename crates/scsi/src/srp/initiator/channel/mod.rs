//! One RDMA channel: requests out, responses in.
//!
//! ```text
//!   Asking --asked for--> Connecting --accepted--> Open
//!      |                       |                     |
//!      +---- refused, no room, broken, a lie --------+--> Ended(why)
//! ```
//!
//! A command's way: it waits, is sent (its memory opened first, unless its data goes along), and has ended when three things
//! have happened in whatever order: the response is there, the device has let go of the unit, the key is closed.
//!
//! Invariant: a request that is sent spends a credit, and credits come back by what the target says alone (section 5.2). One is
//! kept for task management.

mod end;
mod incoming;
mod login;
mod outgoing;

pub use end::ChannelEnd;
pub(super) use login::RECEIVE_LEN;
pub(super) use outgoing::{INLINE_LEN, outbox_len};

use crate::initiator::{Command, Data, Ending, Full};
use core::time::Duration;
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use stdx::time::Time;
use verbs::endpoint::Endpoint;
use verbs::{Device, Key as MemoryKey, Object};
use wire::scsi::Lun;
use wire::srp::{PortId, Reply};

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    settings: Settings,
    state: State,
    pub(super) connection: Option<Key>,
    agreed: Agreed,
    /// Requests that may be sent.
    credits: u32,
    tasks: Slab<Task>,
    /// What opens the memory of the task at each place.
    keys: Vec<MemoryKey>,
    /// The device took no more, and has not been done with anything since.
    is_stalled: bool,
    /// The longest request that is sent with its data now; `None` if that may be of any length.
    along_max: Option<usize>,
    /// Tasks that are yet to be sent, and how many were.
    waiting: VecDeque<Key>,
    sent: u64,
    /// Answers to what the target asked that are yet to be sent, and how many the device has.
    replies: VecDeque<Reply>,
    replies_under_way: usize,
    ended: Vec<Ended>,
    /// The target told of an event.
    has_news: bool,
    /// The target was told that we go.
    is_logged_out: bool,
    /// How the first work failed that did.
    failed: Option<verbs::Status>,
}

/// What a channel is to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Its place among the channels.
    pub place: u16,
    /// The service to ask InfiniBand's connection manager for, if it is to be that one.
    pub service: Option<u64>,
    /// Who asks.
    pub initiator: PortId,
    /// Who is asked.
    pub target: PortId,
    /// It joins the others of its nexus.
    pub joins: bool,
    /// Commands outstanding.
    pub commands_max: u16,
    /// The most bytes that go along with a command.
    pub immediate_max: u32,
    /// The most bytes that one descriptor names.
    pub piece_max: Option<u32>,
}

/// How far the channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The connection is yet to be asked for.
    Asking,
    /// It was.
    Connecting,
    /// Requests may be sent.
    Open,
    /// It is over.
    Ended(ChannelEnd),
}

/// What the login agreed on.
#[derive(Clone, Copy, Default, Debug)]
struct Agreed {
    /// Bytes of the longest unit that the target takes.
    iu_len: usize,
    /// The most bytes that go along with a command.
    immediate_max: u32,
    /// Commands outstanding: as many as there were credits for at first, but for those that are kept.
    commands_max: usize,
    /// Credits that no command spends: with all spent, nothing could be aborted.
    kept: u32,
}

/// A request that is outstanding.
#[derive(Debug)]
struct Task {
    what: What,
    /// When it was taken on.
    since: Time,
    /// It was given to the device, as the channel's how manyth request.
    is_posted: bool,
    number: u64,
    /// The device has let go of it.
    is_gone: bool,
    /// What its memory is open under.
    key: Option<MemoryKey>,
    ending: Option<Ending>,
}

/// What a request is.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A SCSI command.
    Command(Command),
    /// ABORT TASK for another one of ours.
    Abort(Key),
    /// LOGICAL UNIT RESET.
    Reset(Lun),
}

/// A command has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Its owner's token.
    pub token: u64,
    /// How.
    pub ending: Ending,
}

/// What a channel reaches besides itself.
pub(super) struct Context<'a> {
    pub env: &'a mut dyn Env,
    pub device: &'a mut dyn Device,
    pub endpoint: &'a mut Endpoint,
    /// Memory for the units of all channels that are longer than what goes inline.
    pub outbox: Span,
    /// Where a unit is put together.
    pub scratch: &'a mut Vec<u8>,
}

/// A channel, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelInfo {
    /// Requests that may be sent now.
    pub credits: u32,
    /// Requests outstanding.
    pub outstanding: usize,
    /// The most bytes that go along with a command.
    pub immediate_max: u32,
}

impl Channel {
    /// A channel that is yet to be asked for.
    pub fn new(settings: Settings) -> Self {
        let tasks_max = tasks_max(settings.commands_max);
        Self {
            settings,
            state: State::Asking,
            connection: None,
            agreed: Agreed::default(),
            credits: 0,
            tasks: Slab::new(tasks_max),
            keys: Vec::with_capacity(tasks_max),
            is_stalled: false,
            along_max: None,
            waiting: VecDeque::with_capacity(tasks_max),
            sent: 0,
            replies: VecDeque::with_capacity(REPLIES_MAX),
            replies_under_way: 0,
            ended: Vec::with_capacity(tasks_max),
            has_news: false,
            is_logged_out: false,
            failed: None,
        }
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// For people.
    pub fn info(&self) -> ChannelInfo {
        let outstanding = self.tasks.len();
        ChannelInfo { credits: self.credits, outstanding, immediate_max: self.agreed.immediate_max }
    }

    /// True if there is something to do that needs the device.
    pub fn wants_device(&self) -> bool {
        let has_work = !self.is_stalled && (self.can_send() || !self.replies.is_empty());
        self.state == State::Asking || self.state == State::Open && has_work
    }

    /// Whether the next request that waits may be sent.
    fn can_send(&self) -> bool {
        let next = self.waiting.front().and_then(|key| self.tasks.get(*key));
        next.is_some_and(|task| match task.what {
            What::Command(_) => self.credits > self.agreed.kept,
            What::Abort(_) | What::Reset(_) => self.credits > 0,
        })
    }

    /// Takes a command on.
    pub fn submit(&mut self, now: Time, command: &Command) -> Result<(), Full> {
        if self.state != State::Open || self.tasks.len() >= self.agreed.commands_max {
            return Err(Full);
        }
        let task = self.tasks.insert(Task::new(What::Command(*command), now)).map_err(|_| Full)?;
        self.waiting.push_back(task);
        Ok(())
    }

    /// Since when the oldest command waits for its end.
    pub fn oldest(&self) -> Option<Time> {
        self.tasks.iter().map(|(_, task)| task.since).min()
    }

    /// Commands that were sent, and are without an answer for so long: name and token.
    pub fn late(&self, now: Time, timeout: Duration) -> impl Iterator<Item = (Key, u64)> {
        let is_late =
            move |task: &Task| task.is_posted && task.ending.is_none() && now >= task.since + timeout;
        self.tasks.iter().filter(move |(_, task)| is_late(task)).filter_map(|(key, task)| match task.what {
            What::Command(command) => Some((key, command.token)),
            What::Abort(_) | What::Reset(_) => None,
        })
    }

    /// The logical unit of a command that was sent, and is without an answer for so long.
    pub fn stuck(&self, now: Time, patience: Duration) -> Option<Lun> {
        let (late, _) = self.late(now, patience).next()?;
        match self.tasks.get(late)?.what {
            What::Command(command) => Some(command.lun),
            What::Abort(_) | What::Reset(_) => None,
        }
    }

    /// Asks the target to abort a command. It ends by its response or by that of the abortion, whichever comes.
    pub fn abort(&mut self, now: Time, of: Key) -> Result<(), Full> {
        let aborts = self.tasks.iter().filter(|(_, task)| matches!(task.what, What::Abort(_))).count();
        if self.state != State::Open || aborts >= ABORTS_MAX {
            return Err(Full);
        }
        let abort = self.tasks.insert(Task::new(What::Abort(of), now)).map_err(|_| Full)?;
        self.waiting.push_front(abort);
        Ok(())
    }

    /// Asks the target to reset a logical unit, unless it is asked already or has no command of ours. What was sent to the unit
    /// before ends by its response or by that of the reset, whichever comes.
    pub fn reset(&mut self, now: Time, lun: Lun) -> Result<(), Full> {
        if self.state != State::Open {
            return Err(Full);
        }
        let is_asked = self.tasks.iter().any(|(_, task)| matches!(task.what, What::Reset(of) if of == lun));
        let has_command = self.tasks.iter().any(|(_, task)| task.is_under_way_at(lun));
        if !is_asked && has_command {
            let reset = self.tasks.insert(Task::new(What::Reset(lun), now)).map_err(|_| Full)?;
            self.waiting.push_front(reset);
        }
        Ok(())
    }

    /// Appends what has ended since the last call.
    pub fn take_ended(&mut self, into: &mut Vec<Ended>) {
        into.append(&mut self.ended);
    }

    /// Whether the target told of an event since the last call.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.has_news)
    }

    /// It is over. The first reason counts.
    fn end(&mut self, why: ChannelEnd) {
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(why);
            self.waiting.clear();
            self.replies.clear();
        }
    }

    /// Closes all memory: what was open to the target is so no more.
    pub fn close_memory(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        for key in self.keys.drain(..) {
            let destroyed = device.destroy(env, Object::Memory(key));
            debug_assert!(destroyed.is_ok(), "{destroyed:?}");
        }
    }

    /// Tells a task ended, once it has.
    fn settle(&mut self, key: Key) {
        let has_ended = |task: &Task| task.is_gone && task.key.is_none() && task.ending.is_some();
        if !self.tasks.get(key).is_some_and(has_ended) {
            return;
        }
        let Some(Task { what, ending: Some(ending), .. }) = self.tasks.remove(key) else { return };
        if let What::Command(Command { token, .. }) = what {
            self.ended.push(Ended { token, ending });
        }
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        let open = self.tasks.iter().filter(|(_, task)| task.key.is_some()).count();
        assert!(open <= self.keys.len() || matches!(self.state, State::Ended(_)));
        for key in &self.waiting {
            let waits = self.tasks.get(*key).is_some_and(|task| !task.is_posted && task.ending.is_none());
            assert!(waits, "a request waits that was sent");
        }
        assert!(self.replies.len() + self.replies_under_way <= REPLIES_MAX);
    }
}

impl Task {
    const fn new(what: What, since: Time) -> Self {
        Self { what, since, is_posted: false, number: 0, is_gone: false, key: None, ending: None }
    }

    /// Whether it is a command for this logical unit that was sent and not answered.
    fn is_under_way_at(&self, lun: Lun) -> bool {
        let is_its = matches!(self.what, What::Command(command) if command.lun == lun);
        is_its && self.is_posted && self.ending.is_none()
    }

    /// Bytes that the target may read, and that it may write.
    const fn data(&self) -> Data {
        match self.what {
            What::Command(command) => command.data,
            What::Abort(_) | What::Reset(_) => Data::None,
        }
    }
}

/// Requests of a channel at once: the last place is for a reset.
const fn tasks_max(commands_max: u16) -> usize {
    commands_max as usize + ABORTS_MAX + 1
}

/// Abortions of a channel under way at once.
const ABORTS_MAX: usize = 8;
/// Requests of a target's that are not answered yet: it asks one of a kind at a time.
const REPLIES_MAX: usize = 8;

/// Work of one channel that the device has under way: of each request, its memory is opened, its unit is sent, its memory is
/// closed; answers; the last word.
pub(super) const fn sends(commands_max: u16) -> u32 {
    3 * tasks_max(commands_max) as u32 + REPLIES_MAX as u32 + 1
}

/// Units that a target may send by one channel at once: responses, what it asks, its last word.
pub(super) const fn receives(commands_max: u16) -> u32 {
    (tasks_max(commands_max) + REPLIES_MAX) as u32 + 1
}
