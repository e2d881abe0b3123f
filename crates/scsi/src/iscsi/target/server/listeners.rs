//! Addresses listened on, and the connections that come in.

use super::super::connection::Connection;
use super::super::{Arrival, Carrier};
use super::{Link, Peer, Server};

use std::net::SocketAddr;
use stdx::env::{Accepted, Env, ListenerId, Owner};
use stdx::listeners::{Arriving, ListenError};
use stdx::slab::Key;

impl Server {
    /// Listens on an address; says which it is, with the port the system chose for port 0. Asked again for the same
    /// address, it counts one user more.
    pub fn listen(&mut self, env: &mut dyn Env, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        self.listeners.listen(env, address)
    }

    /// One user less for an address. With the last, the listener is closed; connections that came in live on until their
    /// initiators or the server end them.
    pub fn unlisten(&mut self, env: &mut dyn Env, address: SocketAddr) {
        self.listeners.unlisten(env, address);
    }

    /// The addresses listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.addresses()
    }

    /// Takes the streams that wait at a listener.
    pub(super) fn accept(&mut self, env: &mut dyn Env, owner: Owner, listener: ListenerId) {
        loop {
            let next = self.connections.next_key();
            let Some(arriving) = self.listeners.accept(env, owner, listener, next) else { return };
            let (Some(key), Arriving::Here { portal, accepted }) = (next, arriving) else {
                self.shard.counters.turned_away += 1;
                continue;
            };
            self.shard.counters.accepted += 1;
            let Accepted { stream, local, peer } = accepted;
            let arrival = Arrival { carrier: Carrier::Stream, portal, local, peer };
            self.add(env, key, Link::Stream(stream), Connection::new(key, arrival));
        }
    }

    /// A connection is there.
    pub(super) fn add(&mut self, env: &mut dyn Env, key: Key, link: Link, connection: Connection) {
        let readable = matches!(link, Link::Stream(_));
        let (listed, starved, timed, closed) = (false, false, false, false);
        let peer = Peer { link, connection, readable, listed, starved, timed, closed };
        let inserted = self.connections.insert(peer);
        debug_assert_eq!(inserted.ok(), Some(key));
        self.logins.push_back((env.now() + self.shard.limits.login_time, key));
        self.heartbeats.push_back((env.now() + self.shard.limits.heartbeat_interval, key));
        self.list(key);
    }
}
