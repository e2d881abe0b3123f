//! One connection of a session: login, then commands out, responses and data in (RFC 7143).
//!
//! It knows commands by their CDBs, their data and their owner's token, and not what they mean.
//!
//! ```text
//!   Connecting --stream there--> LoggingIn --last login response--> FullFeature
//!        |                           |                                  |
//!        +--- broken, closed, refused, malformed PDU, number missing ---+--> Ended(why)
//! ```
//!
//! At error recovery level 0 a damaged PDU, a response that is missing, a Reject end the connection, and its owner makes
//! another session (section 7.1.4.1). At level 1 what is damaged is asked for again (`again`), and at level 2 the session
//! goes on by another stream with the tasks it had (`recovery`),
//! or other connections with them (`handover`).
//!
//! Invariants: no input panics or grows memory; a command's memory is not touched after it was told completed; commands
//! are sent in the order of their CmdSN and only within the target's window; once ended, the stream is closed, and the
//! tasks that got no answer are to be had from [`Connection::unanswered`].

mod again;
mod answer;
mod end;
mod handover;
mod incoming;
mod login;
mod manage;
mod memory;
mod order;
mod outgoing;
mod rdma;
mod receive;
mod recovery;
mod responses;
mod session;
mod tasks;
mod window;

pub(super) use self::answer::{Answer, Completed, News, Refused};
pub use self::end::{ConnectionEnd, Misbehaviour};
pub(super) use self::memory::ConnectionMemory;
pub(super) use self::rdma::Context as RdmaContext;
pub use self::tasks::{CONNECTIONS_MAX, TASKS_MAX};
pub(super) use self::window::Window;
pub(super) use crate::initiator::{Data, Ending};

use self::order::Order;
use self::rdma::Rdma;
use self::receive::Receive;
use self::tasks::{Ends, Kind, Task, Tasks};
use crate::iscsi::login::{Gathering, InitiatorIdentity, InitiatorLogin, Limits, Parameters};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::env::{Env, IoError, Owner, StreamId, What};
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use stdx::transmit::Transmit;
use wire::iscsi::{Digests, HeaderRules, Isid, LOGIN_DATA_MAX, LogoutReason, RESERVED_TAG, Receiver, Serial};
use wire::scsi::{Cdb, Lun};

/// One connection.
pub(super) struct Connection {
    carrier: Carrier,
    state: State,
    login: Option<Box<InitiatorLogin>>,
    /// What both agreed on; what holds without a word, before.
    parameters: Parameters,
    rules: HeaderRules,
    isid: Isid,
    /// The session's handle, once there is a session.
    tsih: u16,
    /// Our number for the connection (CID).
    connection_id: u16,
    /// The session's order of commands.
    window: Window,
    order: Order,
    /// The first response sets where StatSN begins.
    heard: bool,
    memory: ConnectionMemory,
    tasks: Tasks,
    transmit: Transmit,
    receive: Receive,
    /// Places of commands with Data-Out to send.
    sending: VecDeque<u16>,
    /// Places of commands that another connection could not bring to their end, in the order of their numbers.
    resuming: VecDeque<u16>,
    /// Tasks whose answers are not acknowledged because data is missing.
    holding: usize,
    text: Gathering,
    completed: Vec<Completed>,
    news: VecDeque<News>,
    /// Outstanding reads long enough to be received into place.
    large_reads: usize,
    last_heard: Time,
    /// The stream takes no more until it says so.
    blocked: bool,
    /// Bytes may wait that no event will tell of.
    unread: bool,
    scratch: Vec<Span>,
}

/// What carries a connection.
enum Carrier {
    /// A stream. What is to be sent goes through `transmit`, what comes through `receive`.
    Stream(StreamId),
    /// Messages, which a device sends when it is at hand.
    Rdma(Box<Rdma>),
}

/// How far the connection is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The stream, or what else carries it, is not there yet.
    Connecting,
    /// The first login request is out.
    LoggingIn,
    /// Commands may be sent.
    FullFeature,
    /// It is over.
    Ended(ConnectionEnd),
}

/// What a connection is to be like.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where the portal listens.
    pub address: SocketAddr,
    /// Who we are and where we want in.
    pub identity: Rc<InitiatorIdentity>,
    /// What we want of the parameters.
    pub limits: Limits,
    /// Our part of the session's name.
    pub isid: Isid,
    /// The session's order of commands.
    pub window: Window,
    /// The connection's number in its session, below [`CONNECTIONS_MAX`].
    pub connection_id: u16,
    /// Commands outstanding, 2 to [`TASKS_MAX`].
    pub commands_max: u16,
    /// Bytes of the receive buffer: no PDU but Data-In may be longer.
    pub receive_len: usize,
    /// The most text of one response, in bytes.
    pub text_max: usize,
    /// Messages over RDMA carry it, and no stream.
    pub is_rdma: bool,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("Connection");
        shown.field("stream", &self.stream()).field("state", &self.state).field("order", &self.order);
        shown.finish_non_exhaustive()
    }
}

impl Connection {
    /// Starts the leading connection of a session (section 4.1.2). Events of its stream go to `owner`.
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        settings: &Settings,
        memory: ConnectionMemory,
    ) -> Result<Self, IoError> {
        let places = settings.commands_max.min(TASKS_MAX) + OWN_TASKS;
        let carrier = match settings.is_rdma {
            true => Carrier::Rdma(Box::new(Rdma::new(memory.ring, places, settings.address))),
            false => Carrier::Stream(env.connect(owner, settings.address)?),
        };
        let login = InitiatorLogin::new(Rc::clone(&settings.identity), settings.limits.clone());
        Ok(Self {
            carrier,
            state: State::Connecting,
            login: Some(Box::new(login)),
            parameters: Parameters::unsaid(),
            rules: HeaderRules {
                receiver: Receiver::Initiator,
                digests: Digests::default(),
                data_max: LOGIN_DATA_MAX,
            },
            isid: settings.isid,
            tsih: 0,
            connection_id: settings.connection_id,
            window: settings.window.clone(),
            order: Order::new(),
            heard: false,
            memory,
            tasks: Tasks::new(settings.connection_id, places),
            transmit: Transmit::new(memory.ring, usize::from(places) * 4),
            receive: Receive::new(memory.receive),
            sending: VecDeque::with_capacity(usize::from(places)),
            resuming: VecDeque::new(),
            holding: 0,
            text: Gathering::new(settings.text_max),
            completed: Vec::with_capacity(usize::from(places)),
            news: VecDeque::new(),
            large_reads: 0,
            last_heard: env.now(),
            blocked: true,
            unread: false,
            scratch: Vec::with_capacity(usize::from(places) * 4),
        })
    }

    /// Starts another connection of the session that `leader` is of.
    pub fn join(
        env: &mut dyn Env,
        owner: Owner,
        settings: &Settings,
        memory: ConnectionMemory,
        leader: &Self,
    ) -> Result<Self, IoError> {
        let mut connection = Self::connect(env, owner, settings, memory)?;
        let limits = settings.limits.clone();
        let login = InitiatorLogin::join(Rc::clone(&settings.identity), limits, &leader.parameters);
        (connection.login, connection.tsih) = (Some(Box::new(login)), leader.tsih);
        if planted(Bug::WindowPerConnection) {
            connection.window = Window::new(leader.window.cmd_sn());
        }
        Ok(connection)
    }

    /// Its number in its session (CID).
    pub fn connection_id(&self) -> u16 {
        self.connection_id
    }

    /// The stream whose events are for this connection, if one carries it.
    pub fn stream(&self) -> Option<StreamId> {
        match self.carrier {
            Carrier::Stream(stream) => Some(stream),
            Carrier::Rdma(_) => None,
        }
    }

    /// How far it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its memory, for the connection that follows it.
    pub fn memory(&self) -> ConnectionMemory {
        self.memory
    }

    /// What both ends agreed on.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// True if bytes may wait of which no event will tell: call [`Connection::receive_more`] soon. Over RDMA: if there is
    /// something to do that needs the device.
    pub fn has_unread(&self) -> bool {
        match &self.carrier {
            Carrier::Stream(_) => self.unread,
            Carrier::Rdma(rdma) => !self.has_ended() && rdma.wants_device(|| self.has_pong_credit()),
        }
    }

    /// When the target was heard last.
    pub fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// How many tasks are sent and not answered.
    pub fn load(&self) -> usize {
        self.tasks.capacity() - self.tasks.room()
    }

    /// The commands and other tasks sent and not answered: place, token, since when.
    pub fn unanswered(&self) -> impl Iterator<Item = (u16, u64, Time)> {
        self.tasks.iter().map(|(slot, task)| (slot, task.token, task.since))
    }

    /// Takes a command on. It is sent by the next [`Connection::flush`].
    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        lun: Lun,
        cdb: &Cdb,
        data: Data,
        token: u64,
    ) -> Result<(), Refused> {
        // The last places are for tasks that must always find one.
        let full = self.tasks.room() <= usize::from(OWN_TASKS) || !self.has_room();
        let closed = self.state != State::FullFeature || !self.resuming.is_empty();
        if full || closed || !self.window.is_open() {
            return Err(Refused);
        }
        let cmd_sn = self.window.take();
        let mut task = self.new_task(env.now(), Kind::Command, token, lun, data, cmd_sn);
        task.cdb = *cdb;
        let slot = self.tasks.insert(task).ok_or(Refused)?;
        if let Data::In(span) = data
            && span.len() >= receive::DIRECT_LEN_MIN
        {
            self.large_reads += 1;
        }
        self.put_command(env.mem(), slot);
        Ok(())
    }

    /// Asks the target for a sign of life.
    pub fn ping(&mut self, env: &mut dyn Env, token: u64) -> Result<(), Refused> {
        let slot = self.insert_own(env, Kind::Nop, token, Lun::default())?;
        self.put_ping(env.mem(), slot);
        Ok(())
    }

    /// Sends text, at most 256 bytes of it; [`Answer::Text`] follows.
    pub fn say(&mut self, env: &mut dyn Env, text: &[u8], token: u64) -> Result<(), Refused> {
        let slot = self.insert_own(env, Kind::Text, token, Lun::default())?;
        self.put_text(env.mem(), slot, text, RESERVED_TAG, Lun::default());
        Ok(())
    }

    /// Ends the session in good order; [`Answer::LoggedOut`] follows.
    pub fn log_out(&mut self, env: &mut dyn Env, token: u64) -> Result<(), Refused> {
        let slot = self.insert_own(env, Kind::Logout, token, Lun::default())?;
        self.put_logout(env.mem(), slot, LogoutReason::CloseSession, self.connection_id);
        Ok(())
    }

    /// Has the target let go of another connection of the session, so that its tasks can go on by those that are left
    /// (section 11.14.1: remove the connection for recovery); [`Answer::LoggedOut`] follows.
    pub fn log_out_lost(&mut self, env: &mut dyn Env, lost: u16, token: u64) -> Result<(), Refused> {
        let slot = self.insert_own(env, Kind::Logout, token, Lun::default())?;
        self.put_logout(env.mem(), slot, LogoutReason::RemoveForRecovery, lost);
        Ok(())
    }

    /// Appends what was answered since the last call.
    pub fn take_completed(&mut self, into: &mut Vec<Completed>) {
        into.append(&mut self.completed);
    }

    /// What the target told without being asked.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Something happened to the stream.
    pub fn handle_event(&mut self, env: &mut dyn Env, what: &What) {
        match *what {
            What::Writable(stream) if Some(stream) == self.stream() => {
                self.blocked = false;
                self.handle_carried(env.mem());
                self.flush(env);
            }
            What::Readable(stream) if Some(stream) == self.stream() => self.receive_more(env),
            What::Broken(stream, error) if Some(stream) == self.stream() => self.end(env, error.into()),
            What::Writable(_) | What::Readable(_) | What::Broken(..) => {}
            What::Acceptable(_) | What::FileDone { .. } | What::Woken => {}
            What::DatagramsReadable(_) | What::DatagramsWritable(_) => {}
            What::LinkAcceptable(_) | What::LinkReadable(_) => {}
        }
    }

    /// The target told by another connection that it drops this one. One that is on its way to another stream goes on.
    pub fn handle_dropped(&mut self, env: &mut dyn Env) {
        if self.state == State::FullFeature {
            self.end(env, ConnectionEnd::Dropped);
        }
    }

    /// There is no way to carry it.
    pub fn fail(&mut self, env: &mut dyn Env, why: ConnectionEnd) {
        self.end(env, why);
    }

    /// Ends the connection without ceremony.
    pub fn close(&mut self, env: &mut dyn Env) {
        self.end(env, ConnectionEnd::Closed);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.window.check();
        self.check_credit();
        let (mut large_reads, mut holding) = (0, 0);
        for (_, task) in self.tasks.iter() {
            let sent = task.kind != Kind::Command || task.cmd_sn.precedes(self.window.cmd_sn());
            assert!(sent, "a command bears a number that is yet to come");
            assert!(task.moved <= task.data.len());
            large_reads +=
                usize::from(task.in_span().is_some_and(|span| span.len() >= receive::DIRECT_LEN_MIN));
            holding += usize::from(task.answer_sn.is_some());
        }
        assert_eq!((large_reads, holding), (self.large_reads, self.holding));
    }

    /// What carries it is there: the login begins.
    fn handle_carried(&mut self, memory: &mut Memory) {
        if self.state == State::Connecting {
            self.state = State::LoggingIn;
            self.begin_login(memory);
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// It is over. What a device has of it is taken away by whoever has the device.
    fn end(&mut self, env: &mut dyn Env, why: ConnectionEnd) {
        if self.has_ended() {
            return;
        }
        self.state = State::Ended(why);
        self.unread = false;
        if let Carrier::Stream(stream) = self.carrier {
            env.close(stream, false);
        }
    }

    fn insert_own(&mut self, env: &dyn Env, kind: Kind, token: u64, lun: Lun) -> Result<u16, Refused> {
        if self.state != State::FullFeature || !self.has_room() || !self.has_credit() {
            return Err(Refused);
        }
        let task = self.new_task(env.now(), kind, token, lun, Data::None, self.window.cmd_sn());
        self.tasks.insert(task).ok_or(Refused)
    }

    fn new_task(&self, since: Time, kind: Kind, token: u64, lun: Lun, data: Data, cmd_sn: Serial) -> Task {
        let (moved, unsent, next_sn) = (0, 0, Serial(0));
        let (sequence, queued, answer) = (None, None, None);
        let (answer_sn, missing, repairs, acknowledge, cdb) = (None, Vec::new(), 0, None, Cdb([0; 16]));
        Task {
            kind,
            token,
            lun,
            data,
            moved,
            next_sn,
            sequence,
            queued,
            unsent,
            answer,
            answer_sn,
            missing,
            repairs,
            acknowledge,
            cdb,
            cmd_sn,
            since,
            ends: Ends::Nothing,
        }
    }

    fn has_room(&self) -> bool {
        match &self.carrier {
            Carrier::Stream(_) => self.transmit.room() >= 2 * HEADER_ROOM,
            Carrier::Rdma(rdma) => rdma.has_room(),
        }
    }
}

/// Bytes of the longest header we send, its digest, and the digest and padding of data.
const HEADER_ROOM: usize = 64;
/// Bytes for a login request, which is the longest we send: text, header, and what room costs.
const LOGIN_ROOM: usize = LOGIN_DATA_MAX as usize + 2 * 1024;
/// Places for tasks that are not commands: signs of life, aborts, text, logout.
pub(super) const OWN_TASKS: u16 = 16;
