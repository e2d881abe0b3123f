//! What our owner wants.

use super::outgoing::{padded, resolved, service_id, starting_psn};
use super::{Connection, FREE_PORTS, Listener, Manager, State};
use crate::engine::Core;
use core::net::SocketAddr;
use stdx::env::Owner;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::Time;
use verbs::{
    Accept, Connect, ConnectError, ConnectionId, ListenerId, Mtu, Parameters, Peer, PortSpace, QpId, QpState,
    Transition, Transport,
};
use wire::cm::{Message, RejectReason, Rejected, ResolutionStatus, ServiceId};

impl Manager {
    /// See [`verbs::Connections::listen`].
    pub(crate) fn listen(
        &mut self,
        core: &Core,
        owner: Owner,
        space: PortSpace,
        mut address: SocketAddr,
    ) -> Result<ListenerId, ConnectError> {
        if address.ip() != core.config.address && !address.ip().is_unspecified() || !space.is_sound() {
            return Err(ConnectError::Address);
        }
        address.set_port(space.port_of(address));
        if address.port() == 0 && space.has_ports() {
            address.set_port(self.free_port(space)?);
        } else if self.listener(space, address.port()).is_some() {
            return Err(ConnectError::InUse);
        }
        let listener = Listener { owner, space, address };
        self.listeners.insert(listener).map(ListenerId).map_err(|_| ConnectError::Limit)
    }

    /// See [`verbs::Connections::listener_address`].
    pub(crate) fn listener_address(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.listeners.get(listener.0).map(|listener| listener.address)
    }

    /// See [`verbs::Connections::close_listener`].
    pub(crate) fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.remove(listener.0);
    }

    /// See [`verbs::Connections::connect`].
    pub(crate) fn connect(
        &mut self,
        core: &mut Core,
        owner: Owner,
        connect: &Connect<'_>,
    ) -> Result<ConnectionId, ConnectError> {
        if connect.private_data.len() > connect.space.request_room() {
            return Err(ConnectError::PrivateData);
        }
        let ours = core.config.address;
        let is_ours = connect.from.is_none_or(|from| from == ours);
        if !is_ours || connect.to.is_ipv4() != ours.is_ipv4() || !connect.space.is_sound() {
            return Err(ConnectError::Address);
        }
        let qpn = check_pair(core, connect.space, connect.qp)?;
        let connection = Connection {
            owner,
            space: connect.space,
            state: State::Asking,
            peer: connect.to.ip(),
            remote_id: 0,
            remote_qpn: 0,
            transaction: self.numbers.next_u64(),
            qp: connect.qp,
            psn: starting_psn(self.numbers.next_u64()),
            parameters: connect.parameters,
            last: None,
            tries: 0,
            due: None,
            is_released: false,
        };
        let key = self.connections.insert(connection).map_err(|_| ConnectError::Limit)?;
        self.next_port = self.next_port.checked_add(1).unwrap_or(FREE_PORTS);
        let message = match connect.space {
            PortSpace::Udp => self.resolution(key, core, ours, connect.to, connect.private_data),
            PortSpace::Tcp | PortSpace::Ib | PortSpace::Sdp | PortSpace::Service(_) => {
                self.request(key, core, qpn, connect.to, &connect.parameters, connect.private_data)
            }
        };
        self.set_last(key, message);
        Ok(ConnectionId(key))
    }

    /// See [`verbs::Connections::accept`].
    pub(crate) fn accept(
        &mut self,
        core: &mut Core,
        now: Time,
        owner: Owner,
        connection: ConnectionId,
        accept: &Accept<'_>,
    ) -> Result<(), ConnectError> {
        let key = connection.0;
        let asked = self.asked(key)?;
        let (space, offered, request) = (asked.space, asked.parameters, asked.last);
        if space == PortSpace::Udp {
            return self.accept_datagrams(core, now, key, accept);
        }
        let private_data = padded(accept.private_data).ok_or(ConnectError::PrivateData)?;
        let qpn = check_pair(core, space, Some(accept.qp))?;
        let Some(Message::ConnectRequest(request)) = request else { return Err(ConnectError::State) };
        if super::outgoing::service(core, Some(accept.qp)) != Some(request.service) {
            return Err(ConnectError::State);
        }
        let agreed = Parameters {
            responder_resources: accept.parameters.responder_resources.min(offered.responder_resources),
            initiator_depth: accept.parameters.initiator_depth.min(offered.initiator_depth),
            retry_count: request.retry_count,
            rnr_retry_count: request.rnr_retry_count,
        };
        let psn = starting_psn(self.numbers.next_u64());
        let first = if planted(Bug::StartingPsnsConfused) { psn } else { request.starting_psn };
        let peer = Peer {
            address: asked_peer(self, key),
            qpn: request.qpn,
            psn: psn.value(),
            mtu: Mtu::from_code(request.path_mtu).unwrap_or(Mtu::Mtu256),
            responder_resources: agreed.responder_resources,
            rnr_timer: core.config.rnr_timer,
        };
        raise(core, accept.qp, peer, first.value(), request.primary.ack_timeout, &agreed)
            .ok_or(ConnectError::State)?;
        if let Some(found) = self.connections.get_mut(key) {
            (found.owner, found.qp, found.psn) = (owner, Some(accept.qp), psn);
            (found.state, found.parameters, found.remote_qpn) = (State::Replied, agreed, request.qpn);
        }
        self.enter_tables(key);
        self.asked -= 1;
        let told = Parameters { rnr_retry_count: accept.parameters.rnr_retry_count, ..agreed };
        let reply = self.reply(key, core, qpn, &told, private_data);
        self.set_last(key, reply);
        Ok(())
    }

    fn accept_datagrams(
        &mut self,
        core: &Core,
        now: Time,
        key: Key,
        accept: &Accept<'_>,
    ) -> Result<(), ConnectError> {
        let private_data = padded(accept.private_data).ok_or(ConnectError::PrivateData)?;
        let qpn = check_pair(core, PortSpace::Udp, Some(accept.qp))?;
        self.answer_resolution(key, ResolutionStatus::Valid, qpn, accept.queue_key, private_data, now);
        Ok(())
    }

    /// See [`verbs::Connections::reject`].
    pub(crate) fn reject(
        &mut self,
        connection: ConnectionId,
        private_data: &[u8],
    ) -> Result<(), ConnectError> {
        let key = connection.0;
        let asked = self.asked(key)?;
        let (to, transaction, remote_id) = (asked.peer, asked.transaction, asked.remote_id);
        if asked.space == PortSpace::Udp {
            let private_data = padded(private_data).ok_or(ConnectError::PrivateData)?;
            self.answer_resolution(key, ResolutionStatus::Rejected, 0, 0, private_data, Time::ZERO);
            return Ok(());
        }
        let private_data = padded(private_data).ok_or(ConnectError::PrivateData)?;
        let ids = (self.local_id(key), remote_id);
        let reason = RejectReason::Consumer.code();
        self.send_reject(to, transaction, ids, Rejected::Request, reason, private_data);
        self.release_quietly(key);
        self.end(key, None);
        Ok(())
    }

    /// See [`verbs::Connections::disconnect`].
    pub(crate) fn disconnect(
        &mut self,
        core: &mut Core,
        connection: ConnectionId,
    ) -> Result<(), ConnectError> {
        let key = connection.0;
        let found = self.connections.get(key).ok_or(ConnectError::NotFound)?;
        match found.state {
            State::Replied | State::Established => {
                self.break_pair(core, key);
                let request = self.disconnect_request(key);
                if let Some(found) = self.connections.get_mut(key) {
                    (found.state, found.tries) = (State::Disconnecting, 0);
                }
                self.set_last(key, request);
            }
            State::Asking => {
                self.break_pair(core, key);
                self.end(key, Some(verbs::ConnectionWhat::Disconnected));
            }
            State::Asked | State::Disconnecting | State::TimeWait | State::Ended => {
                return Err(ConnectError::State);
            }
        }
        Ok(())
    }

    /// See [`verbs::Connections::release`].
    pub(crate) fn release(&mut self, core: &mut Core, connection: ConnectionId) {
        let key = connection.0;
        self.events.retain(|event| event.connection != connection);
        let Some(state) = self.connections.get(key).map(|found| found.state) else { return };
        match state {
            State::Asked => {
                let _ = self.reject(connection, &[]);
            }
            State::Asking | State::Replied | State::Established => {
                self.release_quietly(key);
                let _ = self.disconnect(core, connection);
            }
            State::Disconnecting | State::TimeWait => self.release_quietly(key),
            State::Ended => {
                self.connections.remove(key);
            }
        }
    }

    /// Keeps the answer for a while: the question may come again.
    fn answer_resolution(
        &mut self,
        key: Key,
        status: ResolutionStatus,
        qpn: u32,
        queue_key: u32,
        private_data: [u8; 136],
        now: Time,
    ) {
        let Some(found) = self.connections.get(key) else { return };
        let (to, transaction, request_id) = (found.peer, found.transaction, found.remote_id);
        let service: ServiceId = match found.last {
            Some(Message::ResolutionRequest(request)) => request.service_id,
            _ => service_id(found.space, 0),
        };
        let message = resolved(request_id, service, status, qpn, queue_key, private_data);
        self.send(to, transaction, message);
        self.release_quietly(key);
        self.asked -= 1;
        if let Some(found) = self.connections.get_mut(key) {
            found.last = Some(message);
            found.state = State::TimeWait;
        }
        self.wait(key, now, None);
    }

    fn release_quietly(&mut self, key: Key) {
        if let Some(found) = self.connections.get_mut(key) {
            found.is_released = true;
        }
    }

    /// The message is sent on the next turn, and again until it is answered.
    fn set_last(&mut self, key: Key, message: Option<Message>) {
        if let Some(found) = self.connections.get_mut(key) {
            (found.last, found.tries) = (message, 0);
        }
        self.set_due(key, Some(Time::ZERO));
    }

    fn asked(&self, key: Key) -> Result<&Connection, ConnectError> {
        let found = self.connections.get(key).ok_or(ConnectError::NotFound)?;
        if found.state == State::Asked { Ok(found) } else { Err(ConnectError::State) }
    }

    fn free_port(&mut self, space: PortSpace) -> Result<u16, ConnectError> {
        for _ in FREE_PORTS..u16::MAX {
            self.next_port = self.next_port.checked_add(1).unwrap_or(FREE_PORTS);
            if self.listener(space, self.next_port).is_none() {
                return Ok(self.next_port);
            }
        }
        Err(ConnectError::Limit)
    }
}

/// Takes a queue pair to where it sends; `None`, and it is in error, if it cannot go there.
pub(super) fn raise(
    core: &mut Core,
    qp: QpId,
    peer: Peer,
    psn: u32,
    ack_timeout: u8,
    parameters: &Parameters,
) -> Option<()> {
    let ready = Transition::ReadyToSend {
        psn,
        ack_timeout,
        retry_count: parameters.retry_count & 7,
        rnr_retry_count: parameters.rnr_retry_count & 7,
        initiator_depth: parameters.initiator_depth,
    };
    core.modify(qp, &Transition::ReadyToReceive(Some(peer))).ok()?;
    if core.modify(qp, &ready).is_err() {
        let _ = core.modify(qp, &Transition::Error);
        return None;
    }
    Some(())
}

fn asked_peer(manager: &Manager, key: Key) -> core::net::IpAddr {
    let unspecified = core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
    manager.connections.get(key).map_or(unspecified, |found| found.peer)
}

/// The number of a queue pair that is to be connected, if it is of the right kind and state.
fn check_pair(core: &Core, space: PortSpace, qp: Option<QpId>) -> Result<u32, ConnectError> {
    let Some(qp) = qp else {
        return if space == PortSpace::Udp { Ok(0) } else { Err(ConnectError::NotFound) };
    };
    let pair = core.registry.qps.get(qp.0).ok_or(ConnectError::NotFound)?;
    let is_fitting = match pair.init.transport {
        Transport::UnreliableDatagram => space == PortSpace::Udp,
        Transport::ReliableConnection | Transport::UnreliableConnection => {
            space != PortSpace::Udp && pair.state == QpState::Initialized
        }
    };
    if is_fitting { Ok(pair.qpn) } else { Err(ConnectError::State) }
}
