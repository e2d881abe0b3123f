//! One connection: bytes of an initiator in, bytes for it out.
//!
//! ```text
//!   LoggingIn --> FullFeature
//!        \            |    logout, or a PDU that must not be: the answer is queued
//!         \           v
//!          +-----> Leaving     what is queued is sent, what still comes is thrown away
//!           \         |
//!            \        v
//!             +---> Ended      the stream is gone
//! ```
//!
//! What carries it is a stream, or messages beside memory that is reached by RDMA (`rdma`).
//!
//! What it is not: it owns no stream and makes no call to the world but for memory; [`Server`](super::Server) moves the
//! bytes through [`stdx::stream::Session`]. Tasks are its session's.
//!
//! Invariants: bytes are used in the order they came, whatever they are cut into; while something is held, nothing is
//! received; without its session (after it has left) it takes nothing.

mod answer;
mod command;
mod data;
mod framer;
mod hold;
mod immediate;
mod login;
mod logout;
mod numbered;
mod outgoing;
mod rdma;
mod receive;
mod recovery;
mod snack;
mod start;
mod task;
mod text;

pub(crate) use answer::residual;
pub(crate) use outgoing::{Cuts, KeptRead, Response};
pub(super) use rdma::{Fetch, Message, Post, Posted, SHORT_LEN_MAX};

use super::session::give;
use super::{Arrival, Context};
use framer::Framer;
use hold::Held;
use login::LoggingIn;
use outgoing::{Item, Outgoing, Owner, WindowNumbers};
use rdma::Rdma;
use receive::ReceivingInto;
use stdx::mem::Span;
use stdx::slab::Key;
use text::TextExchange;
use wire::iscsi::{AsyncEvent, Bhs, Digests, RESERVED_TAG, RejectReason, Serial};
use wire::scsi::{Lun, Sense};

/// An initiator's connection, from its acceptance until nothing of it is left.
#[derive(Debug)]
pub(super) struct Connection {
    key: Key,
    arrival: Arrival,
    state: State,
    /// Its session, from the end of its login until it leaves.
    session: Option<Key>,
    /// CID.
    connection_id: u16,
    framer: Framer,
    outgoing: Outgoing,
    /// Why reading has stopped, and the bytes that came before it did.
    held: Option<Held>,
    stash: Vec<u8>,
    receiving: ReceivingInto,
    /// The header of the PDU whose data is coming, and the buffer of its data if it is no task's.
    coming: (Bhs, Span),
    /// Read data that commands being executed may come back with, in bytes.
    promised_bytes: usize,
    /// Bytes of kept read data that the shard counts as this connection's.
    counted_kept: usize,
    text: Option<TextExchange>,
    /// What there is beside if messages carry it.
    rdma: Option<Box<Rdma>>,
    /// What is told of the window once the session is gone.
    last_window: WindowNumbers,
    /// Something came since the last heartbeat.
    heard: bool,
    /// Heartbeats without an answer to a ping.
    unanswered: u32,
    /// No further command is taken: the owner is shutting down.
    draining: bool,
}

/// How far a connection is.
#[derive(Debug)]
enum State {
    LoggingIn(Box<LoggingIn>),
    FullFeature,
    Leaving,
    Ended,
}

/// What a connection is doing, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It is logging in.
    LoggingIn,
    /// It is of a session.
    FullFeature,
    /// It is being ended.
    Ending,
}

impl Connection {
    /// A stream was accepted.
    pub(super) fn new(key: Key, arrival: Arrival) -> Self {
        Self {
            key,
            arrival,
            state: State::LoggingIn(Box::default()),
            session: None,
            connection_id: 0,
            framer: Framer::new(login::RULES),
            outgoing: Outgoing::default(),
            held: None,
            stash: Vec::new(),
            receiving: ReceivingInto::Scratch,
            coming: (Bhs::default(), Span::EMPTY),
            promised_bytes: 0,
            counted_kept: 0,
            text: None,
            rdma: None,
            last_window: WindowNumbers { exp_cmd_sn: Serial(0), max_cmd_sn: Serial(0) },
            heard: false,
            unanswered: 0,
            draining: false,
        }
    }

    /// How it came in.
    pub(super) const fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Its session and its CID, while it has one.
    pub(super) const fn session(&self) -> Option<Key> {
        self.session
    }

    /// CID.
    pub(super) const fn connection_id(&self) -> u16 {
        self.connection_id
    }

    /// What it is doing.
    pub(super) const fn phase(&self) -> Phase {
        match &self.state {
            State::LoggingIn(_) => Phase::LoggingIn,
            State::FullFeature => Phase::FullFeature,
            State::Leaving | State::Ended => Phase::Ending,
        }
    }

    /// The digests in use.
    pub(super) const fn digests(&self) -> Digests {
        self.outgoing.digests
    }

    /// Bytes waiting to be sent.
    pub(super) const fn unsent(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Bytes of read data that is kept until it is acknowledged.
    pub(super) fn kept_bytes(&self) -> usize {
        self.outgoing.kept_bytes()
    }

    /// It is to be closed as soon as what it has to send is sent.
    pub(super) const fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving)
    }

    /// Nothing waits to be said or sent.
    pub(super) fn is_silent(&self) -> bool {
        self.outgoing.is_empty() && self.rdma.as_ref().is_none_or(|rdma| rdma.is_idle())
    }

    /// Whether it borrows a block of headers.
    pub(super) const fn is_sending(&self) -> bool {
        self.outgoing.is_sending()
    }

    /// Takes no further command; what it was asked is still answered.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        self.draining = true;
        if let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) {
            let parameters = &session.parameters;
            let event = AsyncEvent::SessionDrop {
                time_to_wait_s: parameters.time_to_wait_s,
                time_to_retain_s: parameters.time_to_retain_s,
            };
            self.outgoing.push(Item::Message { lun: Lun::default(), event, sense: None });
        }
    }

    /// All commands are answered and the answers sent; a draining connection may then be closed.
    pub(super) fn is_drained(&self, cx: &Context<'_>) -> bool {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        let busy =
            session.is_some_and(|session| session.tasks.iter().any(|(_, task)| task.connection == self.key));
        self.is_silent() && !busy
    }

    /// The initiator is asked to log out within so many seconds (RFC 7143, section 11.9.1).
    pub(super) fn request_logout(&mut self, within_s: u16) {
        if matches!(self.state, State::FullFeature) {
            let event = AsyncEvent::LogoutRequest { within_s };
            self.outgoing.push(Item::Message { lun: Lun::default(), event, sense: None });
        }
    }

    /// Something changed at a logical unit (section 11.9.1: SCSI Asynchronous Event). It is not told to who does not take what was
    /// told before: its unit attention waits.
    pub(super) fn tell_event(&mut self, lun: Lun, sense: Sense, limits: &super::Limits) {
        if matches!(self.state, State::FullFeature) && self.outgoing.backlog() < limits.backlog_max {
            self.outgoing.push(Item::Message { lun, event: AsyncEvent::Scsi, sense: Some(sense) });
        }
    }

    /// Looks for a sign of life, and asks for one if there was none. False if too many were asked for.
    pub(super) fn heartbeat(&mut self, missed_max: u32) -> bool {
        if core::mem::take(&mut self.heard) || !matches!(self.state, State::FullFeature) {
            self.unanswered = 0;
            return true;
        }
        if self.unanswered == 0 {
            let ping = Item::Nop {
                lun: Lun::default(),
                tag: RESERVED_TAG,
                transfer_tag: PING_TAG,
                data: Span::EMPTY,
            };
            self.outgoing.push(ping);
        }
        self.unanswered += 1;
        self.unanswered <= missed_max
    }

    /// Sending stops for this turn: what lies in lent memory is put aside. False if there is no memory for that.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        match self.outgoing.copy_lent(cx.env) {
            Ok(bytes) => {
                cx.shard.counters.lent_bytes_copied += bytes as u64;
                true
            }
            Err(stdx::gather::NoBuffer) => false,
        }
    }

    /// A PDU is not taken, and the connection goes on.
    fn reject(&mut self, cx: &mut Context<'_>, reason: RejectReason, header: Bhs) {
        cx.shard.counters.rejected += 1;
        self.outgoing.push(Item::Reject { reason, header, data_sn: Serial(0) });
    }

    /// It takes nothing more, and goes when what it has to say is sent. Its session ends, if it is still of one.
    pub(super) fn leave(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.state, State::Ended) {
            self.depart(cx);
            self.state = State::Leaving;
        }
    }

    /// The stream is gone, or is to go.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        self.lose_session(cx);
        self.depart(cx);
        self.state = State::Ended;
        self.outgoing.clear(cx.env, &mut cx.shard.blocks);
        self.account_kept(cx);
    }

    /// It is of no session any more, which is over: what was lost with it can only be recovered by the next session (RFC 7143,
    /// section 7.1.4.1: session recovery).
    fn depart(&mut self, cx: &mut Context<'_>) {
        self.forget_input(cx);
        self.last_window = self.window(cx);
        let Some(key) = self.session.take() else { return };
        let Some(session) = cx.shard.sessions.get_mut(key) else { return };
        let connections = session.connections.len();
        session.connections.retain(|(_, connection)| *connection != self.key);
        // Whoever took it off the list saw to what it left.
        if session.connections.len() < connections {
            cx.end_session(key);
        }
    }

    /// What has come and was not taken is dropped.
    fn forget_input(&mut self, cx: &mut Context<'_>) {
        self.held = None;
        self.stash = Vec::new();
        self.framer.accept(None);
        give(cx.env, core::mem::replace(&mut self.coming.1, Span::EMPTY));
    }

    /// The window to tell.
    fn window(&self, cx: &Context<'_>) -> WindowNumbers {
        match self.session.and_then(|key| cx.shard.sessions.get(key)) {
            Some(session) => {
                WindowNumbers { exp_cmd_sn: session.window.expected(), max_cmd_sn: session.window.max() }
            }
            None => self.last_window,
        }
    }

    /// Asserts what always holds, and says how many buffers it holds.
    pub(super) fn check(&self) -> usize {
        self.outgoing.check();
        assert!(self.held.is_some() || self.stash.is_empty());
        assert!(self.session.is_none() || matches!(self.state, State::FullFeature));
        self.outgoing.buffers() + usize::from(!self.coming.1.is_empty())
    }
}

/// What our pings bear. There is at most one a connection.
const PING_TAG: u32 = 0xffff_0000;
