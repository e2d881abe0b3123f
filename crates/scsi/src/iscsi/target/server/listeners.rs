//! Addresses listened on, and the connections that come in.

use super::super::Arrival;
use super::super::connection::Connection;
use super::{LISTENER_MARK, Peer, Server};

use std::net::SocketAddr;
use stdx::env::{Env, IoError, ListenerId, Owner};
use stdx::slab::Slab;
use thiserror::Error;

/// An address that is listened on.
#[derive(Debug)]
pub(super) struct Listening {
    listener: ListenerId,
    /// As asked for, with the port the system chose if it was to choose.
    address: SocketAddr,
    /// How many times it was asked for: portal groups share it.
    users: usize,
}

/// An address cannot be listened on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ListenError {
    /// The world refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There are as many listeners as the limits allow.
    #[error("too many addresses are listened on")]
    TooMany,
    /// The server is draining.
    #[error("the server is shutting down")]
    Draining,
}

impl Server {
    /// Listens on an address; says which it is, with the port the system chose for port 0. Asked again for the same
    /// address, it counts one user more.
    pub fn listen(&mut self, env: &mut dyn Env, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        if self.draining {
            return Err(ListenError::Draining);
        }
        if let Some((_, known)) = self.listeners.iter_mut().find(|(_, known)| known.address == address) {
            known.users += 1;
            return Ok(address);
        }
        let key = self.listeners.next_key().ok_or(ListenError::TooMany)?;
        let owner = Owner(self.owner_base | (LISTENER_MARK | key.index()) as u64);
        let listener = env.listen(owner, address)?;
        let address = SocketAddr::new(address.ip(), env.listener_address(listener).port());
        let listening = Listening { listener, address, users: 1 };
        self.listeners.insert(listening).expect("the next key was asked for");
        Ok(address)
    }

    /// One user less for an address. With the last, the listener is closed; connections that came in live on until their
    /// initiators or the server end them.
    pub fn unlisten(&mut self, env: &mut dyn Env, address: SocketAddr) {
        let found = self.listeners.iter_mut().find(|(_, known)| known.address == address);
        let Some((key, known)) = found else { return };
        known.users -= 1;
        if known.users == 0
            && let Some(gone) = self.listeners.remove(key)
        {
            env.close_listener(gone.listener);
        }
    }

    /// The addresses listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|(_, listening)| listening.address)
    }

    pub(super) fn close_listeners(&mut self, env: &mut dyn Env) {
        for (_, listening) in self.listeners.iter() {
            env.close_listener(listening.listener);
        }
        self.listeners = Slab::new(self.shard.limits.listeners_max);
    }

    /// Takes the streams that wait at a listener.
    pub(super) fn accept(&mut self, env: &mut dyn Env, place: usize, listener: ListenerId) {
        let listening = self.listeners.key_at(place).and_then(|key| self.listeners.get(key));
        let Some(listening) = listening.filter(|listening| listening.listener == listener) else { return };
        let portal = listening.address;
        loop {
            let next = self.connections.next_key();
            let place = next.map_or(LISTENER_MARK - 1, |key| key.index());
            let owner = Owner(self.owner_base | place as u64);
            let Ok(accepted) = env.accept(listener, owner) else { return };
            let Some(key) = next else {
                self.shard.counters.turned_away += 1;
                env.close(accepted.stream, true);
                continue;
            };
            self.shard.counters.accepted += 1;
            let arrival = Arrival { portal, local: accepted.local, peer: accepted.peer };
            let peer = Peer {
                stream: accepted.stream,
                connection: Connection::new(key, arrival),
                readable: true,
                listed: false,
                starved: false,
                timed: false,
                closed: false,
            };
            let inserted = self.connections.insert(peer);
            debug_assert_eq!(inserted.ok(), Some(key));
            self.logins.push_back((env.now() + self.shard.limits.login_time, key));
            self.heartbeats.push_back((env.now() + self.shard.limits.heartbeat_interval, key));
            self.list(key);
        }
    }
}
