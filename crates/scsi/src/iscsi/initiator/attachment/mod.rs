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

mod loss;
mod pages;
mod records;
mod recovery;
mod requests;
mod rising;
mod scan;
mod timeouts;

pub(super) use self::records::Record;

use self::recovery::Recovery;
use self::requests::{ChannelState, Request};
use self::scan::Scan;
use super::connection::{Answer, Completed, Connection, ConnectionMemory, News, State};
use super::event::{Failure, InitiatorEvent, Stage};
use super::options::InitiatorOptions;
use super::session::Session;
use crate::iscsi::login::{InitiatorIdentity, Parameters};
use block::replay::Acknowledged;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::backoff::Backoff;
use stdx::env::{Env, Event, Owner, What};
use stdx::mem::{Kind, OutOfMemory, Span};
use stdx::slab::{Key, Slab};
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
    isid: Isid,
    phase: Phase,
    /// There was a Live once.
    was_live: bool,
    sessions: Vec<Session>,
    /// Connections that are lost and go on by another stream.
    recoveries: BTreeMap<Place, Recovery>,
    /// Memory of connections that are no more.
    spare: BTreeMap<Place, ConnectionMemory>,
    /// Where the orders of commands go on, by session.
    cmd_sns: BTreeMap<usize, Serial>,
    /// Private memory for answers to questions.
    page: Span,
    /// Private memory for each request: the parameter list of UNMAP.
    lists: Span,
    /// Shared memory of zeros.
    zeros: Span,
    scan: Scan,
    records: BTreeMap<u16, Record>,
    requests: Slab<Request>,
    /// Requests that found no room in their session, or no session.
    waiting: VecDeque<Key>,
    /// Requests that are tried again later.
    parked: Vec<Key>,
    parked_until: Option<Time>,
    channels: Slab<ChannelState>,
    acknowledged: Acknowledged,
    next_session: usize,
    pub events: VecDeque<InitiatorEvent>,
    backoff: Backoff,
    /// DefaultTime2Wait of the last connection.
    time_to_wait: Duration,
    /// When the connection was lost; `None` while it is there.
    lost_at: Option<Time>,
    last_failure: Failure,
    next_serial: u64,
    /// When to look for late commands and silent sessions.
    look_at: Option<Time>,
    /// When to ask the next disk whether something has changed, and which was asked last.
    ask_disks_at: Time,
    asked_last: u16,
    asking: bool,
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
        let requests_max = options.requests_max;
        let mem = env.mem();
        let private = mem.map(Kind::Private, (pages::ANSWER_LEN + requests_max * LIST_LEN) as u64)?;
        let private = mem.whole(private);
        let zeros = match mem.map(Kind::Shared, ZEROS_LEN) {
            Ok(zeros) => mem.whole(zeros),
            Err(error) => {
                mem.unmap(private.region);
                return Err(error);
            }
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
            isid: options.isid.unwrap_or_else(|| random_isid(env.entropy())),
            phase: Phase::Waiting { until: env.now() },
            was_live: false,
            sessions: Vec::new(),
            recoveries: BTreeMap::new(),
            spare: BTreeMap::new(),
            cmd_sns: BTreeMap::new(),
            page: private.first(pages::ANSWER_LEN),
            lists: private.from(pages::ANSWER_LEN),
            zeros,
            scan: Scan::idle(),
            records: BTreeMap::new(),
            requests: Slab::new(requests_max),
            waiting: VecDeque::with_capacity(requests_max),
            parked: Vec::new(),
            parked_until: None,
            channels: Slab::new(CHANNELS_MAX),
            acknowledged: Acknowledged::new(),
            next_session: 0,
            events: VecDeque::new(),
            backoff: Backoff::new(seed, options.reconnect_delay, options.reconnect_delay_max),
            time_to_wait: Duration::ZERO,
            lost_at: None,
            last_failure: Failure::Closed,
            next_serial: 0,
            look_at: None,
            ask_disks_at: Time::ZERO,
            asked_last: 0,
            asking: false,
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
        self.continue_scan(env);
        if !self.waiting.is_empty() && self.is_live() {
            self.issue_waiting(env);
        }
    }

    fn handle_completions(&mut self, env: &mut dyn Env) {
        let mut completed = core::mem::take(&mut self.completed);
        for index in 0..self.sessions.len() {
            let Some(session) = self.sessions.get_mut(index) else { break };
            session.take_completed(&mut completed);
            for done in completed.drain(..) {
                match (&done.answer, done.token) {
                    (Answer::Command(ending), SCAN_TOKEN) => self.handle_scan_answer(env, ending),
                    (Answer::Command(ending), WATCH_TOKEN) => self.handle_watched(env, ending),
                    (Answer::Command(ending), _) => self.handle_part_done(env, done.token, ending),
                    // A sign of life has done its duty by being heard, and what was aborted ends by itself.
                    (Answer::Nop | Answer::Management(_) | Answer::Text(_) | Answer::LoggedOut, _) => {}
                }
            }
        }
        self.completed = completed;
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
            self.begin_scan(env);
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
        let unread = self.sessions.iter().any(Session::has_unread).then_some(Time::ZERO);
        let phase = match self.phase {
            Phase::Rising { deadline, .. } => Some(deadline),
            Phase::Waiting { until } => Some(until),
            Phase::Live => earliest(self.look_at, self.recovery_deadline()),
            Phase::Failed => None,
        };
        earliest(earliest(unread, self.loss_deadline()), earliest(phase, self.parked_until))
    }

    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        for connection in self.connections_mut().filter(|connection| connection.has_unread()) {
            connection.receive_more(env);
        }
        let now = env.now();
        self.handle_loss_deadline(env);
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
        if self.parked_until.is_some_and(|until| now >= until) {
            self.unpark();
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
        self.fail(env, Failure::Closed);
        self.last_failure = Failure::Closed;
        for memory in core::mem::take(&mut self.spare).into_values() {
            memory.unmap(env.mem());
        }
        env.mem().unmap(self.page.region);
        env.mem().unmap(self.zeros.region);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.sessions.iter().for_each(Session::check);
        let is_up = |(place, connection): (Place, &Connection)| {
            let up = matches!(connection.state(), State::FullFeature | State::Ended(_));
            up || self.recoveries.contains_key(&place)
        };
        let is_whole = self.sessions.len() == usize::from(self.options.sessions)
            && !self.sessions.iter().any(|session| session.wants_another(self.options.connections));
        let all_up = self.connections().all(is_up);
        assert!(!self.is_live() || is_whole && all_up, "live without all connections");
        let waits = |key: &Key| self.requests.get(*key).is_some();
        assert!(
            self.waiting.iter().all(waits) && self.parked.iter().all(waits),
            "a request waits that is done"
        );
    }
}

/// A name drawn at random (RFC 7143, section 11.12.5: type 10b).
fn random_isid(drawn: u64) -> Isid {
    let [_, a, b, c, ..] = drawn.to_be_bytes();
    Isid([0x80, a, b, c, 0, 0])
}

/// The token of the commands that look at logical units. No request has it: places are below a limit.
const SCAN_TOKEN: u64 = u64::MAX;
/// The token of the command that asks a disk whether something has changed.
const WATCH_TOKEN: u64 = u64::MAX - 3;
/// The token of what is not a command.
const OTHER_TOKEN: u64 = u64::MAX - 1;
/// Bytes of the parameter list of UNMAP with one descriptor, and some to keep the lists apart.
const LIST_LEN: usize = 32;
/// Bytes of the zeros that stand in where a target has no WRITE SAME. They cost no memory.
const ZEROS_LEN: u64 = 128 << 10;
/// Channels of all disks.
const CHANNELS_MAX: usize = 1 << 16;
