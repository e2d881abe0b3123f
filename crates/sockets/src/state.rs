//! Everything of a fabric that one thread at a time has: devices, and sockets by their keys.

use crate::directory::{self, ANSWER_LEN};
use crate::port::Port;
use crate::{OpenError, Options};
use reactor::{Reactor, interface_addresses};
use sdp::sockets::{Changed, ListenerId, Readiness, SocketError, StreamId};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar};
use stdx::env::{Env, Event, IoError, LinkId, LinkListenerId, Owner, What};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use verbs::ConnectError;

/// See the module.
pub(crate) struct State {
    pub(crate) env: Reactor,
    options: Options,
    /// The first is for peers on this machine.
    ports: Vec<Port>,
    sockets: Slab<Socket>,
    events: Vec<Event>,
    /// Turns that were made.
    pub(crate) turns: u64,
    /// Who looks, or sleeps, for all that wait.
    pub(crate) leader: Option<Leader>,
    /// Sockets of threads that sleep while another leads.
    pub(crate) followers: Vec<Key>,
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
    pub(crate) condvar: Arc<Condvar>,
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
        let (events, woken, followers) = (Vec::new(), Vec::new(), Vec::new());
        let ports = vec![port];
        Ok(Self { env, options, ports, sockets, events, turns: 0, leader: None, followers, woken })
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

    fn add(&mut self, stage: Stage) -> Result<Key, io::Error> {
        let stream = match stage {
            Stage::Stream { port, id } => Some((port, id)),
            Stage::Asking { .. } | Stage::Listener { .. } | Stage::Failed { .. } => None,
        };
        let socket = Socket { stage, waiters: 0, sleepers: 0, condvar: Arc::default() };
        let key = self.sockets.insert(socket).map_err(|_| error_of(SocketError::Limit))?;
        if let Some((port, id)) = stream {
            self.ports[port].set_owner(id, Some(key));
        }
        Ok(key)
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> io::Result<Key> {
        let from = source_of(to)?;
        if from.ip() == to.ip() || to.ip().is_loopback() {
            for name in directory::names(to) {
                match self.env.connect_link(Owner(LINKS), &name) {
                    Ok(link) if self.is_trusted(link) => return self.add(Stage::Asking { link, from, to }),
                    Ok(link) => self.env.close_link(link),
                    Err(_) => {}
                }
            }
            return Err(error_of(SocketError::Refused));
        }
        let port = self.network_port(from.ip())?;
        self.connect_at(port, to, from, to)
    }

    /// Connects through a device of this machine that was learned of otherwise.
    pub(crate) fn connect_to_device(
        &mut self,
        route: SocketAddr,
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<Key> {
        self.connect_at(0, route, from, to)
    }

    fn connect_at(
        &mut self,
        port: usize,
        route: SocketAddr,
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<Key> {
        let Port { sockets, device, .. } = &mut self.ports[port];
        let id = sockets.connect(&mut self.env, device, route, from, to).map_err(io::Error::other)?;
        self.ports[port].send(&mut self.env);
        self.add(Stage::Stream { port, id })
    }

    /// Whether what is said over a link can be believed: only who may serve an address answers for it.
    fn is_trusted(&self, link: LinkId) -> bool {
        let is_let_in = |user| self.options.other_users.contains(&Some(user));
        self.env
            .link_peer(link)
            .is_ok_and(|peer| peer.user == peer.our_user || peer.user == SUPERUSER || is_let_in(peer.user))
    }

    /// Listens. Peers elsewhere are listened for at an address of the network alone, if its device can be had.
    pub(crate) fn listen(&mut self, mut address: SocketAddr) -> io::Result<Key> {
        let link = loop {
            let port = if address.port() == 0 { self.free_port() } else { address.port() };
            let named = SocketAddr::new(address.ip(), port);
            match self.env.listen_links(Owner(LINKS), &directory::name(named)) {
                Err(IoError::AddressInUse) if address.port() == 0 => {}
                result => {
                    address = named;
                    break result.map_err(io_error)?;
                }
            }
        };
        let listened = self.listen_at_device(0, 0, address.port());
        let (id, route) = listened.inspect_err(|_| self.env.close_link_listener(link))?;
        let mut ids = vec![(0, id)];
        if !address.ip().is_loopback()
            && !address.ip().is_unspecified()
            && let Ok(port) = self.network_port(address.ip())
            && let Ok((id, _)) = self.listen_at_device(port, address.port(), 0)
        {
            ids.push((port, id));
        }
        self.add(Stage::Listener { address, link, route, ids })
    }

    fn listen_at_device(
        &mut self,
        place: usize,
        number: u16,
        known_as: u16,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let port = &mut self.ports[place];
        let at = port.at(number);
        port.sockets.listen(&mut port.device, at, known_as).map_err(|error| match error {
            ConnectError::InUse => io::ErrorKind::AddrInUse.into(),
            error => io::Error::other(error),
        })
    }

    /// A stream that waits to be accepted.
    pub(crate) fn accept(&mut self, key: Key) -> io::Result<Option<(Key, SocketAddr)>> {
        let Some(Socket { stage: Stage::Listener { ids, .. }, .. }) = self.sockets.get(key) else {
            return Err(error_of(SocketError::NotFound));
        };
        let found = ids.iter().find_map(|&(port, id)| Some((port, self.ports[port].sockets.accept(id)?)));
        let Some((port, id)) = found else { return Ok(None) };
        let (_, peer) = self.ports[port].sockets.addresses(id).ok_or(error_of(SocketError::NotFound))?;
        Ok(Some((self.add(Stage::Stream { port, id })?, peer)))
    }

    /// Wants no more of a socket.
    pub(crate) fn close(&mut self, key: Key) {
        let Some(socket) = self.sockets.remove(key) else { return };
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
        match self.sockets.get(key).ok_or(SocketError::NotFound)?.stage {
            Stage::Asking { .. } => Err(SocketError::WouldBlock),
            Stage::Failed { error, .. } => Err(error),
            Stage::Listener { .. } => Err(SocketError::NotFound),
            Stage::Stream { port, id } => {
                let port = &mut self.ports[port];
                let result = act(port, &mut self.env, id);
                port.send(&mut self.env);
                result
            }
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

    /// Notes whose waiters are to be woken.
    fn take_changes(&mut self, place: usize) {
        while let Some(changed) = self.ports[place].sockets.poll_changed() {
            let key = match changed {
                Changed::Stream(id) => self.ports[place].owner_of(id),
                Changed::Listener(id) => self.listener(place, id),
            };
            self.wake(key);
        }
    }

    fn wake(&mut self, key: Option<Key>) {
        if let Some(key) = key
            && self.sockets.get(key).is_some_and(|socket| socket.waiters > 0)
        {
            self.woken.push(key);
        }
    }

    fn listener(&self, place: usize, wanted: ListenerId) -> Option<Key> {
        let has = |socket: &Socket| match &socket.stage {
            Stage::Listener { ids, .. } => ids.contains(&(place, wanted)),
            Stage::Asking { .. } | Stage::Stream { .. } | Stage::Failed { .. } => false,
        };
        self.sockets.iter().find(|(_, socket)| has(socket)).map(|(key, _)| key)
    }

    /// Answers who asks for a listener's device, and hears answers.
    fn handle_links(&mut self) {
        for place in 0..self.events.len() {
            match self.events[place].what {
                What::LinkAcceptable(listener) if self.events[place].owner == Owner(LINKS) => {
                    self.answer(listener);
                }
                What::LinkReadable(link) if self.events[place].owner == Owner(LINKS) => self.hear(link),
                _ => {}
            }
        }
    }

    fn answer(&mut self, listener: LinkListenerId) {
        let route = self.sockets.iter().find_map(|(_, socket)| match socket.stage {
            Stage::Listener { link, route, .. } if link == listener => Some(route),
            _ => None,
        });
        while let Ok(link) = self.env.accept_link(listener, Owner(LINKS)) {
            if let Some(route) = route {
                // Whoever does not hear it asks again.
                let _ = self.env.send_link(link, &directory::encode(route), None);
            }
            self.env.close_link(link);
        }
    }

    fn hear(&mut self, asked: LinkId) {
        let found = self.sockets.iter().find_map(|(key, socket)| match socket.stage {
            Stage::Asking { link, from, to } if link == asked => Some((key, from, to)),
            _ => None,
        });
        let Some((key, from, to)) = found else { return };
        let mut bytes = [0; ANSWER_LEN + 1];
        let route = match self.env.recv_link(asked, &mut bytes) {
            Err(IoError::WouldBlock) => return,
            Ok(message) => {
                if let Some(memory) = message.memory {
                    self.env.mem().unmap(memory);
                }
                directory::decode(&bytes[..message.len.min(bytes.len())])
            }
            Err(_) => None,
        };
        self.env.close_link(asked);
        let Port { sockets, device, .. } = &mut self.ports[0];
        let connected = route.ok_or(SocketError::Refused).and_then(|route| {
            sockets.connect(&mut self.env, device, route, from, to).map_err(|_| SocketError::Limit)
        });
        let stage = match connected {
            Ok(id) => {
                self.ports[0].set_owner(id, Some(key));
                self.ports[0].send(&mut self.env);
                Stage::Stream { port: 0, id }
            }
            Err(error) => Stage::Failed { from, to, error },
        };
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.stage = stage;
        }
        self.wake(Some(key));
    }

    /// The device at an address of this machine that peers elsewhere use, opened when it is first needed.
    fn network_port(&mut self, address: IpAddr) -> io::Result<usize> {
        if let Some(place) = self.ports.iter().position(|port| port.address() == address) {
            return Ok(place);
        }
        if !interface_addresses()?.iter().any(|known| known.address == address) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let owner = Owner(self.ports.len() as u64);
        let port = Port::network(&mut self.env, owner, address, &self.options).map_err(io::Error::other)?;
        self.ports.push(port);
        Ok(self.ports.len() - 1)
    }

    fn free_port(&mut self) -> u16 {
        FREE_PORTS + (self.env.entropy() % u64::from(u16::MAX - FREE_PORTS)) as u16
    }
}

/// The address that peers see who connect to `to`.
fn source_of(to: SocketAddr) -> io::Result<SocketAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    // Nothing is sent: the system is asked for the way.
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(SocketAddr::new(socket.local_addr()?.ip(), 0))
}

/// What the standard library calls it.
pub(crate) fn error_of(error: SocketError) -> io::Error {
    let kind = match error {
        SocketError::WouldBlock => io::ErrorKind::WouldBlock,
        SocketError::NotFound => io::ErrorKind::NotConnected,
        SocketError::Closed => io::ErrorKind::BrokenPipe,
        SocketError::Refused => io::ErrorKind::ConnectionRefused,
        SocketError::Reset | SocketError::Protocol => io::ErrorKind::ConnectionReset,
        SocketError::TimedOut => io::ErrorKind::TimedOut,
        SocketError::Limit => io::ErrorKind::OutOfMemory,
    };
    io::Error::new(kind, error)
}

fn io_error(error: IoError) -> io::Error {
    match error {
        IoError::AddressInUse => io::ErrorKind::AddrInUse.into(),
        other => io::Error::other(other),
    }
}

/// Whom the links of the directory are for; devices have the numbers from 0 on.
const LINKS: u64 = 1 << 48;
/// The user who may serve every address.
const SUPERUSER: u32 = 0;
/// Ports that nobody asks for by number begin here.
const FREE_PORTS: u16 = 49_152;
