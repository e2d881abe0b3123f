//! The listeners, connections and sessions of a shard, and the turn that drives them.

mod info;
mod listeners;
mod messages;
mod turn;

pub use info::{ConnectionInfo, SessionInfo};
pub(super) use messages::{Link, Ready};

use super::connection::{Connection, Phase};
use super::{Context, Counters, Limits, Order, Registry, Shard};
use crate::iscsi::IscsiName;
use crate::target::{Executor, Outcome};
use std::collections::{BTreeMap, VecDeque};
use stdx::env::{Env, Event, StreamId, What};
use stdx::gather::HeaderBlocks;
use stdx::listeners::{Listeners, place_of};
use stdx::mem::{Kind, OutOfMemory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};

/// The iSCSI transport of one shard.
#[derive(Debug)]
pub struct Server {
    shard: Shard,
    listeners: Listeners,
    connections: Slab<Peer>,
    /// Connections to look at in this turn; those with [`Peer::listed`].
    active: Vec<Key>,
    /// Connections that wait for buffers.
    starved: VecDeque<Key>,
    /// When logins must be over, in the order of their times.
    logins: VecDeque<(Time, Key)>,
    /// When connections are looked at for a sign of life, in the order of the times.
    heartbeats: VecDeque<(Time, Key)>,
    /// When connections that leave must have left, in the order of the times.
    departures: VecDeque<(Time, Key)>,
    /// Reused from turn to turn.
    visiting: Vec<Key>,
    outcomes: Vec<Outcome>,
    spans: Vec<Span>,
    /// What connections over RDMA want of those who carry them, by the number of each.
    ready: Vec<(u8, VecDeque<Ready>)>,
    draining: bool,
}

/// A connection and what carries it.
#[derive(Debug)]
struct Peer {
    link: Link,
    connection: Connection,
    /// It is a stream, and may have bytes.
    readable: bool,
    /// It stands in [`Server::active`].
    listed: bool,
    /// It stands in [`Server::starved`].
    starved: bool,
    /// It stands in [`Server::departures`].
    timed: bool,
    /// It is closed.
    closed: bool,
}

impl Server {
    /// A server without listeners. `owner_base` has its low 32 bits clear; all owners with these high 32 bits are its.
    pub fn new(env: &mut dyn Env, owner_base: u64, limits: Limits) -> Result<Self, OutOfMemory> {
        debug_assert_eq!(owner_base & u64::from(u32::MAX), 0);
        let scratch = env.mem().map(Kind::Private, SCRATCH_BYTES as u64)?;
        let shard = Shard {
            limits,
            counters: Counters::default(),
            registry: Registry::default(),
            sessions: Slab::new(limits.sessions_max.min(usize::from(u16::MAX))),
            nexuses: BTreeMap::new(),
            last_tsih: 0,
            scratch: env.mem().whole(scratch).first(SCRATCH_BYTES),
            blocks: HeaderBlocks::new(env.mem(), limits.connections_max)?,
            solicited_bytes: 0,
            kept_bytes: 0,
            expiries: VecDeque::new(),
            closing: false,
            orders: VecDeque::new(),
        };
        Ok(Self {
            shard,
            listeners: Listeners::new(owner_base, limits.listeners_max),
            connections: Slab::new(limits.connections_max),
            active: Vec::new(),
            starved: VecDeque::new(),
            logins: VecDeque::new(),
            heartbeats: VecDeque::new(),
            departures: VecDeque::new(),
            visiting: Vec::new(),
            outcomes: Vec::new(),
            spans: Vec::new(),
            ready: Vec::new(),
            draining: false,
        })
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.shard.counters
    }

    /// What is allowed.
    pub const fn limits(&self) -> &Limits {
        &self.shard.limits
    }

    /// Looks at connections for a sign of life in this interval from now on, and ends those that left `missed_max` questions
    /// unanswered. What is timed already runs out first.
    pub const fn set_heartbeat(&mut self, interval: core::time::Duration, missed_max: u32) {
        self.shard.limits.heartbeat_interval = interval;
        self.shard.limits.heartbeats_missed_max = missed_max;
    }

    /// Who may log in where.
    pub const fn registry(&self) -> &Registry {
        &self.shard.registry
    }

    /// Changes who may log in where. Sessions that are there stay: see [`Server::end_sessions`].
    pub const fn registry_mut(&mut self) -> &mut Registry {
        &mut self.shard.registry
    }

    /// Ends all sessions of a target, without a word to their initiators. Says how many there were.
    pub fn end_sessions(
        &mut self,
        env: &mut dyn Env,
        executor: &mut dyn Executor,
        target: &IscsiName,
    ) -> usize {
        let of_target: Vec<Key> = self.sessions_of(target).collect();
        for &key in &of_target {
            Context { env, executor, shard: &mut self.shard }.end_session(key);
        }
        self.obey(env, executor);
        of_target.len()
    }

    /// Asks the initiators of a target to log out within so many seconds; of one portal group, or of all. Connections that
    /// are still there then are ended. Says how many were asked.
    pub fn request_logout(
        &mut self,
        env: &dyn Env,
        target: &IscsiName,
        group: Option<u16>,
        within_s: u16,
    ) -> usize {
        let sessions = self.sessions_of(target).filter_map(|key| self.shard.sessions.get(key));
        let sessions = sessions.filter(|session| group.is_none_or(|tag| session.name.portal_group == tag));
        let asked: Vec<Key> =
            sessions.flat_map(|session| session.connections.iter().map(|&(_, key)| key)).collect();
        for &key in &asked {
            let Some(peer) = self.connections.get_mut(key) else { continue };
            peer.connection.request_logout(within_s);
            let time = env.now() + core::time::Duration::from_secs(u64::from(within_s));
            // Departures stand in the order of their times.
            let place = self.departures.partition_point(|(other, _)| *other <= time);
            self.departures.insert(place, (time, key));
            self.list(key);
        }
        asked.len()
    }

    fn sessions_of(&self, target: &IscsiName) -> impl Iterator<Item = Key> {
        let sessions = self.shard.sessions.iter();
        let of_target = sessions.filter(move |(_, session)| session.name.target.as_ref() == Some(target));
        of_target.filter(|(_, session)| !session.ended).map(|(key, _)| key)
    }

    /// Takes an event that belongs to this server.
    pub fn handle_event(&mut self, env: &mut dyn Env, executor: &mut dyn Executor, event: &Event) {
        let place = place_of(event.owner);
        match event.what {
            What::Acceptable(listener) => self.accept(env, event.owner, listener),
            What::Readable(stream) => {
                if let Some(key) = self.find(place, stream) {
                    self.connections.get_mut(key).expect("just found").readable = true;
                    self.list(key);
                }
            }
            What::Writable(stream) => {
                if let Some(key) = self.find(place, stream) {
                    self.list(key);
                }
            }
            What::Broken(stream, _) => {
                if let Some(key) = self.find(place, stream) {
                    self.shard.counters.broken += 1;
                    self.end(env, executor, key, true);
                    self.obey(env, executor);
                }
            }
            What::FileDone { .. }
            | What::Woken
            | What::DatagramsReadable(_)
            | What::DatagramsWritable(_)
            | What::LinkAcceptable(_)
            | What::LinkReadable(_) => {}
        }
    }

    /// When [`Server::handle_timeout`] or, if that is now, [`Server::poll`] wants to be called.
    pub fn deadline(&self) -> Option<Time> {
        if !self.active.is_empty() || self.ready.iter().any(|(_, ready)| !ready.is_empty()) {
            return Some(Time::ZERO);
        }
        let first = |queue: &VecDeque<(Time, Key)>| queue.front().map(|&(time, _)| time);
        let connections = earliest(first(&self.logins), first(&self.departures));
        earliest(earliest(connections, first(&self.heartbeats)), self.shard.next_expiry())
    }

    /// Ends connections whose time is over, and looks for signs of life.
    pub fn handle_timeout(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        let now = env.now();
        while let Some((_, key)) = self.logins.pop_front_if(|(time, _)| *time <= now) {
            let Some(peer) = self.connections.get(key) else { continue };
            if peer.connection.phase() == Phase::LoggingIn {
                self.shard.counters.logins_timed_out += 1;
                self.end(env, executor, key, true);
            }
        }
        while let Some((_, session, lost)) = self.shard.expiries.pop_front_if(|(time, ..)| *time <= now) {
            Context { env, executor, shard: &mut self.shard }.expire(session, lost);
        }
        while let Some((_, key)) = self.departures.pop_front_if(|(time, _)| *time <= now) {
            self.end(env, executor, key, true);
        }
        let limits = self.shard.limits;
        while let Some((_, key)) = self.heartbeats.pop_front_if(|(time, _)| *time <= now) {
            let Some(peer) = self.connections.get_mut(key) else { continue };
            if peer.connection.heartbeat(limits.heartbeats_missed_max) {
                self.heartbeats.push_back((now + limits.heartbeat_interval, key));
                self.list(key);
            } else {
                self.shard.counters.heartbeats_missed += 1;
                self.end(env, executor, key, true);
            }
        }
        self.obey(env, executor);
    }

    /// Stops listening and takes no further command. Connections are closed as soon as what they were asked is answered.
    pub fn drain(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        self.draining = true;
        self.listeners.close(env);
        self.end_lost_sessions(env, executor);
        for (key, peer) in self.connections.iter_mut() {
            peer.connection.drain(&mut Context { env, executor, shard: &mut self.shard });
            if !core::mem::replace(&mut peer.listed, true) {
                self.active.push(key);
            }
        }
    }

    /// Whether no connection is left, and no session either.
    pub fn is_drained(&self) -> bool {
        self.connections.is_empty() && self.shard.sessions.is_empty()
    }

    /// Ends every connection now. The server must still be polled until [`Server::is_drained`]: volumes may have buffers
    /// of its sessions.
    pub fn close(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        self.listeners.close(env);
        self.end_lost_sessions(env, executor);
        let all: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in all {
            self.end(env, executor, key, false);
        }
        self.obey(env, executor);
    }

    /// Nothing is kept for connections that are lost any more.
    fn end_lost_sessions(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        self.shard.closing = true;
        for (_, session, lost) in core::mem::take(&mut self.shard.expiries) {
            Context { env, executor, shard: &mut self.shard }.expire(session, lost);
        }
    }

    /// Gives the server's memory back, once it is drained.
    pub fn free(self, env: &mut dyn Env) {
        debug_assert!(self.is_drained());
        env.mem().unmap(self.shard.scratch.region);
        self.shard.blocks.free(env.mem());
    }

    /// Ends a connection: the stream is closed, and with it its session, unless it logged out.
    fn end(&mut self, env: &mut dyn Env, executor: &mut dyn Executor, key: Key, abort: bool) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        if !core::mem::replace(&mut peer.closed, true) {
            match peer.link {
                Link::Stream(stream) => env.close(stream, abort),
                Link::Rdma { carrier, connection } => {
                    messages::push(&mut self.ready, carrier, Ready::Close(connection))
                }
            }
            peer.connection.end(&mut Context { env, executor, shard: &mut self.shard });
        }
        self.connections.remove(key);
    }

    /// Does what connections want done to others.
    fn obey(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        while let Some(order) = self.shard.orders.pop_front() {
            match order {
                Order::Visit(key) => self.list(key),
                Order::Forget(key, slot) => {
                    if let Some(peer) = self.connections.get_mut(key) {
                        let cx = &mut Context { env, executor, shard: &mut self.shard };
                        peer.connection.forget_task(cx, slot);
                    }
                }
                Order::End(key) => self.end(env, executor, key, false),
                Order::Dismiss(key) => {
                    if let Some(peer) = self.connections.get_mut(key) {
                        peer.connection.leave(&mut Context { env, executor, shard: &mut self.shard });
                    }
                    self.list(key);
                }
            }
        }
    }

    /// The connection at a place, if the stream is still its.
    fn find(&self, place: usize, stream: StreamId) -> Option<Key> {
        let key = self.connections.key_at(place)?;
        self.connections
            .get(key)
            .filter(|peer| peer.link == Link::Stream(stream) && !peer.closed)
            .map(|_| key)
    }

    /// Has a connection looked at in this turn.
    fn list(&mut self, key: Key) {
        if let Some(peer) = self.connections.get_mut(key)
            && !core::mem::replace(&mut peer.listed, true)
        {
            self.active.push(key);
        }
    }

    /// Asserts what always holds. `others` is how many I/O buffers of the shard its other users have.
    pub fn check(&self, env: &mut dyn Env, others: usize) {
        let mut buffers = self.connections.iter().map(|(_, peer)| peer.connection.check()).sum::<usize>();
        let (mut solicited, mut kept) = (0, 0);
        for (_, session) in self.shard.sessions.iter() {
            session.check();
            let (held, waiting) = session.buffers();
            buffers += held;
            solicited += waiting;
            kept += session.stranded_bytes();
        }
        kept += self.connections.iter().map(|(_, peer)| peer.connection.kept_bytes()).sum::<usize>();
        assert_eq!(self.shard.kept_bytes, kept);
        assert_eq!(env.mem().buffers_taken(), buffers + others, "every buffer has an owner");
        assert_eq!(self.shard.solicited_bytes, solicited);
        let sending = self.connections.iter().filter(|(_, peer)| peer.connection.is_sending()).count();
        assert_eq!(self.shard.blocks.lent(), sending);
        assert!(self.shard.orders.is_empty());
        let listed = self.connections.iter().filter(|(_, peer)| peer.listed).count();
        assert!(listed <= self.active.len());
    }
}

/// Bytes received at once, while their place is not known.
const SCRATCH_BYTES: usize = 64 << 10;
