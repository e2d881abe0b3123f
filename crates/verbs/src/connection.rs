//! Connections between queue pairs (chapter 12), in terms of addresses and ports of the Internet protocol (annex A11).

use crate::{ConnectError, Destination, QpId};
use core::net::{IpAddr, SocketAddr};
use stdx::env::{Env, Owner};
use thiserror::Error;

/// Finding peers, and connecting queue pairs with them.
///
/// Queue pairs that are connected here are moved through their states by the provider: they are handed over in
/// [`QpState::Initialized`](crate::QpState) (so that receives can be posted first) and are
/// [`QpState::ReadyToSend`](crate::QpState) when [`ConnectionWhat::Established`] is told; when
/// [`ConnectionWhat::Disconnected`] is told they are in [`QpState::Error`](crate::QpState).
///
/// With [`PortSpace::Udp`] nothing is connected: [`Connections::connect`] asks which datagram queue pair serves a port
/// (SIDR, 12.11), and accepting answers with one.
pub trait Connections {
    /// Waits for requests to a port; port 0 takes a free one. Events go to `owner`.
    fn listen(
        &mut self,
        owner: Owner,
        space: PortSpace,
        address: SocketAddr,
    ) -> Result<ListenerId, ConnectError>;

    /// The address that is listened on.
    fn listener_address(&self, listener: ListenerId) -> Option<SocketAddr>;

    /// Waits no more. Requests that were told stay.
    fn close_listener(&mut self, listener: ListenerId);

    /// Asks for a connection. [`ConnectionWhat::Established`], [`ConnectionWhat::Rejected`] or
    /// [`ConnectionWhat::Unreachable`] follows.
    fn connect(
        &mut self,
        env: &mut dyn Env,
        owner: Owner,
        connect: &Connect<'_>,
    ) -> Result<ConnectionId, ConnectError>;

    /// Answers a request with yes. [`ConnectionWhat::Established`] follows once the peer knows, with events to `owner`.
    fn accept(
        &mut self,
        env: &mut dyn Env,
        owner: Owner,
        connection: ConnectionId,
        accept: &Accept<'_>,
    ) -> Result<(), ConnectError>;

    /// Answers a request with no. The connection is gone then.
    fn reject(&mut self, connection: ConnectionId, private_data: &[u8]) -> Result<(), ConnectError>;

    /// Ends a connection, or gives up asking for one. [`ConnectionWhat::Disconnected`] follows.
    fn disconnect(&mut self, connection: ConnectionId) -> Result<(), ConnectError>;

    /// Forgets a connection that was told to have ended, or answered with no; its id means nothing from now on. One that is
    /// still there is ended first, and nothing more is told of it.
    fn release(&mut self, connection: ConnectionId);

    /// The next thing that happened.
    fn poll_connection(&mut self) -> Option<ConnectionEvent>;
}

/// A listener.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub stdx::slab::Key);

/// A connection, asked for or there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub stdx::slab::Key);

/// Which ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortSpace {
    /// Of connections.
    Tcp,
    /// Of datagrams.
    Udp,
    /// Of InfiniBand's own services.
    Ib,
    /// Of connections of the Sockets Direct Protocol (A4.3.1): a request has no header of addresses before its private data, so
    /// the peer's port is told as 0. What the protocol puts there says who asks.
    Sdp,
    /// No ports, but one service of InfiniBand's by its number (12.7.3), outside of the numbers that ports have. A request has no
    /// header of addresses; ports of addresses mean nothing, and are told as 0.
    Service(u64),
}

impl PortSpace {
    /// Whether it can be asked for and listened on: numbers of services whose upper half is zero are those of ports.
    pub const fn is_sound(self) -> bool {
        match self {
            Self::Tcp | Self::Udp | Self::Ib | Self::Sdp => true,
            Self::Service(id) => id >> 32 != 0,
        }
    }

    /// The port of an address that is meant: 0 where there are none.
    pub const fn port_of(self, address: SocketAddr) -> u16 {
        match self {
            Self::Tcp | Self::Udp | Self::Ib | Self::Sdp => address.port(),
            Self::Service(_) => 0,
        }
    }

    /// Whether port 0 asks for a free one.
    pub const fn has_ports(self) -> bool {
        !matches!(self, Self::Service(_))
    }

    /// Bytes for the peer in a request: what its message holds, less the header of addresses (A11.4).
    pub const fn request_room(self) -> usize {
        match self {
            Self::Tcp | Self::Ib => 56,
            Self::Sdp | Self::Service(_) => 92,
            Self::Udp => 180,
        }
    }
}

/// A connection to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Which ports.
    pub space: PortSpace,
    /// To whom.
    pub to: SocketAddr,
    /// From which address of ours; `None` for the provider's choice.
    pub from: Option<IpAddr>,
    /// The queue pair to connect; of no meaning for [`PortSpace::Udp`].
    pub qp: Option<QpId>,
    /// What we want.
    pub parameters: Parameters,
    /// Bytes for the peer: at most [`PortSpace::request_room`].
    pub private_data: &'a [u8],
}

/// A yes.
#[derive(Clone, Copy, Debug)]
pub struct Accept<'a> {
    /// The queue pair.
    pub qp: QpId,
    /// What we want; less than was offered is what both have then.
    pub parameters: Parameters,
    /// For datagrams, the key that the queue pair asks for.
    pub queue_key: u32,
    /// Bytes for the peer: at most 196, with datagrams 136.
    pub private_data: &'a [u8],
}

/// What a connection is to be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// The peer's reads and atomics that we answer at once.
    pub responder_resources: u8,
    /// Reads and atomics that we have under way at once.
    pub initiator_depth: u8,
    /// How often a request is sent again for want of an answer, 0 to 7.
    pub retry_count: u8,
    /// How often a request is sent again for want of a receive, 0 to 7; 7 is for ever.
    pub rnr_retry_count: u8,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { responder_resources: 16, initiator_depth: 16, retry_count: 7, rnr_retry_count: 7 }
    }
}

/// Something happened to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionEvent {
    /// Whose it is.
    pub owner: Owner,
    /// Which one.
    pub connection: ConnectionId,
    /// What happened.
    pub what: ConnectionWhat,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionWhat {
    /// Someone asks for a connection: answer with [`Connections::accept`] or [`Connections::reject`].
    Requested {
        /// At which listener.
        listener: ListenerId,
        /// Who.
        peer: SocketAddr,
        /// The address of ours that was asked.
        local: SocketAddr,
        /// What they want, from our side: their depth is our resources.
        parameters: Parameters,
        /// Their bytes.
        private_data: PrivateData,
    },
    /// The connection is there; the queue pair sends.
    Established {
        /// What was agreed.
        parameters: Parameters,
        /// The peer's bytes.
        private_data: PrivateData,
    },
    /// The datagram service was found.
    Resolved {
        /// Where datagrams go.
        to: Destination,
        /// The peer's bytes.
        private_data: PrivateData,
    },
    /// The answer was no.
    Rejected {
        /// Why.
        why: Rejection,
        /// The peer's bytes.
        private_data: PrivateData,
    },
    /// There was no answer.
    Unreachable,
    /// The connection has ended; the queue pair is in error.
    Disconnected,
}

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// Nobody listens there.
    NoListener,
    /// The listener said no.
    Consumer,
    /// A number of the standard (table 110).
    Other(u16),
}

/// Bytes that come with a message: as long as the message has room for, whatever its sender put there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PrivateData {
    bytes: [u8; Self::MAX],
    len: u8,
}

/// There are more bytes than a message can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{len} bytes of private data are more than {}", PrivateData::MAX)]
pub struct PrivateDataTooLong {
    /// How many.
    pub len: usize,
}

impl PrivateData {
    /// The most that any message carries.
    pub const MAX: usize = 224;

    /// None.
    pub const EMPTY: Self = Self { bytes: [0; Self::MAX], len: 0 };

    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self, PrivateDataTooLong> {
        let mut data = Self::EMPTY;
        let place = data.bytes.get_mut(..bytes.len()).ok_or(PrivateDataTooLong { len: bytes.len() })?;
        place.copy_from_slice(bytes);
        data.len = bytes.len() as u8;
        Ok(data)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl core::fmt::Debug for PrivateData {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PrivateData({:02x?})", self.bytes())
    }
}
