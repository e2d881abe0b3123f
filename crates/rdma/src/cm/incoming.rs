//! Messages that have come.

use super::commands::raise;
use super::outgoing::{private, resolved};
use super::{Connection, Manager, State};
use crate::engine::{Arrival, Core};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::Time;
use verbs::{ConnectionWhat, Destination, ListenerId, Mtu, Parameters, Peer, PortSpace, Rejection};
use wire::cm::{
    AlternatePathResponse, CLASS, ConnectReply, ConnectRequest, DisconnectReply, DisconnectRequest,
    IpAddresses, LoadAlternatePath, MAD_LEN, Message, MessageReceiptAck, PathStatus, PortSpace as Space,
    ReadyToUse, Reject, RejectReason, Rejected, ResolutionReply, ResolutionRequest, ResolutionStatus,
    Service, ServiceId,
};
use wire::management;
use wire::roce::{Extension, GENERAL_SERVICES_Q_KEY};

impl Manager {
    /// Takes a packet for the queue pair of management: a message of ours, or a datagram for an agent.
    pub(crate) fn handle_packet(&mut self, core: &mut Core, mem: &Memory, now: Time, arrival: &Arrival) {
        let Extension::Datagram(deth) = arrival.headers.extension else {
            core.counters.bad_mads += 1;
            return;
        };
        let mut bytes = [0; MAD_LEN];
        let is_partition = core.is_partition(arrival.headers.bth.partition_key);
        if deth.queue_key != GENERAL_SERVICES_Q_KEY || !is_partition || arrival.payload.len() != MAD_LEN {
            core.counters.bad_mads += 1;
            return;
        }
        mem.read(arrival.payload, &mut bytes);
        if management::class_of(&bytes) != Some(CLASS) {
            return self.take_datagram(core, arrival.from, &bytes);
        }
        match Message::decode(&bytes) {
            Ok((transaction, message)) => self.handle_message(core, now, arrival.from, transaction, &message),
            Err(_) => core.counters.bad_mads += 1,
        }
    }

    fn handle_message(
        &mut self,
        core: &mut Core,
        now: Time,
        from: IpAddr,
        transaction: u64,
        message: &Message,
    ) {
        match message {
            Message::ConnectRequest(request) => self.handle_request(core, now, from, transaction, request),
            Message::MessageReceiptAck(receipt) => self.handle_receipt(now, from, receipt),
            Message::Reject(reject) => self.handle_reject(core, from, reject),
            Message::ConnectReply(reply) => self.handle_reply(core, from, transaction, reply),
            Message::ReadyToUse(ready) => self.handle_ready(from, ready),
            Message::DisconnectRequest(request) => {
                self.handle_disconnect(core, now, from, transaction, request);
            }
            Message::DisconnectReply(reply) => self.handle_disconnected(now, from, reply),
            Message::ResolutionRequest(request) => self.handle_resolution(core, from, transaction, request),
            Message::ResolutionReply(reply) => self.handle_resolved(from, reply),
            Message::LoadAlternatePath(path) => self.handle_path(from, transaction, path),
            // We never ask for one.
            Message::AlternatePathResponse(_) => core.counters.bad_mads += 1,
        }
    }

    /// REQ: somebody wants a connection.
    fn handle_request(
        &mut self,
        core: &mut Core,
        now: Time,
        from: IpAddr,
        transaction: u64,
        request: &ConnectRequest,
    ) {
        if let Some(key) = self.by_peer.get(&(from, request.local_id)).copied()
            && !planted(Bug::RequestToldTwice)
        {
            return self.repeat_answer(key);
        }
        if let Some(key) = self.by_remote_pair.get(&(from, request.qpn)).copied() {
            let rejected = (Rejected::Request, (0, request.local_id));
            return self.end_stale(core, key, from, transaction, rejected);
        }
        let mut refuse = |reason: RejectReason| {
            let ids = (0, request.local_id);
            self.send_reject(from, transaction, ids, Rejected::Request, reason.code(), [0; 148]);
        };
        let Some((space, port)) = place(request.service_id) else {
            return refuse(RejectReason::InvalidServiceId);
        };
        let is_known = match request.service {
            Service::ReliableConnection | Service::UnreliableConnection => true,
            Service::ReliableDatagram | Service::Extended => false,
        };
        if !is_known {
            return refuse(RejectReason::InvalidTransportService);
        }
        let mtu = Mtu::from_code(request.path_mtu).filter(|mtu| *mtu <= core.config.mtu);
        if mtu.is_none() {
            return refuse(RejectReason::InvalidPathMtu);
        }
        let found = self.listener(space, port).map(|(listener, found)| (listener, found.owner));
        let (Some((listener, owner)), Some((source_port, data)), true) =
            (found, asker(space, &request.private_data), space != PortSpace::Udp)
        else {
            let ids = (0, request.local_id);
            let reason = RejectReason::InvalidServiceId.code();
            return self.send_reject(from, transaction, ids, Rejected::Request, reason, [0; 148]);
        };
        let depth_max = core.config.limits.read_depth;
        let parameters = Parameters {
            responder_resources: request.initiator_depth.min(depth_max),
            initiator_depth: request.responder_resources.min(depth_max),
            retry_count: request.retry_count,
            rnr_retry_count: request.rnr_retry_count,
        };
        let asked = Asked {
            from,
            transaction,
            remote_id: request.local_id,
            message: Message::ConnectRequest(*request),
            space,
            owner,
            parameters,
        };
        let Some(key) = self.ask(asked) else { return };
        self.set_due(key, Some(now + self.timeout / 2));
        let what = ConnectionWhat::Requested {
            listener: ListenerId(listener),
            peer: SocketAddr::new(from, source_port),
            local: SocketAddr::new(core.config.address, port),
            parameters,
            private_data: private(data),
        };
        self.tell(key, what);
    }

    /// A request that came before: its answer is lost or on its way (12.9.8.3.1), or our owner takes its time.
    fn repeat_answer(&mut self, key: Key) {
        let Some(found) = self.connections.get(key) else { return };
        match found.state {
            State::Replied => self.send_last(key),
            State::Asked => self.send_receipt(key),
            State::Asking | State::Established | State::Disconnecting | State::TimeWait | State::Ended => {}
        }
    }

    /// The peer asks or answers with a queue pair that is connected as far as we know: it has forgotten that connection, which
    /// ends now; the peer may try again (12.9.8.3.1).
    fn end_stale(
        &mut self,
        core: &mut Core,
        key: Key,
        from: IpAddr,
        transaction: u64,
        (message, ids): (Rejected, (u32, u32)),
    ) {
        let reason = RejectReason::StaleConnection.code();
        self.send_reject(from, transaction, ids, message, reason, [0; 148]);
        // It may be ending already.
        let _ = self.disconnect(core, verbs::ConnectionId(key));
    }

    /// MRA: the answer takes longer.
    fn handle_receipt(&mut self, now: Time, from: IpAddr, receipt: &MessageReceiptAck) {
        let Some(key) = self.by_local_id(receipt.remote_id) else { return };
        let Some(connection) = self.connections.get(key) else { return };
        let waits = matches!(connection.state, State::Asking | State::Replied);
        if waits && connection.peer == from {
            let longer = Duration::from_nanos(4096 << receipt.service_timeout).min(PATIENCE_MAX);
            self.set_due(key, Some(now + longer));
        }
    }

    /// REJ: there will be no connection.
    fn handle_reject(&mut self, core: &mut Core, from: IpAddr, reject: &Reject) {
        let Some(key) = self.by_local_id(reject.remote_id) else { return };
        let Some(connection) = self.connections.get(key) else { return };
        if connection.peer != from {
            return;
        }
        match connection.state {
            State::Asking => {}
            // An answer that was refused, or a connection that the peer knows nothing of any more.
            State::Replied | State::Established if reject.local_id == connection.remote_id => {
                self.break_pair(core, key);
                return self.end(key, Some(ConnectionWhat::Disconnected));
            }
            _ => return,
        }
        let why = match RejectReason::from_code(reject.reason) {
            Some(RejectReason::InvalidServiceId) => Rejection::NoListener,
            Some(RejectReason::Consumer) => Rejection::Consumer,
            _ => Rejection::Other(reject.reason),
        };
        let private_data = private(&reject.private_data);
        self.end(key, Some(ConnectionWhat::Rejected { why, private_data }));
    }

    /// REP: the connection is accepted.
    fn handle_reply(&mut self, core: &mut Core, from: IpAddr, transaction: u64, reply: &ConnectReply) {
        let Some(key) = self.by_local_id(reply.remote_id) else { return };
        let Some(connection) = self.connections.get(key) else { return };
        if connection.peer != from {
            return;
        }
        match connection.state {
            State::Asking => {}
            // It came before, and our RTU was lost.
            State::Established if connection.remote_id == reply.local_id => return self.send_ready(key),
            _ => return,
        }
        let wanted = connection.parameters;
        if let Some(old) = self.by_remote_pair.get(&(from, reply.qpn)).copied() {
            let rejected = (Rejected::Reply, (reply.remote_id, reply.local_id));
            self.end_stale(core, old, from, transaction, rejected);
            let (why, private_data) = (Rejection::Other(RejectReason::StaleConnection.code()), private(&[]));
            return self.end(key, Some(ConnectionWhat::Rejected { why, private_data }));
        }
        let agreed = Parameters {
            responder_resources: wanted.responder_resources.min(reply.initiator_depth),
            initiator_depth: wanted.initiator_depth.min(reply.responder_resources),
            retry_count: wanted.retry_count,
            rnr_retry_count: reply.rnr_retry_count,
        };
        let peer = Peer {
            address: from,
            qpn: reply.qpn,
            psn: connection.psn.value(),
            mtu: core.config.mtu,
            responder_resources: agreed.responder_resources,
            rnr_timer: core.config.rnr_timer,
        };
        let (psn, ack_timeout) = (reply.starting_psn.value(), core.config.ack_timeout);
        let raised = connection.qp.and_then(|qp| raise(core, qp, peer, psn, ack_timeout, &agreed));
        if raised.is_none() {
            let ids = (reply.remote_id, reply.local_id);
            let reason = RejectReason::NoQueuePair.code();
            self.send_reject(from, transaction, ids, Rejected::Reply, reason, [0; 148]);
            return self.end(key, Some(ConnectionWhat::Unreachable));
        }
        if let Some(found) = self.connections.get_mut(key) {
            (found.remote_id, found.remote_qpn, found.parameters) = (reply.local_id, reply.qpn, agreed);
        }
        self.by_peer.insert((from, reply.local_id), key);
        self.enter_tables(key);
        self.send_ready(key);
        self.establish(key, private(&reply.private_data));
    }

    /// RTU: the peer knows that the connection is there.
    fn handle_ready(&mut self, from: IpAddr, ready: &ReadyToUse) {
        let Some(key) = self.named(from, ready.remote_id, ready.local_id) else { return };
        if self.connections.get(key).is_some_and(|found| found.state == State::Replied) {
            self.establish(key, private(&ready.private_data));
        }
    }

    /// DREQ: the peer ends the connection.
    fn handle_disconnect(
        &mut self,
        core: &mut Core,
        now: Time,
        from: IpAddr,
        transaction: u64,
        request: &DisconnectRequest,
    ) {
        let Some(key) = self.named(from, request.remote_id, request.local_id) else {
            // A connection that we have forgotten has ended.
            return self.send_disconnected(from, transaction, request.remote_id, request.local_id);
        };
        let Some(connection) = self.connections.get(key) else { return };
        let pair = connection.qp.and_then(|qp| core.registry.qps.get(qp.0));
        if pair.is_some_and(|pair| pair.qpn != request.remote_qpn) {
            return;
        }
        let state = connection.state;
        match state {
            State::Replied | State::Established | State::Disconnecting => {
                self.break_pair(core, key);
                self.wait(key, now, Some(ConnectionWhat::Disconnected));
            }
            State::TimeWait => {}
            State::Asking | State::Asked | State::Ended => return,
        }
        self.send_disconnected(from, transaction, request.remote_id, request.local_id);
    }

    /// DREP: the connection has ended.
    fn handle_disconnected(&mut self, now: Time, from: IpAddr, reply: &DisconnectReply) {
        let Some(key) = self.named(from, reply.remote_id, reply.local_id) else { return };
        if self.connections.get(key).is_some_and(|found| found.state == State::Disconnecting) {
            self.wait(key, now, Some(ConnectionWhat::Disconnected));
        }
    }

    /// SIDR_REQ: somebody asks for a datagram service.
    fn handle_resolution(
        &mut self,
        core: &Core,
        from: IpAddr,
        transaction: u64,
        request: &ResolutionRequest,
    ) {
        if let Some(key) = self.by_peer.get(&(from, request.request_id)).copied() {
            if self.connections.get(key).is_some_and(|found| found.state == State::TimeWait) {
                self.send_last(key);
            }
            return;
        }
        let port = match request.service_id.port() {
            Some((Space::Udp, port)) => Some(port),
            Some(_) | None => None,
        };
        let found = port.and_then(|port| self.listener(PortSpace::Udp, port));
        let found = found.map(|(listener, found)| (listener, found.owner));
        let (Some(port), Some((listener, owner))) = (port, found) else {
            let (id, service) = (request.request_id, request.service_id);
            let status = ResolutionStatus::InvalidServiceId;
            let refusal = resolved(id, service, status, 0, 0, [0; 136]);
            return self.send(from, transaction, refusal);
        };
        let Ok(addresses) = IpAddresses::decode(&request.private_data) else { return };
        let parameters = Parameters::default();
        let asked = Asked {
            from,
            transaction,
            remote_id: request.request_id,
            message: Message::ResolutionRequest(*request),
            space: PortSpace::Udp,
            owner,
            parameters,
        };
        let Some(key) = self.ask(asked) else { return };
        let what = ConnectionWhat::Requested {
            listener: ListenerId(listener),
            peer: SocketAddr::new(from, addresses.source_port),
            local: SocketAddr::new(core.config.address, port),
            parameters,
            private_data: private(request.private_data.get(IpAddresses::LEN..).unwrap_or(&[])),
        };
        self.tell(key, what);
    }

    /// SIDR_REP: where the datagram service is.
    fn handle_resolved(&mut self, from: IpAddr, reply: &ResolutionReply) {
        let Some(key) = self.by_local_id(reply.request_id) else { return };
        let Some(connection) = self.connections.get(key) else { return };
        let is_asking = connection.state == State::Asking && connection.space == PortSpace::Udp;
        if connection.peer != from || !is_asking {
            return;
        }
        let private_data = private(&reply.private_data);
        let why = match reply.status {
            ResolutionStatus::Valid => {
                let to = Destination { address: from, qpn: reply.qpn, queue_key: reply.queue_key };
                return self.end(key, Some(ConnectionWhat::Resolved { to, private_data }));
            }
            ResolutionStatus::InvalidServiceId => Rejection::NoListener,
            ResolutionStatus::Rejected => Rejection::Consumer,
            ResolutionStatus::NoQueuePair
            | ResolutionStatus::Redirect
            | ResolutionStatus::UnsupportedVersion => Rejection::Other(u16::from(reply.status.code())),
        };
        self.end(key, Some(ConnectionWhat::Rejected { why, private_data }));
    }

    /// LAP: there is one path only (12.8).
    fn handle_path(&mut self, from: IpAddr, transaction: u64, path: &LoadAlternatePath) {
        let Some(key) = self.named(from, path.remote_id, path.local_id) else { return };
        let local_id = self.local_id(key);
        let response = AlternatePathResponse {
            local_id,
            remote_id: path.local_id,
            information_len: 0,
            status: PathStatus::Unsupported,
            information: [0; 72],
            private_data: [0; 148],
        };
        self.send(from, transaction, Message::AlternatePathResponse(response));
    }

    /// The connection that both ends' numbers and the peer's address name.
    fn named(&self, from: IpAddr, local_id: u32, remote_id: u32) -> Option<Key> {
        let key = self.by_local_id(local_id)?;
        let connection = self.connections.get(key)?;
        (connection.peer == from && connection.remote_id == remote_id).then_some(key)
    }

    /// Takes down a request, unless too many wait already: then it is dropped, and may come again.
    fn ask(&mut self, asked: Asked) -> Option<Key> {
        if self.asked >= self.backlog {
            return None;
        }
        let connection = Connection {
            owner: asked.owner,
            space: asked.space,
            state: State::Asked,
            peer: asked.from,
            remote_id: asked.remote_id,
            remote_qpn: 0,
            transaction: asked.transaction,
            qp: None,
            psn: wire::roce::Psn::default(),
            parameters: asked.parameters,
            last: Some(asked.message),
            tries: 0,
            due: None,
            is_released: false,
        };
        let key = self.connections.insert(connection).ok()?;
        self.by_peer.insert((asked.from, asked.remote_id), key);
        self.asked += 1;
        Some(key)
    }
}

/// A request that has come.
struct Asked {
    from: IpAddr,
    transaction: u64,
    remote_id: u32,
    message: Message,
    space: PortSpace,
    owner: stdx::env::Owner,
    parameters: Parameters,
}

/// The port that a request comes from, and the consumer's bytes; `None` if it has no addresses though it must.
fn asker(space: PortSpace, private_data: &[u8]) -> Option<(u16, &[u8])> {
    match space {
        PortSpace::Sdp | PortSpace::Service(_) => Some((0, private_data)),
        PortSpace::Tcp | PortSpace::Ib | PortSpace::Udp => {
            let addresses = IpAddresses::decode(private_data).ok()?;
            Some((addresses.source_port, private_data.get(IpAddresses::LEN..)?))
        }
    }
}

/// What a number of a service stands for, if it can be listened on.
fn place(service: ServiceId) -> Option<(PortSpace, u16)> {
    let Some((space, port)) = service.port() else {
        let space = PortSpace::Service(service.0);
        return space.is_sound().then_some((space, 0));
    };
    let space = match space {
        Space::Tcp => PortSpace::Tcp,
        Space::Udp => PortSpace::Udp,
        Space::Ib => PortSpace::Ib,
        Space::Sdp => PortSpace::Sdp,
        Space::Ipoib => return None,
    };
    Some((space, port))
}

/// However long a peer asks us to wait.
const PATIENCE_MAX: Duration = Duration::from_secs(60);
