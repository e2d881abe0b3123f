//! Connections between queue pairs of one provider: a request reaches its listener at once.

use super::Loopback;
use crate::parts::Sending;
use crate::{
    Accept, Connect, ConnectError, ConnectionEvent, ConnectionId, ConnectionWhat, Connections, Destination,
    Limits, ListenerId, Mtu, Parameters, Peer, PortSpace, PrivateData, QpId, QpState, Rejection, Transition,
    Transport,
};
use core::net::SocketAddr;
use std::collections::VecDeque;
use stdx::env::{Env, Owner};
use stdx::slab::Slab;

/// Listeners, connections, and what is to be told.
#[derive(Debug)]
pub(super) struct Switchboard {
    listeners: Slab<Listener>,
    connections: Slab<Connection>,
    events: VecDeque<ConnectionEvent>,
    next_port: u16,
}

#[derive(Debug)]
struct Listener {
    owner: Owner,
    space: PortSpace,
    address: SocketAddr,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
struct Connection {
    owner: Owner,
    space: PortSpace,
    state: State,
    other: Option<ConnectionId>,
    qp: Option<QpId>,
    parameters: Parameters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our request waits for its answer.
    Asking,
    /// The request waits for our answer.
    Asked,
    Established,
    Ended,
}

impl Switchboard {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            listeners: Slab::new(limits.connections as usize),
            connections: Slab::new(2 * limits.connections as usize),
            events: VecDeque::new(),
            next_port: FREE_PORTS,
        }
    }

    fn find(&self, space: PortSpace, port: u16) -> Option<(ListenerId, &Listener)> {
        let mut listeners = self.listeners.iter();
        let found =
            listeners.find(|(_, listener)| listener.space == space && listener.address.port() == port);
        found.map(|(key, listener)| (ListenerId(key), listener))
    }

    fn tell(&mut self, connection: ConnectionId, what: ConnectionWhat) {
        if let Some(found) = self.connections.get(connection.0) {
            let owner = found.owner;
            self.events.push_back(ConnectionEvent { owner, connection, what });
        }
    }
}

impl Connections for Loopback {
    fn listen(
        &mut self,
        owner: Owner,
        space: PortSpace,
        mut address: SocketAddr,
    ) -> Result<ListenerId, ConnectError> {
        if address.ip() != self.address && !address.ip().is_unspecified() || !space.is_sound() {
            return Err(ConnectError::Address);
        }
        let board = &mut self.switchboard;
        address.set_port(space.port_of(address));
        if address.port() == 0 && space.has_ports() {
            let tries = (0..=u16::MAX - FREE_PORTS)
                .map(|step| FREE_PORTS + (board.next_port - FREE_PORTS + step) % (u16::MAX - FREE_PORTS));
            let free = { tries }.find(|port| board.find(space, *port).is_none());
            address.set_port(free.ok_or(ConnectError::Limit)?);
            board.next_port = address.port();
        } else if board.find(space, address.port()).is_some() {
            return Err(ConnectError::InUse);
        }
        let listener = Listener { owner, space, address };
        board.listeners.insert(listener).map(ListenerId).map_err(|_| ConnectError::Limit)
    }

    fn listener_address(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.switchboard.listeners.get(listener.0).map(|listener| listener.address)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.switchboard.listeners.remove(listener.0);
    }

    fn connect(
        &mut self,
        _env: &mut dyn Env,
        owner: Owner,
        connect: &Connect<'_>,
    ) -> Result<ConnectionId, ConnectError> {
        let room = connect.space.request_room();
        if connect.private_data.len() > room {
            return Err(ConnectError::PrivateData);
        }
        if !connect.space.is_sound() {
            return Err(ConnectError::Address);
        }
        self.check_pair(connect.space, connect.qp)?;
        let connection = Connection {
            owner,
            space: connect.space,
            state: State::Asking,
            other: None,
            qp: connect.qp,
            parameters: connect.parameters,
        };
        let limit = |_| ConnectError::Limit;
        let id = ConnectionId(self.switchboard.connections.insert(connection).map_err(limit)?);
        self.is_stirred = true;
        self.ask(id, connect, room);
        Ok(id)
    }

    fn accept(
        &mut self,
        _env: &mut dyn Env,
        owner: Owner,
        connection: ConnectionId,
        accept: &Accept<'_>,
    ) -> Result<(), ConnectError> {
        let here = *self.asked(connection)?;
        let room = if here.space == PortSpace::Udp { RESOLVED_ROOM } else { REPLY_ROOM };
        let data = padded(accept.private_data, room)?;
        self.check_pair(here.space, Some(accept.qp))?;
        self.is_stirred = true;
        if let Some(found) = self.switchboard.connections.get_mut(connection.0) {
            (found.owner, found.qp, found.state) = (owner, Some(accept.qp), State::Established);
        }
        let other = here.other.and_then(|other| Some((other, *self.switchboard.connections.get(other.0)?)));
        let Some((other, there)) = other else {
            self.end(connection);
            return Ok(());
        };
        if here.space == PortSpace::Udp {
            self.resolve(other, accept, data);
            self.switchboard.connections.remove(connection.0);
            return Ok(());
        }
        let Some(asking) = there.qp else { return Err(ConnectError::State) };
        let agreed = agree(&here.parameters, &accept.parameters);
        let back = Parameters {
            responder_resources: agreed.initiator_depth,
            initiator_depth: agreed.responder_resources,
            ..there.parameters
        };
        self.raise(accept.qp, asking, &agreed);
        self.raise(asking, accept.qp, &back);
        if let Some(found) = self.switchboard.connections.get_mut(other.0) {
            found.state = State::Established;
        }
        let established = |parameters, private_data| ConnectionWhat::Established { parameters, private_data };
        self.switchboard.tell(other, established(back, data));
        self.switchboard.tell(connection, established(agreed, PrivateData::EMPTY));
        Ok(())
    }

    fn reject(&mut self, connection: ConnectionId, private_data: &[u8]) -> Result<(), ConnectError> {
        let here = *self.asked(connection)?;
        let private_data = padded(private_data, REJECT_ROOM)?;
        self.switchboard.connections.remove(connection.0);
        self.is_stirred = true;
        if let Some(other) = here.other {
            let why = Rejection::Consumer;
            if let Some(found) = self.switchboard.connections.get_mut(other.0) {
                found.state = State::Ended;
            }
            self.switchboard.tell(other, ConnectionWhat::Rejected { why, private_data });
        }
        Ok(())
    }

    fn disconnect(&mut self, connection: ConnectionId) -> Result<(), ConnectError> {
        let found = self.switchboard.connections.get(connection.0).ok_or(ConnectError::NotFound)?;
        if found.state == State::Ended {
            return Err(ConnectError::State);
        }
        let other = found.other;
        self.end(connection);
        if let Some(other) = other {
            self.end(other);
        }
        Ok(())
    }

    fn release(&mut self, connection: ConnectionId) {
        if self.switchboard.connections.get(connection.0).is_some_and(|found| found.state != State::Ended) {
            let _ = self.disconnect(connection);
        }
        self.switchboard.connections.remove(connection.0);
        self.switchboard.events.retain(|event| event.connection != connection);
    }

    fn poll_connection(&mut self) -> Option<ConnectionEvent> {
        self.switchboard.events.pop_front()
    }
}

impl Loopback {
    /// Brings a request to its listener, or back if there is none.
    fn ask(&mut self, id: ConnectionId, connect: &Connect<'_>, room: usize) {
        let board = &mut self.switchboard;
        let refused =
            ConnectionWhat::Rejected { why: Rejection::NoListener, private_data: PrivateData::EMPTY };
        let port = connect.space.port_of(connect.to);
        let found = board.find(connect.space, port);
        let listener = found.map(|(listener, found)| (listener, found.owner));
        let is_here = connect.to.ip() == self.address;
        let (Some((listener, owner)), true) = (listener, is_here) else {
            if let Some(found) = board.connections.get_mut(id.0) {
                found.state = State::Ended;
            }
            board.tell(id, if is_here { refused } else { ConnectionWhat::Unreachable });
            return;
        };
        let offered = Parameters {
            responder_resources: connect.parameters.initiator_depth,
            initiator_depth: connect.parameters.responder_resources,
            ..connect.parameters
        };
        let there = Connection {
            owner,
            space: connect.space,
            state: State::Asked,
            other: Some(id),
            qp: None,
            parameters: offered,
        };
        let Ok(key) = board.connections.insert(there) else {
            return board.tell(id, ConnectionWhat::Unreachable);
        };
        if let Some(found) = board.connections.get_mut(id.0) {
            found.other = Some(ConnectionId(key));
        }
        let has_addresses = connect.space != PortSpace::Sdp && connect.space.has_ports();
        let what = ConnectionWhat::Requested {
            listener,
            peer: SocketAddr::new(self.address, if has_addresses { FREE_PORTS } else { 0 }),
            local: SocketAddr::new(connect.to.ip(), port),
            parameters: offered,
            private_data: padded(connect.private_data, room).unwrap_or(PrivateData::EMPTY),
        };
        board.tell(ConnectionId(key), what);
    }

    fn resolve(&mut self, other: ConnectionId, accept: &Accept<'_>, private_data: PrivateData) {
        let qpn = self.registry.qps.get(accept.qp.0).map_or(0, |pair| pair.qpn);
        let to = Destination { address: self.address, qpn, queue_key: accept.queue_key };
        if let Some(found) = self.switchboard.connections.get_mut(other.0) {
            found.state = State::Ended;
        }
        self.switchboard.tell(other, ConnectionWhat::Resolved { to, private_data });
    }

    /// Takes a queue pair to where it sends to `to`.
    fn raise(&mut self, qp: QpId, to: QpId, parameters: &Parameters) {
        let Some(qpn) = self.registry.qps.get(to.0).map(|pair| pair.qpn) else { return };
        let peer = Peer {
            address: self.address,
            qpn,
            psn: 0,
            mtu: Mtu::Mtu4096,
            responder_resources: parameters.responder_resources,
            rnr_timer: 12,
        };
        let sending = Sending { psn: 0, ack_timeout: 14, ..Sending::default() };
        let ready = Transition::ReadyToSend {
            psn: sending.psn,
            ack_timeout: sending.ack_timeout,
            retry_count: parameters.retry_count,
            rnr_retry_count: parameters.rnr_retry_count,
            initiator_depth: parameters.initiator_depth,
        };
        for transition in [Transition::ReadyToReceive(Some(peer)), ready] {
            if self.registry.apply(qp, &transition).is_err() {
                let _ = self.registry.apply(qp, &Transition::Error);
            }
        }
    }

    /// One end learns that the connection is no more.
    fn end(&mut self, connection: ConnectionId) {
        let Some(found) = self.switchboard.connections.get_mut(connection.0) else { return };
        if found.state == State::Ended {
            return;
        }
        found.state = State::Ended;
        if let Some(qp) = found.qp {
            let _ = self.registry.apply(qp, &Transition::Error);
        }
        self.is_stirred = true;
        self.switchboard.tell(connection, ConnectionWhat::Disconnected);
    }

    fn asked(&self, connection: ConnectionId) -> Result<&Connection, ConnectError> {
        let found = self.switchboard.connections.get(connection.0).ok_or(ConnectError::NotFound)?;
        if found.state == State::Asked { Ok(found) } else { Err(ConnectError::State) }
    }

    /// A queue pair that is to be connected is of the right kind and state.
    fn check_pair(&self, space: PortSpace, qp: Option<QpId>) -> Result<(), ConnectError> {
        let Some(qp) = qp else {
            return if space == PortSpace::Udp { Ok(()) } else { Err(ConnectError::NotFound) };
        };
        let pair = self.registry.qps.get(qp.0).ok_or(ConnectError::NotFound)?;
        let is_datagram = pair.init.transport == Transport::UnreliableDatagram;
        let is_ready = is_datagram || pair.state == QpState::Initialized;
        if is_ready && is_datagram == (space == PortSpace::Udp) { Ok(()) } else { Err(ConnectError::State) }
    }
}

/// What both can do.
fn agree(offered: &Parameters, wanted: &Parameters) -> Parameters {
    Parameters {
        responder_resources: wanted.responder_resources.min(offered.responder_resources),
        initiator_depth: wanted.initiator_depth.min(offered.initiator_depth),
        ..*wanted
    }
}

/// Private data as long as its message, as it would come over a network.
fn padded(bytes: &[u8], room: usize) -> Result<PrivateData, ConnectError> {
    let mut padded = [0; PrivateData::MAX];
    let place = padded[..room].get_mut(..bytes.len()).ok_or(ConnectError::PrivateData)?;
    place.copy_from_slice(bytes);
    PrivateData::new(&padded[..room]).map_err(|_| ConnectError::PrivateData)
}

/// Ports that nobody asks for by number begin here.
const FREE_PORTS: u16 = 49_152;
/// Bytes for the peer in a REP.
const REPLY_ROOM: usize = 196;
/// Bytes for the peer in a REJ.
const REJECT_ROOM: usize = 148;
/// Bytes for the peer in a SIDR_REP.
const RESOLVED_ROOM: usize = 136;
