//! The listeners and connections of a shard, and the turn that drives them.

mod listeners;
mod turn;

use super::connection::{Connection, Phase};
use super::{Context, Counters, Limits, Shard};
use crate::target::{Arrival, Executor, Response};
use std::collections::VecDeque;
use stdx::env::{Env, Event, StreamId, What};
use stdx::gather::HeaderBlocks;
use stdx::listeners::{Listeners, place_of};
use stdx::mem::{Kind, OutOfMemory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use wire::nvme::tcp::Digests;

/// The TCP transport of one shard.
#[derive(Debug)]
pub struct Server {
    shard: Shard,
    listeners: Listeners,
    connections: Slab<Peer>,
    /// Connections to look at in this turn; those with [`Peer::listed`].
    active: Vec<Key>,
    /// Connections that wait for buffers.
    starved: VecDeque<Key>,
    /// When handshakes must be over, in the order of their times.
    handshakes: VecDeque<(Time, Key)>,
    /// When hosts that were told to close must have, in the order of their times.
    terminations: VecDeque<(Time, Key)>,
    /// Reused from turn to turn.
    visiting: Vec<Key>,
    responses: Vec<Response>,
    spans: Vec<Span>,
    draining: bool,
}

/// A connection and its stream.
#[derive(Debug)]
struct Peer {
    stream: StreamId,
    connection: Connection,
    /// The stream may have bytes.
    readable: bool,
    /// It stands in [`Server::active`].
    listed: bool,
    /// It stands in [`Server::starved`].
    starved: bool,
    /// It stands in [`Server::terminations`].
    timed: bool,
    /// The stream is closed.
    closed: bool,
}

/// A connection, for people and `nvmf_subsystem_get_qpairs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionInfo {
    /// Where it came in, and from where.
    pub arrival: Arrival,
    /// What it is doing.
    pub phase: Phase,
    /// The digests in use.
    pub digests: Digests,
    /// Its queue, if it has one.
    pub queue: Option<QueueInfo>,
    /// Bytes waiting to be sent.
    pub unsent_bytes: usize,
}

/// The queue of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueInfo {
    /// The controller it belongs to (CNTLID).
    pub controller_id: u16,
    /// Its identifier; 0 is the admin queue.
    pub queue_id: u16,
    /// Entries of the submission queue.
    pub entries: u32,
    /// Commands under way.
    pub outstanding: usize,
}

impl Server {
    /// A server without listeners. `owner_base` has its low 32 bits clear; all owners with these high 32 bits are its.
    pub fn new(env: &mut dyn Env, owner_base: u64, limits: Limits) -> Result<Self, OutOfMemory> {
        debug_assert_eq!(owner_base & u64::from(u32::MAX), 0);
        let scratch = env.mem().map(Kind::Private, SCRATCH_BYTES as u64)?;
        let shard = Shard {
            limits,
            counters: Counters::default(),
            scratch: env.mem().whole(scratch).first(SCRATCH_BYTES),
            blocks: HeaderBlocks::new(env.mem(), limits.connections_max)?,
            solicited_bytes: 0,
        };
        Ok(Self {
            shard,
            listeners: Listeners::new(owner_base, limits.listeners_max),
            connections: Slab::new(limits.connections_max),
            active: Vec::new(),
            starved: VecDeque::new(),
            handshakes: VecDeque::new(),
            terminations: VecDeque::new(),
            visiting: Vec::new(),
            responses: Vec::new(),
            spans: Vec::new(),
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

    /// All connections that are not over.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.connections.iter().map(|(_, peer)| {
            let connection = &peer.connection;
            let queue = connection.established().map(|established| QueueInfo {
                controller_id: established.controller_id(),
                queue_id: established.queue_id(),
                entries: established.entries(),
                outstanding: established.outstanding(),
            });
            ConnectionInfo {
                arrival: *connection.arrival(),
                phase: connection.phase(),
                digests: connection.digests(),
                queue,
                unsent_bytes: connection.unsent(),
            }
        })
    }

    /// Takes an event that belongs to this server.
    pub fn handle_event(&mut self, env: &mut dyn Env, target: &mut dyn Executor, event: &Event) {
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
                    self.end(env, target, key, true);
                }
            }
            What::FileDone { .. } | What::Woken => {}
            What::DatagramsReadable(_) | What::DatagramsWritable(_) => {}
            What::LinkAcceptable(_) | What::LinkReadable(_) => {}
        }
    }

    /// When [`Server::handle_timeout`] or, if that is now, [`Server::poll`] wants to be called.
    pub fn deadline(&self) -> Option<Time> {
        if !self.active.is_empty() {
            return Some(Time::ZERO);
        }
        let first = |queue: &VecDeque<(Time, Key)>| queue.front().map(|&(time, _)| time);
        earliest(first(&self.handshakes), first(&self.terminations))
    }

    /// Ends connections whose time is over.
    pub fn handle_timeout(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        let now = env.now();
        while let Some((_, key)) = self.handshakes.pop_front_if(|(time, _)| *time <= now) {
            let Some(peer) = self.connections.get(key) else { continue };
            if matches!(peer.connection.phase(), Phase::Initializing | Phase::Connecting) {
                self.shard.counters.handshakes_timed_out += 1;
                self.end(env, target, key, true);
            }
        }
        while let Some((_, key)) = self.terminations.pop_front_if(|(time, _)| *time <= now) {
            self.end(env, target, key, true);
        }
    }

    /// Stops listening and takes no further command. Connections are closed as soon as what they were asked is answered.
    pub fn drain(&mut self, env: &mut dyn Env) {
        self.draining = true;
        self.listeners.close(env);
        self.connections.iter_mut().for_each(|(_, peer)| peer.connection.drain());
        self.list_all();
    }

    /// Whether no connection is left.
    pub fn is_drained(&self) -> bool {
        self.connections.is_empty()
    }

    /// Ends every connection now. The server must still be polled until [`Server::is_drained`]: volumes may have buffers
    /// of its connections.
    pub fn close(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        self.listeners.close(env);
        let all: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in all {
            self.end(env, target, key, false);
        }
    }

    /// Gives the server's memory back, once it is drained.
    pub fn free(self, env: &mut dyn Env) {
        debug_assert!(self.is_drained());
        env.mem().unmap(self.shard.scratch.region);
        self.shard.blocks.free(env.mem());
    }

    /// Ends a connection: the stream is closed, the queue given up. The target may still have commands of it.
    fn end(&mut self, env: &mut dyn Env, target: &mut dyn Executor, key: Key, abort: bool) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        let was_io = peer.is_io();
        if !core::mem::replace(&mut peer.closed, true) {
            env.close(peer.stream, abort);
            peer.connection.end(&mut Context { env, target, shard: &mut self.shard });
        }
        if peer.connection.is_over() {
            self.connections.remove(key);
        }
        if self.draining && was_io && !self.has_io_connections() {
            self.list_all();
        }
    }

    /// Whether there are I/O queues still. Draining, their commands are answered before an admin queue's end is the end of
    /// its controller.
    fn has_io_connections(&self) -> bool {
        self.connections.iter().any(|(_, peer)| peer.is_io())
    }

    /// The connection at a place, if the stream is still its.
    fn find(&self, place: usize, stream: StreamId) -> Option<Key> {
        let key = self.connections.key_at(place)?;
        self.connections.get(key).filter(|peer| peer.stream == stream && !peer.closed).map(|_| key)
    }

    /// Has a connection looked at in this turn.
    fn list(&mut self, key: Key) {
        if let Some(peer) = self.connections.get_mut(key)
            && !core::mem::replace(&mut peer.listed, true)
        {
            self.active.push(key);
        }
    }

    /// Has every connection looked at.
    fn list_all(&mut self) {
        for (key, peer) in self.connections.iter_mut() {
            if !core::mem::replace(&mut peer.listed, true) {
                self.active.push(key);
            }
        }
    }

    /// Asserts what always holds. `others` is how many I/O buffers of the shard its other users have.
    pub fn check(&self, env: &mut dyn Env, others: usize) {
        let (mut buffers, mut solicited) = (0, 0);
        for (_, peer) in self.connections.iter() {
            let (held, waiting) = peer.connection.check();
            buffers += held;
            solicited += waiting;
        }
        assert_eq!(env.mem().buffers_taken(), buffers + others, "every buffer has an owner");
        assert_eq!(self.shard.solicited_bytes, solicited);
        let sending = self.connections.iter().filter(|(_, peer)| peer.connection.unsent() > 0).count();
        assert_eq!(self.shard.blocks.lent(), sending);
        let listed = self.connections.iter().filter(|(_, peer)| peer.listed).count();
        assert!(listed <= self.active.len());
    }
}

/// Bytes received at once, while their place is not known.
const SCRATCH_BYTES: usize = 64 << 10;
