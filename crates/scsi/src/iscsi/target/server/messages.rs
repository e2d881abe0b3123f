//! Connections over RDMA, as those who carry them see them.

use super::super::connection::{Connection, Post, Posted};
use super::super::{Arrival, Context};
use super::Server;
use crate::iscsi::login::RdmaLimits;
use crate::target::Executor;
use std::collections::VecDeque;
use stdx::env::{Env, StreamId};
use stdx::mem::{RegionId, Span};
use stdx::slab::Key;
use wire::iser::PrivateData;

/// What carries a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Link {
    /// A stream of the environment's.
    Stream(StreamId),
    /// A connection of a [`Transport`](crate::iscsi::target::iser::Transport)'s endpoint.
    Rdma {
        /// The transport's number.
        carrier: u8,
        /// The endpoint's name for it.
        connection: Key,
    },
}

/// What a connection wants of its transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Ready {
    /// That it is looked at: it may have something to post, or take messages again.
    Look(Key),
    /// That the endpoint's connection is ended.
    Close(Key),
}

impl Server {
    /// Whether another connection can come.
    pub(in super::super) fn has_room(&self) -> bool {
        !self.draining && !self.connections.is_full()
    }

    /// Someone was refused before there was a connection.
    pub(in super::super) const fn turn_away(&mut self) {
        self.shard.counters.turned_away += 1;
    }

    /// A connection came by RDMA. `None`: there are too many.
    pub(in super::super) fn attach(
        &mut self,
        env: &mut dyn Env,
        arrival: Arrival,
        link: Link,
        limits: RdmaLimits,
        peer: PrivateData,
    ) -> Option<Key> {
        let key = self.connections.next_key().filter(|_| !self.draining);
        let Some(key) = key else {
            self.shard.counters.turned_away += 1;
            return None;
        };
        self.shard.counters.accepted += 1;
        self.add(env, key, link, Connection::over_rdma(key, arrival, limits, peer));
        Some(key)
    }

    /// Whether a connection takes messages now.
    pub(in super::super) fn takes_messages(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|peer| peer.connection.held().is_none())
    }

    /// A message came.
    pub(in super::super) fn handle_message(
        &mut self,
        env: &mut dyn Env,
        executor: &mut dyn Executor,
        key: Key,
        message: Span,
        pool: Option<RegionId>,
    ) {
        self.reach(env, executor, key, |connection, cx| connection.handle_message(cx, message, pool));
    }

    /// The device is done with something of a connection's.
    pub(in super::super) fn handle_posted(
        &mut self,
        env: &mut dyn Env,
        executor: &mut dyn Executor,
        key: Key,
        posted: Posted,
    ) {
        self.reach(env, executor, key, |connection, cx| connection.handle_posted(cx, posted));
    }

    /// What a connection has for the device to do next.
    pub(in super::super) fn poll_post(
        &mut self,
        env: &mut dyn Env,
        executor: &mut dyn Executor,
        key: Key,
    ) -> Option<Post> {
        let peer = self.connections.get_mut(key)?;
        peer.connection.poll_post(&mut Context { env, executor, shard: &mut self.shard })
    }

    /// Whether a connection has something to say that could not be posted.
    pub(in super::super) fn has_unposted(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|peer| peer.connection.has_unposted())
    }

    /// A connection is gone, or is to go for what its peer did.
    pub(in super::super) fn detach(&mut self, env: &mut dyn Env, executor: &mut dyn Executor, key: Key) {
        let was_in_use = self.connections.get(key).is_some_and(|peer| peer.connection.session().is_some());
        self.shard.counters.broken += u64::from(was_in_use);
        self.end(env, executor, key, true);
        self.obey(env, executor);
    }

    /// The endpoint's connection of one that a transport carries.
    pub(in super::super) fn carried_by(&self, key: Key, transport: u8) -> Option<Key> {
        match self.connections.get(key)?.link {
            Link::Rdma { carrier, connection } if carrier == transport => Some(connection),
            Link::Rdma { .. } | Link::Stream(_) => None,
        }
    }

    /// The next thing wanted of a transport.
    pub(in super::super) fn poll_ready(&mut self, carrier: u8) -> Option<Ready> {
        let mut of = self.ready.iter_mut().filter(|(known, _)| *known == carrier);
        of.next().and_then(|(_, ready)| ready.pop_front())
    }

    fn reach(
        &mut self,
        env: &mut dyn Env,
        executor: &mut dyn Executor,
        key: Key,
        act: impl FnOnce(&mut Connection, &mut Context<'_>),
    ) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        act(&mut peer.connection, &mut Context { env, executor, shard: &mut self.shard });
        self.list(key);
        self.obey(env, executor);
    }
}

/// Something is wanted of a transport.
pub(super) fn push(ready: &mut Vec<(u8, VecDeque<Ready>)>, carrier: u8, what: Ready) {
    match ready.iter_mut().find(|(known, _)| *known == carrier) {
        // A connection is looked at once a turn, so that there are no more of these than connections.
        Some((_, queue)) => queue.push_back(what),
        None => ready.push((carrier, VecDeque::from([what]))),
    }
}
