//! The table of listeners.
//!
//! When descriptors run out, the connection that cannot be accepted stays in the kernel's queue and would make the set
//! ready for ever. The listener therefore pauses: it is asked again when a stream was closed, or a little later.

use crate::poller::{Interest, Poller};
use crate::{address, socket};
use core::time::Duration;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{Event, IoError, ListenerId, Owner, What};
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// All listeners of a reactor.
#[derive(Debug)]
pub(crate) struct Listeners {
    table: Slab<Listener>,
    /// When paused listeners are asked again; `None` if there are none.
    resume_at: Option<Time>,
}

#[derive(Debug)]
struct Listener {
    fd: OwnedFd,
    owner: Owner,
    local: SocketAddr,
    paused: bool,
}

impl Listeners {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self { table: Slab::new(LISTENERS_MAX), resume_at: None }
    }

    /// Listens on an address.
    pub(crate) fn listen(
        &mut self,
        poller: &Poller,
        owner: Owner,
        address: SocketAddr,
    ) -> Result<ListenerId, IoError> {
        let fd = socket::listen(address)?;
        let local = address::local(fd.as_raw_fd())?;
        let raw = fd.as_raw_fd();
        let listener = Listener { fd, owner, local, paused: false };
        let key = self.table.insert(listener).map_err(|_| IoError::Limit)?;
        if let Err(error) = poller.add(raw, token(key), Interest::Level) {
            self.table.remove(key);
            return Err(error);
        }
        Ok(ListenerId(key.as_u64()))
    }

    /// The address it got. Panics if it was closed.
    pub(crate) fn address(&self, id: ListenerId) -> SocketAddr {
        self.table.get(Key::from_u64(id.0)).expect("an open listener").local
    }

    /// Stops listening.
    pub(crate) fn close(&mut self, id: ListenerId) {
        self.table.remove(Key::from_u64(id.0));
    }

    /// The next connection that waits: its socket, its peer, and the address it came to.
    pub(crate) fn accept(&mut self, id: ListenerId) -> Result<(OwnedFd, SocketAddr, SocketAddr), IoError> {
        let listener = self.table.get(Key::from_u64(id.0)).ok_or(IoError::WouldBlock)?;
        for _ in 0..RETRIES {
            match socket::accept(listener.fd.as_raw_fd()) {
                Ok((fd, peer)) => {
                    let local = address::local(fd.as_raw_fd())?;
                    return Ok((fd, peer, local));
                }
                Err(IoError::WouldBlock) => return Err(IoError::WouldBlock),
                Err(IoError::Limit) => return Err(IoError::Limit),
                // This connection died in the queue, or a signal came: the next one is no worse for it.
                Err(_) => {}
            }
        }
        Err(IoError::WouldBlock)
    }

    /// Asks a listener no more until [`Listeners::resume`].
    pub(crate) fn pause(&mut self, poller: &Poller, id: ListenerId, now: Time) {
        let key = Key::from_u64(id.0);
        let Some(listener) = self.table.get_mut(key) else { return };
        listener.paused = poller.change(listener.fd.as_raw_fd(), token(key), Interest::Nothing).is_ok();
        self.resume_at = Some(now + PAUSE);
    }

    /// Asks paused listeners again if it is time, or if there is `room` now.
    pub(crate) fn resume(&mut self, poller: &Poller, now: Time, room: bool) {
        if self.resume_at.is_none_or(|at| at > now && !room) {
            return;
        }
        self.resume_at = None;
        for (key, listener) in self.table.iter_mut().filter(|(_, listener)| listener.paused) {
            let resumed = poller.change(listener.fd.as_raw_fd(), token(key), Interest::Level);
            listener.paused = resumed.is_err();
            if listener.paused {
                self.resume_at = Some(now + PAUSE);
            }
        }
    }

    /// When [`Listeners::resume`] has something to do.
    pub(crate) const fn resume_at(&self) -> Option<Time> {
        self.resume_at
    }

    /// Tells the owner that a connection waits.
    pub(crate) fn handle_ready(&self, ready_token: u64, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready_token & !IS_LISTENER);
        if let Some(listener) = self.table.get(key) {
            let what = What::Acceptable(ListenerId(key.as_u64()));
            events.push(Event { owner: listener.owner, what });
        }
    }
}

/// The bit in the set's numbers that tells listeners from streams: neither table has 2^31 places.
pub(crate) const IS_LISTENER: u64 = 1 << 31;

const fn token(key: Key) -> u64 {
    key.as_u64() | IS_LISTENER
}

/// Listeners at once, at most.
const LISTENERS_MAX: usize = 1024;

/// How long a listener without descriptors waits.
const PAUSE: Duration = Duration::from_millis(100);

/// Dead connections passed over in one call.
const RETRIES: usize = 64;
