//! One target and our sessions with it: the way up, life, loss, and the way up again.
//!
//! ```text
//!             +------------- refused, broken, late (first time) -------------+
//!             |                                                              v
//!   Rising(stage) --last session--> Live --broken, silent, late--> Waiting --> Failed
//!        ^                                                          |  |
//!        +------------------------ delay over ----------------------+  +-- loss time-out, final refusal
//! ```
//!
//! Invariants: a request is completed exactly once, whatever happens to the connections; the events of a stream that is no
//! longer ours are ignored.

mod drive;
mod loss;
mod recovery;
mod rising;
mod timeouts;

use self::recovery::Recovery;
use super::connection::{Answer, Completed, Connection, ConnectionMemory, News, State};
use super::event::{Failure, InitiatorEvent, Stage};
use super::iser::Link;
use super::options::{InitiatorOptions, Transport};
use super::session::Session;
use crate::initiator::{Attached, Carrier, Command, Ending, Full, Look, Settings as UnitSettings, Units};
use crate::iscsi::login::{InitiatorIdentity, Parameters};
use block::{Done, Io, Refused};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::backoff::Backoff;
use stdx::env::{Env, Event, Owner, What};
use stdx::mem::OutOfMemory;
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use wire::iscsi::{Isid, Serial};

/// The attached target, shared by the initiator's handle and the channels of its disks.
#[derive(Debug)]
pub(super) struct Attachment {
    owner: Owner,
    pub options: InitiatorOptions,
    identity: Rc<InitiatorIdentity>,
    /// Where the next attempt goes: as the options say, or where the target sent us.
    address: SocketAddr,
    /// How often the target sent us elsewhere since we were last let in.
    moves: u32,
    /// How often what an earlier connection of ours left was in the way of the first.
    stale: u32,
    isid: Isid,
    phase: Phase,
    /// There was a Live once.
    was_live: bool,
    sessions: Vec<Session>,
    /// The connections' device, over RDMA.
    link: Option<Box<Link>>,
    /// Connections that are lost and go on by another stream.
    recoveries: BTreeMap<Place, Recovery>,
    /// Memory of connections that are no more.
    spare: BTreeMap<Place, ConnectionMemory>,
    /// Where the orders of commands go on, by session.
    cmd_sns: BTreeMap<usize, Serial>,
    /// The target's disks, and all requests for them.
    pub units: Units,
    pub events: VecDeque<InitiatorEvent>,
    backoff: Backoff,
    /// DefaultTime2Wait of the last connection.
    time_to_wait: Duration,
    last_failure: Failure,
    /// When to look for late commands and silent sessions.
    look_at: Option<Time>,
    completed: Vec<Completed>,
}

/// Which connection: the place of its session, and its place therein.
type Place = (usize, usize);

/// How far the attachment is.
#[derive(Clone, PartialEq, Eq, Debug)]
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
        let link = match options.transport {
            Transport::Tcp => None,
            Transport::Rdma => Some(Box::new(Link::new(owner, &options))),
        };
        let seed = env.entropy();
        let identity = Rc::new(InitiatorIdentity {
            initiator: options.initiator.clone(),
            alias: options.alias.clone(),
            target: Some(options.target.clone()),
            chap: options.chap.clone().map(Rc::new),
        });
        let mut attachment = Self {
            owner,
            identity,
            address: options.address,
            moves: 0,
            stale: 0,
            isid: options.isid.unwrap_or_else(|| random_isid(env.entropy())),
            phase: Phase::Waiting { until: env.now() },
            was_live: false,
            sessions: Vec::new(),
            link,
            recoveries: BTreeMap::new(),
            spare: BTreeMap::new(),
            cmd_sns: BTreeMap::new(),
            units,
            events: VecDeque::new(),
            backoff: Backoff::new(seed, options.reconnect_delay, options.reconnect_delay_max),
            time_to_wait: Duration::ZERO,
            last_failure: Failure::Closed,
            look_at: None,
            completed: Vec::new(),
            options,
        };
        attachment.rise(env);
        Ok(attachment)
    }

    /// True while requests can be sent.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// What each session agreed on.
    pub fn session_parameters(&self) -> Vec<Parameters> {
        self.sessions.iter().map(|session| *session.parameters()).collect()
    }

    pub fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        let stream = match event.what {
            What::Readable(stream) | What::Writable(stream) | What::Broken(stream, _) => stream,
            What::Acceptable(_) | What::FileDone { .. } | What::Woken => return,
            What::DatagramsReadable(_) | What::DatagramsWritable(_) => return,
            What::LinkAcceptable(_) | What::LinkReadable(_) => return,
        };
        let found = self.sessions.iter_mut().find_map(|session| session.connection_on(stream));
        if let Some(connection) = found {
            connection.handle_event(env, &event.what);
            self.turn(env);
        }
    }

    /// Sends what channels submitted since the last call.
    pub fn flush(&mut self, env: &mut dyn Env) {
        for session in &mut self.sessions {
            session.flush(env);
        }
        self.turn(env);
    }

    fn connections(&self) -> impl Iterator<Item = (Place, &Connection)> {
        let sessions = self.sessions.iter().enumerate();
        sessions.flat_map(|(index, session)| {
            let connections = session.connections().iter().enumerate();
            connections.map(move |(place, connection)| ((index, place), connection))
        })
    }

    fn connections_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.sessions.iter_mut().flat_map(Session::connections_mut)
    }

    /// Draws the consequences of what the sessions took in.
    fn turn(&mut self, env: &mut dyn Env) {
        self.handle_completions(env);
        self.handle_news(env);
        self.handle_states(env);
        self.units.continue_look(env, &mut self.sessions);
        if self.is_live() {
            self.units.issue_waiting(env, &mut self.sessions);
        }
    }

    fn handle_completions(&mut self, env: &mut dyn Env) {
        let mut completed = core::mem::take(&mut self.completed);
        for index in 0..self.sessions.len() {
            let Some(session) = self.sessions.get_mut(index) else { break };
            session.take_completed(&mut completed);
            for done in completed.drain(..) {
                match &done.answer {
                    Answer::Command(ending) => self.handle_ending(env, done.token, ending),
                    // A sign of life has done its duty by being heard, and what was aborted ends by itself.
                    Answer::LoggedOut(result) => self.handle_let_go(env, index, done.token, *result),
                    Answer::Nop | Answer::Management(_) | Answer::Text(_) => {}
                }
            }
        }
        self.completed = completed;
    }

    fn handle_ending(&mut self, env: &mut dyn Env, token: u64, ending: &Ending) {
        match self.units.handle_ending(env, &mut self.sessions, token, ending) {
            Look::Further => {}
            Look::Done => {
                while let Some(change) = self.units.poll_change() {
                    self.events.push_back(change.into());
                }
                self.handle_scanned(env);
            }
            Look::Failed(ending) => self.lose(env, Failure::of(Stage::LogicalUnits, &ending)),
        }
    }

    fn handle_news(&mut self, env: &mut dyn Env) {
        let mut changed = false;
        for session in &mut self.sessions {
            while let Some(news) = session.poll_news() {
                match news {
                    News::Changed => changed = true,
                    News::Dropped(connection_id) => session.handle_dropped(env, connection_id),
                }
            }
        }
        if changed && self.is_live() {
            self.units.begin_look(env, &mut self.sessions);
        }
    }

    fn handle_states(&mut self, env: &mut dyn Env) {
        self.recover_ended(env);
        let unrecovered = self.connections().filter(|(place, _)| !self.waits_to_recover(*place));
        let ended = unrecovered.map(|(_, connection)| connection.state()).find_map(|state| match state {
            State::Ended(why) => Some(why.clone()),
            State::Connecting | State::LoggingIn | State::FullFeature => None,
        });
        match ended {
            Some(why) => self.lose(env, why.into()),
            None => self.handle_logged_in(env),
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        let unread = self.wants_device() || self.sessions.iter().any(Session::has_unread);
        let unread = unread.then_some(Time::ZERO);
        let phase = match self.phase {
            Phase::Rising { deadline, .. } => Some(deadline),
            Phase::Waiting { until } => Some(until),
            Phase::Live => earliest(self.look_at, self.recovery_deadline()),
            Phase::Failed => None,
        };
        earliest(earliest(unread, self.units.deadline()), phase)
    }

    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        for connection in self.connections_mut().filter(|connection| connection.has_unread()) {
            connection.receive_more(env);
        }
        let now = env.now();
        if !self.units.handle_timeout(now) {
            self.fail(env, self.last_failure.clone());
        }
        match self.phase {
            Phase::Rising { stage, deadline } if now >= deadline => {
                self.lose(env, Failure::ConnectTimedOut(stage));
            }
            Phase::Waiting { until } if now >= until => self.rise(env),
            Phase::Live => {
                self.continue_recoveries(env);
                self.look(env);
            }
            Phase::Rising { .. } | Phase::Waiting { .. } | Phase::Failed => {}
        }
        self.turn(env);
        self.flush(env);
    }

    /// Ends everything. Requests complete as gone.
    pub fn close(&mut self, env: &mut dyn Env) {
        if self.phase == Phase::Failed && self.last_failure == Failure::Closed {
            return;
        }
        for session in &mut self.sessions {
            // The target may hear it or not: the stream ends either way.
            let _ = session.log_out(env, OTHER_TOKEN);
            session.flush(env);
        }
        self.leave_device(true);
        self.fail(env, Failure::Closed);
        self.last_failure = Failure::Closed;
        for memory in core::mem::take(&mut self.spare).into_values() {
            memory.unmap(env.mem());
        }
        // A device knows our memory until it was told otherwise.
        if self.link.is_none() {
            self.units.unmap(env.mem());
        }
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.link.iter().for_each(|link| link.check());
        self.sessions.iter().for_each(Session::check);
        let is_up = |(place, connection): (Place, &Connection)| {
            let up = matches!(connection.state(), State::FullFeature | State::Ended(_));
            up || self.recoveries.contains_key(&place)
        };
        let is_whole = self.sessions.len() == usize::from(self.options.sessions)
            && !self.sessions.iter().any(|session| session.wants_another(self.options.connections));
        let all_up = self.connections().all(is_up);
        assert!(!self.is_live() || is_whole && all_up, "live without all connections");
        assert_eq!(self.is_live(), self.units.is_live());
        self.units.check();
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
        self.units.submit(env, &mut self.sessions, channel, lun, io)
    }

    fn poll_channel(&mut self, env: &mut dyn Env, channel: Key, done: &mut Vec<Done>) {
        let mut ended = false;
        for session in &mut self.sessions {
            session.flush(env);
            ended |= session.has_ended();
        }
        if ended {
            self.turn(env);
        }
        if !self.is_exposed() {
            self.units.take_done(channel, done);
        }
    }

    fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        Self::handle_event(self, env, event);
    }

    fn deadline(&self) -> Option<Time> {
        Self::deadline(self)
    }

    fn handle_timeout(&mut self, env: &mut dyn Env) {
        Self::handle_timeout(self, env);
    }
}

impl Carrier for Vec<Session> {
    fn ways(&self) -> usize {
        self.len()
    }

    fn submit(&mut self, env: &mut dyn Env, way: usize, command: &Command) -> Result<(), Full> {
        let Command { lun, cdb, data, token } = *command;
        self[way].submit(env, lun, &cdb, data, token).map_err(|_| Full)
    }

    fn flush(&mut self, env: &mut dyn Env) {
        self.iter_mut().for_each(|session| session.flush(env));
    }
}

fn unit_settings(options: &InitiatorOptions) -> UnitSettings {
    UnitSettings {
        lun: options.lun,
        requests_max: options.requests_max,
        watch_interval: options.watch_interval,
        loss_timeout: options.loss_timeout,
        fast_io_fail_timeout: options.fast_io_fail_timeout,
    }
}

/// A name drawn at random (RFC 7143, section 11.12.5: type 10b).
fn random_isid(drawn: u64) -> Isid {
    let [_, a, b, c, ..] = drawn.to_be_bytes();
    Isid([0x80, a, b, c, 0, 0])
}

/// The token of what is not a command.
const OTHER_TOKEN: u64 = u64::MAX - 1;
