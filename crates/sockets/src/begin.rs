//! How sockets begin: finding who listens, through which device, and listening.

use crate::directory::{self, ANSWER_LEN};
use crate::errors::{error_of, io_error};
use crate::port::Port;
use crate::state::{Socket, Stage, State};
use reactor::interface_addresses;
use sdp::sockets::{ListenerId, SocketError};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use stdx::env::{Env, IoError, LinkId, LinkListenerId, Owner, What};
use stdx::slab::Key;
use verbs::{ConnectError, Mtu};

impl State {
    /// Begins to connect.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> io::Result<Key> {
        let from = source_of(to)?;
        if from.ip() == to.ip() || to.ip().is_loopback() {
            for name in directory::names(to) {
                match self.env.connect_link(self.link_owner(), &name) {
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
            match self.env.listen_links(self.link_owner(), &directory::name(named)) {
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

    /// The device at an address of this machine that peers elsewhere use, opened when it is first needed.
    fn network_port(&mut self, address: IpAddr) -> io::Result<usize> {
        if let Some(place) = self.ports.iter().position(|port| port.address() == address) {
            return Ok(place);
        }
        let known = interface_addresses()?.into_iter().find(|known| known.address == address);
        let interface = known.ok_or(io::ErrorKind::AddrNotAvailable)?;
        // Packets are not cut on their way: what is longer than the interface takes is lost.
        let mtu = Mtu::within(interface.mtu).unwrap_or(Mtu::Mtu1024);
        let owner = Owner(self.ports.len() as u64);
        let opened = Port::network(&mut self.env, owner, address, mtu, &self.options);
        let port = opened.map_err(io::Error::other)?;
        self.ports.push(port);
        Ok(self.ports.len() - 1)
    }

    fn free_port(&mut self) -> u16 {
        FREE_PORTS + (self.env.entropy() % u64::from(u16::MAX - FREE_PORTS)) as u16
    }

    /// Answers who asks for a listener's device, and hears answers.
    pub(crate) fn handle_links(&mut self) {
        for place in 0..self.events.len() {
            let Some(socket) = self.events[place].owner.0.checked_sub(LINKS) else { continue };
            let Some(key) = self.sockets.key_at(socket as usize) else { continue };
            match self.events[place].what {
                What::LinkAcceptable(listener) => self.answer(key, listener),
                What::LinkReadable(link) => self.hear(key, link),
                _ => {}
            }
        }
    }

    /// Whom the link of the socket that is made next is for.
    fn link_owner(&self) -> Owner {
        Owner(LINKS + self.sockets.next_key().map_or(0, |key| key.index() as u64))
    }

    fn answer(&mut self, key: Key, listener: LinkListenerId) {
        let Some(Stage::Listener { link, route, .. }) = self.sockets.get(key).map(|socket| &socket.stage)
        else {
            return;
        };
        if *link != listener {
            return;
        }
        let answer = directory::encode(*route);
        while let Ok(link) = self.env.accept_link(listener, Owner(LINKS)) {
            // Whoever does not hear it asks again.
            let _ = self.env.send_link(link, &answer, None);
            self.env.close_link(link);
        }
    }

    fn hear(&mut self, key: Key, asked: LinkId) {
        let Some(&Stage::Asking { link, from, to }) = self.sockets.get(key).map(|socket| &socket.stage)
        else {
            return;
        };
        if link != asked {
            return;
        }
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
}

/// The address that peers see who connect to `to`.
fn source_of(to: SocketAddr) -> io::Result<SocketAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    // Nothing is sent: the system is asked for the way.
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(SocketAddr::new(socket.local_addr()?.ip(), 0))
}

/// Whom the links of the directory are for, with the place of the socket; devices have the numbers from 0 on.
const LINKS: u64 = 1 << 48;
/// The user who may serve every address.
const SUPERUSER: u32 = 0;
/// Ports that nobody asks for by number begin here.
const FREE_PORTS: u16 = 49_152;
