//! Everything of a fabric that one thread at a time has: devices, and sockets by their keys.

use crate::buffer::{BUFFERS_MAX, Buffer};
use crate::errors::error_of;
use crate::keeper::Keeper;
use crate::port::Port;
use crate::{OpenError, Options};
use reactor::Reactor;
use sdp::sockets::{Changed, ListenerId, Readiness, SocketError, StreamId};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar};
use std::task::Waker;
use stdx::env::{Env, Event, LinkId, LinkListenerId, Owner};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};

/// See the module.
pub(crate) struct State {
    pub(crate) env: Reactor,
    pub(crate) options: Options,
    /// The first is for peers on this machine.
    pub(crate) ports: Vec<Port>,
    pub(crate) sockets: Slab<Socket>,
    pub(crate) buffers: Slab<Buffer>,
    pub(crate) events: Vec<Event>,
    /// Turns that were made.
    pub(crate) turns: u64,
    /// Who looks, or sleeps, for all that wait.
    pub(crate) leader: Option<Leader>,
    /// How the thread waits that moves streams while nobody else does.
    pub(crate) keeper: Keeper,
    /// Sockets of threads that sleep while another leads.
    pub(crate) followers: Vec<Key>,
    /// Threads that were woken and have not looked yet.
    pub(crate) roused: u32,
    /// Sockets whose waiters are to be woken.
    woken: Vec<Key>,
}

/// The thread that looks, or sleeps, for all that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leader {
    /// What it waits for itself.
    pub(crate) socket: Key,
    /// How it sleeps.
    pub(crate) sleep: Sleep,
}

/// How who leads sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleep {
    /// Not at all, or it was rung.
    None,
    /// For a moment: others look, too.
    Watching,
    /// Until something happens.
    Deep,
}

/// A stream or listener.
pub(crate) struct Socket {
    pub(crate) stage: Stage,
    /// Threads that wait for it.
    pub(crate) waiters: u32,
    /// Those of them that sleep, and are woken by the condition variable.
    pub(crate) sleepers: u32,
    /// Those of them that were woken and have not looked yet.
    pub(crate) roused: u32,
    pub(crate) condvar: Arc<Condvar>,
    /// Tasks that wait for it.
    pub(crate) wakers: Vec<Waker>,
}

/// What a socket is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It is being found out which device of this machine serves the address.
    Asking { link: LinkId, from: SocketAddr, to: SocketAddr },
    /// A stream.
    Stream { port: usize, id: StreamId },
    /// A listener, of one device or several.
    Listener { address: SocketAddr, link: LinkListenerId, route: SocketAddr, ids: Vec<(usize, ListenerId)> },
    /// There will be no stream.
    Failed { from: SocketAddr, to: SocketAddr, error: SocketError },
}

impl State {
    pub(crate) fn new(options: Options) -> Result<Self, OpenError> {
        let mut env = Reactor::new(options.reactor())?;
        let port = Port::local(&mut env, Owner(0), &options)?;
        let sockets = Slab::new(options.sockets_max());
        let (events, woken, followers, roused) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let ports = vec![port];
        let buffers = Slab::new(BUFFERS_MAX);
        Ok(Self {
            env,
            options,
            ports,
            sockets,
            buffers,
            events,
            turns: 0,
            leader: None,
            keeper: Keeper::Pacing,
            followers,
            roused,
            woken,
        })
    }

    /// Nobody leads any more: one of those that sleep may.
    pub(crate) fn hand_over(&mut self) {
        if let Some(found) = self.followers.last().and_then(|key| self.sockets.get(*key)) {
            found.condvar.notify_one();
        }
    }

    /// Does what there is to do, without waiting; true if anything came of it.
    pub(crate) fn turn(&mut self) -> bool {
        self.turns = self.turns.wrapping_add(1);
        self.events.clear();
        self.env.poll(&mut self.events, Some(Time::ZERO));
        if !self.events.is_empty() {
            self.handle_links();
        }
        let mut found = false;
        for place in 0..self.ports.len() {
            let port = &mut self.ports[place];
            if port.turn(&mut self.env, &self.events) {
                found = true;
                self.take_changes(place);
            }
            self.take_returned(place);
        }
        found
    }

    /// When the next turn is due though nothing happens; a time past: at once.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.ports.iter().map(Port::deadline).fold(None, earliest)
    }

    /// Whether turns may find what no descriptor tells.
    pub(crate) fn is_awake(&self) -> bool {
        self.deadline().is_some_and(|at| at <= self.env.now())
    }

    /// Sockets that something happened to and that someone waits for.
    pub(crate) fn poll_woken(&mut self) -> Option<Key> {
        self.woken.pop()
    }

    pub(crate) fn socket(&mut self, key: Key) -> Option<&mut Socket> {
        self.sockets.get_mut(key)
    }

    /// The address of the device for peers on this machine.
    pub(crate) fn local_device(&self) -> IpAddr {
        self.ports[0].address()
    }

    /// A socket, with a key of its own.
    pub(crate) fn add(&mut self, stage: Stage) -> Result<Key, io::Error> {
        let key = self.sockets.next_key().ok_or_else(|| error_of(SocketError::Limit))?;
        match &stage {
            Stage::Stream { port, id } => self.ports[*port].set_owner(*id, Some(key)),
            Stage::Listener { ids, .. } => {
                for (port, id) in ids {
                    self.ports[*port].set_listener(*id, Some(key));
                }
            }
            Stage::Asking { .. } | Stage::Failed { .. } => {}
        }
        let socket =
            Socket { stage, waiters: 0, sleepers: 0, roused: 0, condvar: Arc::default(), wakers: Vec::new() };
        self.sockets.insert(socket).map_err(|_| error_of(SocketError::Limit))
    }

    /// Wants no more of a socket.
    pub(crate) fn close(&mut self, key: Key) {
        let Some(socket) = self.sockets.remove(key) else { return };
        self.roused -= socket.roused;
        match socket.stage {
            Stage::Asking { link, .. } => self.env.close_link(link),
            Stage::Stream { port, id } => {
                let port = &mut self.ports[port];
                port.set_owner(id, None);
                port.sockets.close(&mut self.env, &mut port.device, id);
                port.send(&mut self.env);
            }
            Stage::Listener { link, ids, .. } => {
                self.env.close_link_listener(link);
                for (place, id) in ids {
                    let port = &mut self.ports[place];
                    port.set_listener(id, None);
                    port.sockets.close_listener(&mut self.env, &mut port.device, id);
                    port.send(&mut self.env);
                }
            }
            Stage::Failed { .. } => {}
        }
    }

    /// Does something with a stream; then what was posted goes out.
    pub(crate) fn with<T>(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Port, &mut Reactor, StreamId) -> Result<T, SocketError>,
    ) -> Result<T, SocketError> {
        let (place, id) = self.stream_of(key)?;
        let port = &mut self.ports[place];
        let result = act(port, &mut self.env, id);
        port.send(&mut self.env);
        self.take_returned(place);
        result
    }

    /// Where a stream is.
    pub(crate) fn stream_of(&self, key: Key) -> Result<(usize, StreamId), SocketError> {
        match self.sockets.get(key).ok_or(SocketError::NotFound)?.stage {
            Stage::Asking { .. } => Err(SocketError::WouldBlock),
            Stage::Failed { error, .. } => Err(error),
            Stage::Listener { .. } => Err(SocketError::NotFound),
            Stage::Stream { port, id } => Ok((port, id)),
        }
    }

    /// What can be done with a socket.
    pub(crate) fn readiness(&self, key: Key) -> Readiness {
        let over =
            Readiness { readable: true, writable: true, ended: true, error: true, ..Readiness::default() };
        match self.sockets.get(key).map(|socket| &socket.stage) {
            Some(Stage::Asking { .. }) => Readiness::default(),
            Some(Stage::Stream { port, id }) => self.ports[*port].sockets.readiness(*id),
            Some(Stage::Listener { ids, .. }) => {
                let waits = |&(port, id): &(usize, ListenerId)| self.ports[port].sockets.waiting(id) > 0;
                Readiness { readable: ids.iter().any(waits), ..Readiness::default() }
            }
            Some(Stage::Failed { .. }) | None => over,
        }
    }

    /// A socket's own address and its peer's; a listener has none.
    pub(crate) fn addresses(&self, key: Key) -> Option<(SocketAddr, Option<SocketAddr>)> {
        match &self.sockets.get(key)?.stage {
            Stage::Asking { from, to, .. } | Stage::Failed { from, to, .. } => Some((*from, Some(*to))),
            Stage::Stream { port, id } => {
                let (local, peer) = self.ports[*port].sockets.addresses(*id)?;
                Some((local, Some(peer)))
            }
            Stage::Listener { address, .. } => Some((*address, None)),
        }
    }

    /// Where a listener's device is to be asked by peers on this machine.
    pub(crate) fn route(&self, key: Key) -> Option<SocketAddr> {
        match &self.sockets.get(key)?.stage {
            Stage::Listener { route, .. } => Some(*route),
            Stage::Asking { .. } | Stage::Stream { .. } | Stage::Failed { .. } => None,
        }
    }

    /// Whether a listener is found by peers elsewhere, and not on this machine alone.
    pub(crate) fn is_on_network(&self, key: Key) -> bool {
        let stage = self.sockets.get(key).map(|socket| &socket.stage);
        matches!(stage, Some(Stage::Listener { ids, .. }) if ids.len() > 1)
    }

    /// Notes whose waiters are to be woken.
    fn take_changes(&mut self, place: usize) {
        while let Some(changed) = self.ports[place].sockets.poll_changed() {
            let key = match changed {
                Changed::Stream(id) => self.ports[place].owner_of(id),
                Changed::Listener(id) => self.ports[place].listener_of(id),
            };
            self.wake(key);
        }
    }

    /// Somebody who waits for a socket is to look at it.
    pub(crate) fn wake(&mut self, key: Option<Key>) {
        if let Some(key) = key
            && self.sockets.get(key).is_some_and(|socket| socket.waiters > 0 || !socket.wakers.is_empty())
        {
            self.woken.push(key);
        }
    }
}
