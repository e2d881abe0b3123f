//! Sockets: streams and listeners of one device, without system calls.
//!
//! What it is: [`Sockets`], which puts memory and verbs under [`Connection`](crate::Connection). Bytes that are written are
//! copied once, into frames that the device sends from, or lie in memory that is lent (see `lent`); bytes that arrive are copied
//! once, to whoever reads them, or come to where they are wanted (see `place`).
//!
//! What it is not: nothing waits here. Whoever owns it and the device polls both ([`Sockets::progress`]), and asks what a
//! stream can do ([`Sockets::readiness`]).
//!
//! ```text
//!   connect ---> Connecting --HelloAck--.                       peer's DisConn, and ours: who closed first disconnects
//!                                        >---> Open -------------------------------------------------> Ended
//!   Hello -----> Accepting --RTU--------'        abort, a violation, a broken connection: at once
//!
//!   Open --suspend, or the peer's--> Suspended --resume--> Resuming --both have greeted each other--> Open (see `pause`)
//! ```
//!
//! Invariants: no byte is taken that credits do not allow to go out soon, so what was written is on its way; each message's receive
//! is posted again once its bytes were read; memory is a matter of the streams there are, with limits for each and for all; nothing
//! is allocated for a message in steady state.

mod arrive;
mod commands;
mod config;
mod drive;
mod frames;
mod inbox;
mod keys;
mod lent;
mod options;
mod outbox;
mod pause;
mod place;
mod stream;

pub use config::Config;
pub use lent::Taken;
pub use place::Placed;
pub use stream::Readiness;

use core::net::SocketAddr;
use frames::Frames;
use keys::Keys;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use stdx::env::Env;
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use stream::{Phase, Stream};
use thiserror::Error;
use verbs::endpoint::Endpoint;
use verbs::{ConnectionId, CreateError, Device, PostError};

/// See the module.
#[derive(Debug)]
pub struct Sockets {
    config: Config,
    endpoint: Endpoint,
    frames: Frames,
    keys: Keys,
    streams: Slab<Stream>,
    listeners: Slab<Listener>,
    /// Whose each connection of the endpoint is, by its place.
    by_place: Vec<Option<StreamId>>,
    /// Where the peers of streams that pause are to come back.
    portals: BTreeMap<SocketAddr, StreamId>,
    /// Where nobody is waited for any more, and who came there in vain: the device is yet to be told.
    left_portals: Vec<SocketAddr>,
    refused: Vec<ConnectionId>,
    /// Streams that may have something to do.
    stirred: VecDeque<StreamId>,
    /// Streams that wait for a frame.
    starved: Vec<StreamId>,
    /// Whose owners are to be told.
    changed: VecDeque<Changed>,
    /// When streams have to be looked at, each at most once.
    dues: BTreeSet<(Time, StreamId)>,
    /// Looks at one stream.
    looks: u64,
    /// Where few bytes of lent memory are copied to on their way.
    place: Vec<u8>,
    /// The next port that is taken for a stream whose owner does not care.
    next_port: u16,
    /// Something was posted that the device has not heard of by [`Sockets::take_posted`].
    has_posted: bool,
}

/// A stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub Key);

/// A listener.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub Key);

/// Something can be done that could not be done before, perhaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// Ask for its [`Readiness`].
    Stream(StreamId),
    /// A stream waits to be accepted.
    Listener(ListenerId),
}

/// Why nothing was read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SocketError {
    /// Not now; [`Sockets::poll_changed`] tells when.
    #[error("would block")]
    WouldBlock,
    /// There is no such stream.
    #[error("no such socket")]
    NotFound,
    /// Our half is closed.
    #[error("the connection is closed for sending")]
    Closed,
    /// Nobody listens there, or they said no.
    #[error("the connection was refused")]
    Refused,
    /// The peer ended the connection without ceremony, or is gone.
    #[error("the connection was reset by the peer")]
    Reset,
    /// The peer does not answer.
    #[error("the connection timed out")]
    TimedOut,
    /// The peer did what the protocol does not allow.
    #[error("the peer broke the protocol")]
    Protocol,
    /// A limit is reached.
    #[error("too many connections")]
    Limit,
    /// Some of the memory waits for other bytes, or has some that were not read.
    #[error("the memory is needed by another read")]
    Overlap,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    /// The port that its streams say is theirs.
    port: u16,
    waiting: VecDeque<StreamId>,
    /// Streams that are about to wait.
    coming: usize,
    is_changed: bool,
}

/// What everything is done with.
struct Context<'a> {
    env: &'a mut dyn Env,
    device: &'a mut dyn Device,
}

impl Sockets {
    /// Sockets on a device whose events are for nobody else. `owner_base` is as for [`Endpoint::new`]; the device allows at least
    /// what [`Config::limits`] says.
    ///
    /// # Errors
    /// When the device allows less, or the system has no memory.
    pub fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        config: Config,
    ) -> Result<Self, CreateError> {
        let each = config.connection.receives.into();
        let endpoint = Endpoint::with_receives_each(env, device, owner_base, config.endpoint(), each)?;
        let frames = Frames::new(env, config.frames_max, config.message_len());
        let frames = frames.map_err(|_| CreateError::Memory)?;
        let keys = Keys::new(endpoint.pd(), config.keys_max);
        Ok(Self {
            config,
            endpoint,
            frames,
            keys,
            streams: Slab::new(config.streams_max as usize),
            listeners: Slab::new(config.listeners_max as usize),
            by_place: Vec::new(),
            portals: BTreeMap::new(),
            left_portals: Vec::new(),
            refused: Vec::new(),
            stirred: VecDeque::new(),
            starved: Vec::new(),
            changed: VecDeque::new(),
            dues: BTreeSet::new(),
            looks: 0,
            place: Vec::new(),
            next_port: FREE_PORTS,
            has_posted: false,
        })
    }

    /// What it was made with.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes what the device tells, and posts what there is to do; true if anything happened. The device is turned before and
    /// after it.
    pub fn progress(&mut self, env: &mut dyn Env, device: &mut dyn Device) -> bool {
        let cx = &mut Context { env, device };
        let found = self.take_happenings(cx);
        self.handle_timeouts(cx);
        self.drive_all(cx);
        self.close_portals(cx);
        found
    }

    /// When [`Sockets::progress`] is due though nothing happens.
    pub fn deadline(&self) -> Option<Time> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// Whose owner has to look again. Each is told once, until it changes again.
    pub fn poll_changed(&mut self) -> Option<Changed> {
        let changed = self.changed.pop_front()?;
        match changed {
            Changed::Stream(id) => {
                if let Some(stream) = self.streams.get_mut(id.0) {
                    stream.is_changed = false;
                }
            }
            Changed::Listener(id) => {
                if let Some(listener) = self.listeners.get_mut(id.0) {
                    listener.is_changed = false;
                }
            }
        }
        Some(changed)
    }

    /// Whether anything was posted since this was asked last: then the device has to be turned.
    pub const fn take_posted(&mut self) -> bool {
        core::mem::replace(&mut self.has_posted, false)
    }

    /// Streams there are, whatever they are doing.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How often a stream was looked at: only if it has something to do, however many there are.
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// Gives everything back to the device and the environment.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.keys.free(env, device);
        self.frames.close(env);
        self.endpoint.free(env, device);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.endpoint.check();
        let mut coming = 0;
        let mut due = 0;
        for (key, stream) in self.streams.iter() {
            coming += usize::from(matches!(stream.phase, Phase::Accepting(_)));
            due += usize::from(stream.due.is_some());
            stream.check();
            assert!(stream.due.is_none_or(|due| self.dues.contains(&(due, StreamId(key)))));
            let Some(connection) = stream.connection else { continue };
            assert_eq!(self.by_connection(connection), Some(StreamId(key)));
        }
        assert_eq!(due, self.dues.len());
        let told: usize = self.listeners.iter().map(|(_, listener)| listener.coming).sum();
        assert!(told <= coming, "who closed a listener waits for nobody");
    }

    fn handle_timeouts(&mut self, cx: &mut Context<'_>) {
        let now = cx.env.now();
        while let Some(&(due, id)) = self.dues.first()
            && due <= now
        {
            self.dues.pop_first();
            self.looks += 1;
            let Some(stream) = self.streams.get_mut(id.0) else { continue };
            stream.due = None;
            if stream.pause.as_ref().is_some_and(|pause| pause.until <= now) {
                let connection = stream.connection;
                self.end(id, Some(SocketError::TimedOut));
                match connection {
                    Some(connection) => self.endpoint.disconnect(cx.env, cx.device, connection),
                    None => self.unbind(cx.device, id),
                }
                continue;
            }
            let Some(machine) = stream.machine.as_mut() else { continue };
            if machine.deadline().is_some_and(|at| at <= now) && machine.handle_timeout(now).is_err() {
                stream.error = stream.error.or(Some(SocketError::TimedOut));
            }
            self.stir(id);
        }
    }

    /// Takes down when a stream has to be looked at. A time that is put off counts when it comes, and is then put off.
    fn schedule(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let own = stream.machine.as_ref().and_then(crate::Connection::deadline);
        let own = own.filter(|_| !stream.has_paused());
        let due = earliest(own, stream.pause.as_ref().map(|pause| pause.until));
        let Some(due) = due.filter(|due| stream.due.is_none_or(|at| *due < at)) else { return };
        if let Some(before) = stream.due.replace(due) {
            self.dues.remove(&(before, id));
        }
        self.dues.insert((due, id));
    }

    /// A stream need not be looked at: what it waited for has come.
    fn unschedule(&mut self, id: StreamId) {
        if let Some(due) = self.streams.get_mut(id.0).and_then(|stream| stream.due.take()) {
            self.dues.remove(&(due, id));
        }
    }

    /// Takes a stream away, which has no queue pair.
    fn remove(&mut self, device: &mut dyn Device, id: StreamId) {
        let Some(mut stream) = self.streams.remove(id.0) else { return };
        stream.outbox.clear(device, &mut self.keys, &mut self.frames);
        stream.clear_targets(device, &mut self.keys, &mut self.frames);
        if let Some(due) = stream.due {
            self.dues.remove(&(due, id));
        }
    }

    /// Tells a stream's owner to look at it.
    fn note_change(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id.0)
            && !stream.is_left
            && !core::mem::replace(&mut stream.is_changed, true)
        {
            self.changed.push_back(Changed::Stream(id));
        }
    }

    fn note_listener(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.get_mut(id.0)
            && !core::mem::replace(&mut listener.is_changed, true)
        {
            self.changed.push_back(Changed::Listener(id));
        }
    }

    fn by_connection(&self, connection: Key) -> Option<StreamId> {
        let id = self.by_place.get(connection.index()).copied().flatten()?;
        if self.streams.get(id.0).is_some_and(|stream| stream.connection == Some(connection)) {
            return Some(id);
        }
        // Another has its place since it ended, which is yet to be told.
        let found = self.streams.iter().find(|(_, stream)| stream.connection == Some(connection));
        found.map(|(key, _)| StreamId(key))
    }

    /// A stream has this connection from now on.
    fn bind(&mut self, id: StreamId, connection: Key) {
        let place = connection.index();
        if self.by_place.len() <= place {
            self.by_place.resize(place + 1, None);
        }
        self.by_place[place] = Some(id);
        if let Some(stream) = self.streams.get_mut(id.0) {
            stream.connection = Some(connection);
        }
    }

    /// A stream has no connection any more; it goes if nobody wants it.
    fn unbind(&mut self, device: &mut dyn Device, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        if let Some(connection) = stream.connection.take() {
            self.by_place[connection.index()].take_if(|of| *of == id);
        }
        if stream.is_left {
            self.remove(device, id);
        }
    }
}

impl From<PostError> for SocketError {
    fn from(_: PostError) -> Self {
        Self::Reset
    }
}

/// Ports that nobody asks for by number begin here.
const FREE_PORTS: u16 = 49_152;
