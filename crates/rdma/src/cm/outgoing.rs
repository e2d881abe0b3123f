//! Messages on their way out.

use super::{Connection, Manager, Outgoing};
use crate::engine::{Core, Outgoing as Packet, Sent};
use crate::transmit::{Payload, Transmitter};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use stdx::mem::Memory;
use stdx::slab::Key;
use verbs::{Parameters, PortSpace, PrivateData, QpId, Transport};
use wire::cm::{
    ConnectReply, ConnectRequest, DisconnectReply, DisconnectRequest, Gid, IpAddresses, Message,
    MessageReceiptAck, Path, PortSpace as Space, ReadyToUse, Reject, Rejected, ResolutionReply,
    ResolutionRequest, ResolutionStatus, Service, ServiceId,
};
use wire::management::Datagram;
use wire::roce::{Deth, Extension, GENERAL_SERVICES_Q_KEY, GENERAL_SERVICES_QPN, Opcode, Psn};

/// A datagram's content.
#[derive(Debug)]
pub(super) enum Content {
    /// Of our own class.
    Message { transaction: u64, message: Message },
    /// Of an agent's.
    Datagram(Datagram),
}

impl Manager {
    /// Puts messages into packets until none is left, or the run is full (`false`).
    pub(crate) fn transmit(&mut self, mem: &mut Memory, core: &mut Core, out: &mut Transmitter) -> bool {
        while let Some(outgoing) = self.out.front() {
            let deth = Deth { queue_key: GENERAL_SERVICES_Q_KEY, source: GENERAL_SERVICES_QPN };
            let packet = Packet {
                opcode: Opcode::UdSendOnly,
                extension: Extension::Datagram(deth),
                psn: self.psn,
                solicited: false,
                ack_requested: false,
            };
            let bytes = match &outgoing.content {
                Content::Message { transaction, message } => message.encode(*transaction),
                Content::Datagram(datagram) => datagram.encode(),
            };
            let payload = Payload::Bytes(&bytes);
            if core.emit_to(mem, outgoing.to, GENERAL_SERVICES_QPN, &packet, payload, out) != Sent::Something
            {
                return false;
            }
            self.psn = self.psn.next();
            self.out.pop_front();
        }
        true
    }

    /// Sends the connection's last message (again).
    pub(super) fn send_last(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let Some(message) = connection.last else { return };
        let (to, transaction) = (connection.peer, connection.transaction);
        self.send(to, transaction, message);
    }

    /// Sends a message.
    pub(super) fn send(&mut self, to: IpAddr, transaction: u64, message: Message) {
        self.push(Outgoing { to, content: Content::Message { transaction, message } });
    }

    /// Sends something. Beyond the limit it is lost, as it may be on its way.
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if self.out.len() < OUT_MAX {
            self.out.push_back(outgoing);
        }
    }

    /// Tells the peer that the connection is there.
    pub(super) fn send_ready(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let (to, transaction, remote_id) = (connection.peer, connection.transaction, connection.remote_id);
        let local_id = self.local_id(key);
        let ready = ReadyToUse { local_id, remote_id, private_data: [0; 224] };
        self.send(to, transaction, Message::ReadyToUse(ready));
    }

    /// Asks the peer to be patient: our owner takes its time (12.6.6).
    pub(super) fn send_receipt(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let (to, transaction) = (connection.peer, connection.transaction);
        let receipt = MessageReceiptAck {
            local_id: self.local_id(key),
            remote_id: connection.remote_id,
            message: Rejected::Request,
            service_timeout: SERVICE_TIMEOUT,
            private_data: [0; 222],
        };
        self.send(to, transaction, Message::MessageReceiptAck(receipt));
    }

    /// Refuses a connection.
    pub(super) fn send_reject(
        &mut self,
        to: IpAddr,
        transaction: u64,
        ids: (u32, u32),
        message: Rejected,
        reason: u16,
        private_data: [u8; 148],
    ) {
        let reject = Reject {
            local_id: ids.0,
            remote_id: ids.1,
            message,
            information_len: 0,
            reason,
            information: [0; 72],
            private_data,
        };
        self.send(to, transaction, Message::Reject(reject));
    }

    /// Tells the peer that the connection has ended.
    pub(super) fn send_disconnected(&mut self, to: IpAddr, transaction: u64, local_id: u32, remote_id: u32) {
        let reply = DisconnectReply { local_id, remote_id, private_data: [0; 224] };
        self.send(to, transaction, Message::DisconnectReply(reply));
    }

    /// REQ.
    pub(super) fn request(
        &self,
        key: Key,
        core: &Core,
        qpn: u32,
        to: SocketAddr,
        parameters: &Parameters,
        private_data: &[u8],
    ) -> Option<Message> {
        let connection = self.connections.get(key)?;
        let source = core.config.address;
        let mut bytes = [0; 92];
        match connection.space {
            // The protocol's own greeting says who asks.
            PortSpace::Sdp | PortSpace::Service(_) => {
                bytes.get_mut(..private_data.len())?.copy_from_slice(private_data);
            }
            PortSpace::Tcp | PortSpace::Ib | PortSpace::Udp => {
                fill(&mut bytes, source, to, self.next_port, private_data)?;
            }
        }
        Some(Message::ConnectRequest(ConnectRequest {
            local_id: self.local_id(key),
            service_id: service_id(connection.space, to.port()),
            ca_guid: guid(source),
            queue_key: 0,
            qpn,
            responder_resources: parameters.responder_resources,
            initiator_depth: parameters.initiator_depth,
            remote_response_timeout: RESPONSE_TIMEOUT,
            service: service(core, connection.qp)?,
            flow_control: core.config.credits,
            starting_psn: connection.psn,
            local_response_timeout: RESPONSE_TIMEOUT,
            retry_count: parameters.retry_count,
            partition_key: core.config.partition_key,
            path_mtu: core.config.mtu.code(),
            has_datagram_channel: false,
            rnr_retry_count: parameters.rnr_retry_count,
            cm_retries_max: self.retries.min(15),
            shared_receives: false,
            extended_transport: 0,
            primary: path(source, to.ip(), core.config.ack_timeout),
            alternate: Path::default(),
            private_data: bytes,
        }))
    }

    /// REP.
    pub(super) fn reply(
        &self,
        key: Key,
        core: &Core,
        qpn: u32,
        parameters: &Parameters,
        private_data: [u8; 196],
    ) -> Option<Message> {
        let connection = self.connections.get(key)?;
        Some(Message::ConnectReply(ConnectReply {
            local_id: self.local_id(key),
            remote_id: connection.remote_id,
            queue_key: 0,
            qpn,
            starting_psn: connection.psn,
            responder_resources: parameters.responder_resources,
            initiator_depth: parameters.initiator_depth,
            ack_delay: ACK_DELAY,
            failover: FAILOVER_UNSUPPORTED,
            flow_control: core.config.credits,
            rnr_retry_count: parameters.rnr_retry_count,
            shared_receives: false,
            ca_guid: guid(core.config.address),
            private_data,
        }))
    }

    /// DREQ.
    pub(super) fn disconnect_request(&self, key: Key) -> Option<Message> {
        let Connection { remote_id, remote_qpn, .. } = *self.connections.get(key)?;
        let local_id = self.local_id(key);
        let request = DisconnectRequest { local_id, remote_id, remote_qpn, private_data: [0; 220] };
        Some(Message::DisconnectRequest(request))
    }

    /// SIDR_REQ.
    pub(super) fn resolution(
        &self,
        key: Key,
        core: &Core,
        source: IpAddr,
        to: SocketAddr,
        private_data: &[u8],
    ) -> Option<Message> {
        let connection = self.connections.get(key)?;
        let mut bytes = [0; 216];
        fill(&mut bytes, source, to, self.next_port, private_data)?;
        Some(Message::ResolutionRequest(ResolutionRequest {
            request_id: self.local_id(key),
            partition_key: core.config.partition_key,
            service_id: service_id(connection.space, to.port()),
            private_data: bytes,
        }))
    }
}

/// SIDR_REP.
pub(super) fn resolved(
    request_id: u32,
    service_id: ServiceId,
    status: ResolutionStatus,
    qpn: u32,
    queue_key: u32,
    private_data: [u8; 136],
) -> Message {
    Message::ResolutionReply(ResolutionReply {
        request_id,
        status,
        information_len: 0,
        qpn,
        service_id,
        queue_key,
        information: [0; 72],
        private_data,
    })
}

/// What the queue pair is, in terms of REQ; `None` if it cannot be connected.
pub(super) fn service(core: &Core, qp: Option<QpId>) -> Option<Service> {
    match core.registry.qps.get(qp?.0)?.init.transport {
        Transport::ReliableConnection => Some(Service::ReliableConnection),
        Transport::UnreliableConnection => Some(Service::UnreliableConnection),
        Transport::UnreliableDatagram => None,
    }
}

/// The number of a port.
pub(super) fn service_id(space: PortSpace, port: u16) -> ServiceId {
    let space = match space {
        PortSpace::Tcp => Space::Tcp,
        PortSpace::Udp => Space::Udp,
        PortSpace::Ib => Space::Ib,
        PortSpace::Sdp => Space::Sdp,
        PortSpace::Service(id) => return ServiceId(id),
    };
    ServiceId::of_port(space, port)
}

/// Addresses, then the consumer's bytes.
fn fill(bytes: &mut [u8], source: IpAddr, to: SocketAddr, source_port: u16, data: &[u8]) -> Option<()> {
    let addresses = IpAddresses { source, source_port, destination: to.ip() };
    let len = addresses.encode(bytes).ok()?;
    bytes.get_mut(len..len + data.len())?.copy_from_slice(data);
    Some(())
}

fn path(source: IpAddr, destination: IpAddr, ack_timeout: u8) -> Path {
    Path {
        local_lid: NO_LID,
        remote_lid: NO_LID,
        local: Gid::from_ip(source),
        remote: Gid::from_ip(destination),
        hop_limit: 64,
        // The path takes as long there and back as our queue pairs wait (12.7.34).
        ack_timeout,
        ..Path::default()
    }
}

/// An adapter's number: made of its address, as there is no adapter.
fn guid(address: IpAddr) -> u64 {
    let Gid(bytes) = Gid::from_ip(address);
    let half = |at: usize| u64::from_be_bytes(core::array::from_fn(|byte| bytes[at + byte]));
    half(0) ^ half(8) | LOCALLY_ADMINISTERED
}

/// Bytes for a message, zeros behind them; `None` if they are too many.
pub(super) fn padded<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    bytes.get_mut(..data.len())?.copy_from_slice(data);
    Some(bytes)
}

/// A message's bytes for the consumer.
pub(super) fn private(bytes: &[u8]) -> PrivateData {
    PrivateData::new(bytes).unwrap_or(PrivateData::EMPTY)
}

/// The first packet's number.
pub(super) fn starting_psn(number: u64) -> Psn {
    Psn::new(number as u32)
}

/// Messages that wait to be sent, at most.
const OUT_MAX: usize = 4096;
/// How long an answer may take, about four seconds: 4.096 microseconds times two to this power.
const RESPONSE_TIMEOUT: u8 = 20;
/// How long an answer of our owner's may take, coded as above.
const SERVICE_TIMEOUT: u8 = 20;
/// Half of that: when the peer is asked for patience again.
pub(super) const SERVICE_INTERVAL: Duration = Duration::from_nanos(4096 << (SERVICE_TIMEOUT - 1));
/// How long we take for an acknowledgement, coded as above.
const ACK_DELAY: u8 = 15;
/// REP: there is no alternate path (12.6.8).
const FAILOVER_UNSUPPORTED: u8 = 1;
/// Where there is no LID.
const NO_LID: u16 = 0xffff;
const LOCALLY_ADMINISTERED: u64 = 0x0200_0000_0000_0000;
