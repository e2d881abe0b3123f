//! The addresses a server listens on: several users share one, and each is closed with its last.
//!
//! What it is not: it knows no connection. Events of a server's listeners and of its connections go to owners with the
//! same high 32 bits; here is the rule that tells the two apart, and who takes the next place is the server's to say.
//!
//! Invariants: no address is listened on twice; after [`Listeners::close`] there is none, and none is added.

use crate::env::{Accepted, Env, IoError, ListenerId, Owner};
use crate::slab::{Key, Slab};
use std::net::SocketAddr;
use thiserror::Error;

/// The listeners of one server.
#[derive(Debug)]
pub struct Listeners {
    /// The high 32 bits of the owner of everything the server opens.
    owner_base: u64,
    table: Slab<Listening>,
    closed: bool,
}

/// An address that is listened on.
#[derive(Debug)]
struct Listening {
    listener: ListenerId,
    /// As asked for, with the port the system chose if it was to choose.
    address: SocketAddr,
    /// How many times it was asked for.
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

/// A stream that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arriving {
    /// It has the place that was free.
    Here {
        /// The address listened on.
        portal: SocketAddr,
        /// The stream and its two ends.
        accepted: Accepted,
    },
    /// There was no place for it: it was reset.
    TurnedAway,
}

impl Listeners {
    /// None yet, and at most `limit`. `owner_base` has its low 32 bits clear.
    pub const fn new(owner_base: u64, limit: usize) -> Self {
        Self { owner_base, table: Slab::new(limit), closed: false }
    }

    /// Listens on an address; says which it is, with the port the system chose for port 0. Asked again for the same
    /// address, it counts one user more.
    pub fn listen(&mut self, env: &mut dyn Env, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        if self.closed {
            return Err(ListenError::Draining);
        }
        if let Some((_, known)) = self.table.iter_mut().find(|(_, known)| known.address == address) {
            known.users += 1;
            return Ok(address);
        }
        let key = self.table.next_key().ok_or(ListenError::TooMany)?;
        let listener = env.listen(self.owner_of(LISTENER_MARK | key.index()), address)?;
        let address = SocketAddr::new(address.ip(), env.listener_address(listener).port());
        let listening = Listening { listener, address, users: 1 };
        self.table.insert(listening).expect("the next key was asked for");
        Ok(address)
    }

    /// One user less for an address. With the last, the listener is closed; streams that came in live on.
    pub fn unlisten(&mut self, env: &mut dyn Env, address: SocketAddr) {
        let found = self.table.iter_mut().find(|(_, known)| known.address == address);
        let Some((key, known)) = found else { return };
        known.users -= 1;
        if known.users == 0
            && let Some(gone) = self.table.remove(key)
        {
            env.close_listener(gone.listener);
        }
    }

    /// The addresses listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.table.iter().map(|(_, listening)| listening.address)
    }

    /// Closes all, for good.
    pub fn close(&mut self, env: &mut dyn Env) {
        self.closed = true;
        let all: Vec<Key> = self.table.iter().map(|(key, _)| key).collect();
        for key in all {
            if let Some(gone) = self.table.remove(key) {
                env.close_listener(gone.listener);
            }
        }
    }

    /// Takes the next stream that waits at the listener that an event to `owner` names, and gives its events to the
    /// connection with key `next`, the server's next free place. `None` if no stream waits.
    pub fn accept(
        &self,
        env: &mut dyn Env,
        owner: Owner,
        listener: ListenerId,
        next: Option<Key>,
    ) -> Option<Arriving> {
        let listening =
            self.table.key_at(place_of(owner) & !LISTENER_MARK).and_then(|key| self.table.get(key));
        let listening = listening.filter(|listening| listening.listener == listener)?;
        let place = next.map_or(LISTENER_MARK - 1, Key::index);
        let accepted = env.accept(listener, self.owner_of(place)).ok()?;
        if next.is_none() {
            env.close(accepted.stream, true);
            return Some(Arriving::TurnedAway);
        }
        Some(Arriving::Here { portal: listening.address, accepted })
    }

    const fn owner_of(&self, place: usize) -> Owner {
        Owner(self.owner_base | place as u64)
    }
}

/// The place among the server's connections that an event's owner names.
pub const fn place_of(owner: Owner) -> usize {
    (owner.0 & u32::MAX as u64) as usize
}

/// Set in the low half of an owner that is a listener.
const LISTENER_MARK: usize = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_tell_listeners_and_connections_apart() {
        let listeners = Listeners::new(7 << 32, 4);
        assert_eq!(place_of(listeners.owner_of(3)), 3);
        assert_eq!(place_of(listeners.owner_of(LISTENER_MARK | 3)), LISTENER_MARK | 3);
    }
}
