//! One target and our channels to it: the way up, life, loss, and the way up again.
//!
//! ```text
//!             +------------- refused, broken, late (first time) -------------+
//!             |                                                              v
//!   Rising(stage) --last channel--> Live ------ broken, late ----> Waiting --> Failed
//!        ^                                                          |  |
//!        +------------------------ delay over ----------------------+  +-- loss time-out
//! ```
//!
//! Invariants: a channel that breaks takes the others along, since they are cheap to make, and requests then have one history;
//! nothing is told of requests while memory of theirs may be in use.

mod loss;
mod rising;
mod timeouts;

use super::channel::{ChannelEnd, Ended, State};
use super::event::{Failure, InitiatorEvent, Stage};
use super::link::Link;
use super::options::InitiatorOptions;
use crate::initiator::{Attached, Look, Settings as UnitSettings, Units};
use block::{Done, Io, Refused};
use std::collections::VecDeque;
use stdx::backoff::Backoff;
use stdx::env::{Env, Event, Owner};
use stdx::mem::OutOfMemory;
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::{ConnectionEvent, Device};

/// The attached target, shared by the initiator's handle and the channels of its disks.
#[derive(Debug)]
pub(super) struct Attachment {
    pub options: InitiatorOptions,
    phase: Phase,
    /// There was a Live once.
    was_live: bool,
    /// `None` once it was freed.
    link: Option<Link>,
    /// The target's disks, and all requests for them.
    pub units: Units,
    events: VecDeque<InitiatorEvent>,
    backoff: Backoff,
    last_failure: Failure,
    /// Data may go along with commands: the target did not refuse units of that length.
    with_immediate: bool,
    /// How often what an earlier connection of ours left was in the way since we were last let in.
    stale: u32,
    /// The target has no room for more channels than there are.
    has_all_channels: bool,
    /// When to look for late commands.
    look_at: Option<Time>,
    ended: Vec<Ended>,
}

/// How far the attachment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// On the way up; `deadline` is when it must be Live.
    Rising { stage: Stage, deadline: Time },
    /// Ready.
    Live,
    /// The connection is lost; the next attempt begins at `until`.
    Waiting { until: Time },
    /// Over.
    Failed,
}

impl Attachment {
    pub fn connect(env: &mut dyn Env, owner: Owner, options: InitiatorOptions) -> Result<Self, OutOfMemory> {
        let units = Units::new(env.mem(), unit_settings(&options))?;
        let link = match Link::new(env, owner, &options) {
            Ok(link) => link,
            Err(error) => {
                units.unmap(env.mem());
                return Err(error);
            }
        };
        let seed = env.entropy();
        let mut attachment = Self {
            phase: Phase::Waiting { until: env.now() },
            was_live: false,
            link: Some(link),
            units,
            events: VecDeque::new(),
            backoff: Backoff::new(seed, options.reconnect_delay, options.reconnect_delay_max),
            last_failure: Failure::Closed,
            with_immediate: true,
            stale: 0,
            has_all_channels: false,
            look_at: None,
            ended: Vec::new(),
            options,
        };
        attachment.rise(env);
        Ok(attachment)
    }

    /// True while requests can be sent.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The link, until it was freed.
    pub const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Takes in what the device has to tell, draws the consequences, and has it do what is wanted.
    pub fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some(link) = &mut self.link else { return };
        if let Err(why) = link.poll(env, device) {
            self.lose(env, why.into());
        }
        self.turn(env);
        if let Some(link) = &mut self.link {
            link.post(env, device);
        }
    }

    /// An event of the device for one of this attachment's owners.
    pub fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        if let Some(link) = &mut self.link {
            link.handle_event(device, event);
        }
    }

    /// Something happened to a connection of this attachment's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(link) = &mut self.link {
            link.handle_connection(env, device, event);
        }
    }

    /// Draws the consequences of what the channels took in.
    fn turn(&mut self, env: &mut dyn Env) {
        self.handle_endings(env);
        self.handle_states(env);
        match self.phase {
            Phase::Waiting { until } if env.now() >= until && !self.is_exposed() => self.rise(env),
            Phase::Rising { .. } | Phase::Waiting { .. } | Phase::Live | Phase::Failed => {}
        }
        let Self { units, link: Some(link), .. } = self else { return };
        units.continue_look(env, link);
        units.issue_waiting(env, link);
    }

    fn handle_endings(&mut self, env: &mut dyn Env) {
        let mut ended = core::mem::take(&mut self.ended);
        for place in 0..self.link.as_ref().map_or(0, |link| link.channels().len()) {
            if let Some(link) = &mut self.link {
                link.take_ended(place, &mut ended);
            }
            for one in ended.drain(..) {
                self.handle_ending(env, &one);
            }
        }
        self.ended = ended;
    }

    fn handle_ending(&mut self, env: &mut dyn Env, ended: &Ended) {
        let Self { units, link: Some(link), .. } = self else { return };
        match units.handle_ending(env, link, ended.token, &ended.ending) {
            Look::Further => {}
            Look::Done => {
                while let Some(change) = self.units.poll_change() {
                    self.events.push_back(change.into());
                }
                self.handle_looked(env);
            }
            Look::Failed(ending) => self.lose(env, Failure::of(&ending)),
        }
    }

    fn handle_states(&mut self, env: &mut dyn Env) {
        let Some(link) = &mut self.link else { return };
        let mut has_news = false;
        let mut end: Option<ChannelEnd> = None;
        for channel in link.channels_mut() {
            has_news |= channel.take_news();
            if let State::Ended(why) = channel.state() {
                end.get_or_insert(why);
            }
        }
        match end {
            Some(why) => self.handle_ended(env, why),
            None => self.handle_open(env),
        }
        if has_news
            && self.is_live()
            && let Some(link) = &mut self.link
        {
            self.units.begin_look(env, link);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<InitiatorEvent> {
        if self.is_exposed() { None } else { self.events.pop_front() }
    }

    /// True if [`Attachment::poll_event`] has something to tell, now or once the device is done.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// True while memory of requests that ended without an answer may be in use: nothing of them is told.
    fn is_exposed(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_exposed)
    }

    /// True if nothing is left at the device.
    pub fn is_quiet(&self) -> bool {
        self.link.as_ref().is_none_or(Link::is_quiet)
    }

    /// Ends everything. Requests complete as gone.
    pub fn close(&mut self) {
        if self.phase == Phase::Failed && self.last_failure == Failure::Closed {
            return;
        }
        if let Some(link) = &mut self.link {
            link.drop_all(true);
        }
        self.fail(Failure::Closed);
        self.last_failure = Failure::Closed;
    }

    /// Gives back what the attachment has of the device, and the memory that the device knew.
    pub fn free(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some(link) = self.link.take() else { return };
        link.free(env, device);
        self.units.unmap(env.mem());
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        assert_eq!(self.is_live(), self.units.is_live());
        self.units.check();
        let Some(link) = &self.link else { return };
        link.check();
        let is_up = |state: State| matches!(state, State::Open | State::Ended(_));
        let all_up = link.channels().iter().all(|channel| is_up(channel.state()));
        assert!(!self.is_live() || all_up && !link.channels().is_empty(), "live without all channels");
    }
}

impl Attached for Attachment {
    fn units(&self) -> &Units {
        &self.units
    }

    fn units_mut(&mut self) -> &mut Units {
        &mut self.units
    }

    fn submit(&mut self, env: &mut dyn Env, channel: Key, lun: u16, io: Io) -> Result<(), Refused> {
        match &mut self.link {
            Some(link) => self.units.submit(env, link, channel, lun, io),
            None => {
                self.units.answer_gone(channel, &io);
                Ok(())
            }
        }
    }

    fn poll_channel(&mut self, _env: &mut dyn Env, channel: Key, done: &mut Vec<Done>) {
        if !self.is_exposed() {
            self.units.take_done(channel, done);
        }
    }

    /// Nothing of the environment's is an attachment's: it has a device.
    fn handle_event(&mut self, _env: &mut dyn Env, _event: &Event) {}

    fn deadline(&self) -> Option<Time> {
        let link = self.link.as_ref().filter(|link| link.wants_device()).map(|_| Time::ZERO);
        let phase = match self.phase {
            Phase::Rising { deadline, .. } => Some(deadline),
            // The device tells when the channels of the last attempt have let go of the memory that those of the next use.
            Phase::Waiting { .. } if self.is_exposed() => None,
            Phase::Waiting { until } => Some(until),
            Phase::Live => self.look_at,
            Phase::Failed => None,
        };
        earliest(earliest(link, self.units.deadline()), phase)
    }

    fn handle_timeout(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if !self.units.handle_timeout(now) {
            self.fail(self.last_failure);
        }
        match self.phase {
            Phase::Rising { stage, deadline } if now >= deadline => {
                self.lose(env, Failure::ConnectTimedOut(stage));
            }
            Phase::Live => self.look(env),
            Phase::Rising { .. } | Phase::Waiting { .. } | Phase::Failed => {}
        }
        self.turn(env);
    }
}

const fn unit_settings(options: &InitiatorOptions) -> UnitSettings {
    UnitSettings {
        lun: options.lun,
        requests_max: options.requests_max,
        watch_interval: options.watch_interval,
        loss_timeout: options.loss_timeout,
        fast_io_fail_timeout: options.fast_io_fail_timeout,
    }
}
