//! One stream: an end of a connection, the bytes that wait on both sides, and how it ended.

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::pause::Pause;
use super::place::{Closing, Target};
use super::{Config, ListenerId, SocketError};
use crate::{Connection, Options};
use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use stdx::mem::Span;
use stdx::slab::Key;
use stdx::time::Time;

/// See the module.
#[derive(Debug)]
pub(super) struct Stream {
    /// The endpoint's connection, while there is one.
    pub(super) connection: Option<Key>,
    /// The peer's device.
    pub(super) peer_device: IpAddr,
    /// We asked for the first connection.
    pub(super) has_connected: bool,
    pub(super) phase: Phase,
    /// What its connection is made with, and what its owner said of it since.
    pub(super) options: Options,
    /// Frames that its bytes may wait in.
    pub(super) frames_max: usize,
    /// The state machine, once both have greeted each other.
    pub(super) machine: Option<Connection>,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    /// Memory of its owner that bytes are to come to, in the order in which it was given.
    pub(super) targets: VecDeque<Target>,
    /// Keys of such memory that are closed once they were opened.
    pub(super) closing: Vec<Closing>,
    /// The name that the state machine knows the next of them by.
    pub(super) next_token: u32,
    /// Its owner reads into such memory: what the peer offers waits for some.
    pub(super) is_placing: bool,
    /// What came last was much at once.
    pub(super) is_bulk: bool,
    /// How far a pause has come.
    pub(super) pause: Option<Pause>,
    /// Requests under way, oldest first, and what each is to leave behind.
    pub(super) posted: VecDeque<Posted>,
    /// The peer sends no more.
    pub(super) is_peer_closed: bool,
    /// We read no more.
    pub(super) is_read_shut: bool,
    /// We write no more.
    pub(super) is_write_shut: bool,
    /// An urgent byte is announced and was not read.
    pub(super) is_urgent: bool,
    /// Why it ended, if not as it should, until it is told.
    pub(super) error: Option<SocketError>,
    /// Its owner wants no more of it: it goes with its connection.
    pub(super) is_left: bool,
    /// It stands in the line of those who may have something to do.
    pub(super) is_stirred: bool,
    /// Its owner is to be told.
    pub(super) is_changed: bool,
    /// It stands among those who wait for a frame.
    pub(super) is_starved: bool,
    /// When it is looked at though nothing happens.
    pub(super) due: Option<Time>,
}

/// How far a stream has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// We asked.
    Connecting,
    /// We said yes to someone who asked this listener, and wait until that is known.
    Accepting(ListenerId),
    /// Bytes move.
    Open,
    /// It pauses, and has no connection.
    Suspended,
    /// It is getting another.
    Resuming,
    /// There is no connection any more, or will not be.
    Ended,
}

/// What a request was posted with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Posted {
    /// Nothing that anybody has to take care of.
    Plain,
    /// A frame for a header of its own.
    Frame(Span),
    /// A buffer that bytes are read into.
    Read(Span),
    /// So many bytes are read into the first of the owner's memory that is being read into.
    Place(u32),
    /// Memory is opened to the peer: nothing of the state machine's.
    Key,
}

/// What can be done with a stream without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// Reading gives bytes, the end of the stream, or an error.
    pub readable: bool,
    /// Writing takes bytes, or gives an error.
    pub writable: bool,
    /// An urgent byte has come, or is on its way.
    pub urgent: bool,
    /// The peer sends no more.
    pub peer_closed: bool,
    /// Nothing moves any more, in either direction.
    pub ended: bool,
    /// It ended as it should not, and nobody was told yet.
    pub error: bool,
}

impl Stream {
    pub(super) fn new(
        phase: Phase,
        config: &Config,
        options: Options,
        peer_device: IpAddr,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Self {
        Self {
            connection: None,
            peer_device,
            has_connected: phase == Phase::Connecting,
            phase,
            options,
            frames_max: config.frames_each as usize,
            machine: None,
            pause: None,
            local,
            peer,
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            targets: VecDeque::new(),
            closing: Vec::new(),
            next_token: 0,
            is_placing: false,
            is_bulk: true,
            posted: VecDeque::new(),
            is_peer_closed: false,
            is_read_shut: false,
            is_write_shut: false,
            is_urgent: false,
            error: None,
            is_left: false,
            is_stirred: false,
            is_changed: false,
            is_starved: false,
            due: None,
        }
    }

    /// Bytes that can be written now; `frames_left` frames are free for them.
    pub(super) fn window(&self, frames_left: usize) -> u64 {
        let Some(machine) = self.machine.as_ref().filter(|_| self.phase == Phase::Open) else { return 0 };
        let has_room =
            self.outbox.is_open() || self.outbox.frames() < self.frames_max && frames_left > RESERVED;
        if has_room { machine.window() } else { 0 }
    }

    /// What can be done now.
    pub(super) fn readiness(&self, frames_left: usize) -> Readiness {
        let ended = self.phase == Phase::Ended;
        let is_over = ended || self.is_peer_closed || self.is_read_shut;
        let is_connecting = self.phase == Phase::Connecting;
        Readiness {
            readable: self.inbox.len() > 0 || self.has_offer() || is_over && !is_connecting,
            writable: ended || self.is_write_shut || self.window(frames_left) > 0,
            urgent: self.is_urgent || self.inbox.has_urgent(),
            peer_closed: self.is_peer_closed,
            ended: ended || self.is_peer_closed && self.is_write_shut,
            error: self.error.is_some(),
        }
    }

    /// Whether the peer offers bytes that wait for memory of the owner's.
    fn has_offer(&self) -> bool {
        self.is_placing
            && self.targets.is_empty()
            && self.machine.as_ref().is_some_and(|machine| machine.offer().is_some())
    }

    /// It ended. What is said of it first is what counts.
    pub(super) fn end(&mut self, error: Option<SocketError>) {
        let is_orderly = self.is_peer_closed && self.is_write_shut;
        if self.phase != Phase::Ended && !is_orderly && !self.is_left {
            self.error = self.error.or(error);
        }
        self.phase = Phase::Ended;
    }

    pub(super) fn check(&self) {
        self.outbox.check();
        self.inbox.check();
        if let Some(machine) = &self.machine {
            machine.check();
        }
    }
}

/// Frames that are for headers of their own.
pub(super) const RESERVED: usize = 1;
