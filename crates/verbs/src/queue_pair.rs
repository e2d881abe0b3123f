//! Queue pairs: how they are made, and their states (10.2.4, 10.3.1).

use crate::{Access, CqId, Key, PdId, SrqId};
use core::net::IpAddr;

/// Which service a queue pair gives (9.7, 9.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Everything arrives, once and in order, or the queue pair goes into error.
    ReliableConnection,
    /// Messages arrive whole or not at all.
    UnreliableConnection,
    /// Packets to and from anyone.
    UnreliableDatagram,
}

/// A queue pair to be made.
#[derive(Clone, Copy, Debug)]
pub struct QpInit {
    /// Its protection domain.
    pub pd: PdId,
    /// Its service.
    pub transport: Transport,
    /// Where sends complete.
    pub send_cq: CqId,
    /// Where receives complete.
    pub receive_cq: CqId,
    /// Where its receives come from.
    pub receives: Receives,
    /// Requests that the send queue holds.
    pub send_entries: u32,
    /// Entries of a send's gather list.
    pub send_sges: u32,
    /// Bytes of a send's inline data.
    pub inline_bytes: u32,
}

/// Where a queue pair's receives come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receives {
    /// A queue of its own.
    Own {
        /// Requests it holds.
        entries: u32,
        /// Entries of a scatter list.
        sges: u32,
    },
    /// A queue shared with others.
    Shared(SrqId),
}

/// A queue pair's state.
///
/// ```text
/// Reset -> Initialized -> ReadyToReceive -> ReadyToSend <-> SendQueueDraining -> SendQueueDrained
///                                                  \                                   /
///                            any state -> Error     <---------------------------------
///                            any state -> Reset
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QpState {
    /// Takes no requests.
    Reset,
    /// Takes receives.
    Initialized,
    /// Answers its peer.
    ReadyToReceive,
    /// Sends.
    ReadyToSend,
    /// Finishes what it has begun to send, begins nothing more.
    SendQueueDraining,
    /// Has finished; the queued sends wait.
    SendQueueDrained,
    /// Every request completes as flushed.
    Error,
}

/// A change of a queue pair's state, with what the new state needs (11.2.5.2).
#[derive(Clone, Copy, Debug)]
pub enum Transition {
    /// Forgets everything.
    Reset,
    /// Takes receives from now on.
    Initialize {
        /// What peers may do at all, whatever a region allows.
        access: Access,
        /// The key that datagrams must carry.
        queue_key: u32,
    },
    /// Answers from now on. Datagram queue pairs have no peer.
    ReadyToReceive(Option<Peer>),
    /// Sends from now on.
    ReadyToSend {
        /// The number of its first packet, 24 bits.
        psn: u32,
        /// How long to wait for an acknowledgement: 4.096 microseconds times two to this power; 0 for ever.
        ack_timeout: u8,
        /// How often to send again for want of an acknowledgement, 0 to 7.
        retry_count: u8,
        /// How often to send again for want of a receive, 0 to 7; 7 is for ever.
        rnr_retry_count: u8,
        /// Reads and atomics under way at once.
        initiator_depth: u8,
    },
    /// Finishes what it has begun, and begins nothing more.
    Drain,
    /// Goes on sending.
    Resume,
    /// Gives up.
    Error,
}

/// The other end of a connected queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its port.
    pub address: IpAddr,
    /// Its queue pair.
    pub qpn: u32,
    /// The number of its first packet, 24 bits.
    pub psn: u32,
    /// Payload of a packet.
    pub mtu: Mtu,
    /// Its reads and atomics that we answer at once.
    pub responder_resources: u8,
    /// How long it is to wait when we have no receive: a code of 0 to 31 (9.7.5.2.8).
    pub rnr_timer: u8,
}

/// Payload of a packet (path MTU, 9.6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mtu {
    /// 256 bytes.
    Mtu256 = 1,
    /// 512 bytes.
    Mtu512 = 2,
    /// 1024 bytes.
    Mtu1024 = 3,
    /// 2048 bytes.
    Mtu2048 = 4,
    /// 4096 bytes.
    Mtu4096 = 5,
}

impl Mtu {
    /// All of them, from the smallest.
    pub const ALL: [Self; 5] = [Self::Mtu256, Self::Mtu512, Self::Mtu1024, Self::Mtu2048, Self::Mtu4096];

    /// Bytes.
    pub const fn bytes(self) -> u32 {
        128 << self as u32
    }

    /// The code on the wire, 1 to 5.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the code means.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mtu| mtu.code() == code)
    }

    /// The largest that leaves room for the headers in IP packets of `bytes`: as Linux reckons, 80 bytes are theirs.
    pub fn within(bytes: u32) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|mtu| mtu.bytes() + HEADER_BUDGET <= bytes)
    }
}

/// Bytes of IP, UDP and transport headers with the CRC, at most.
const HEADER_BUDGET: u32 = 80;

/// What a queue pair is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QpInfo {
    /// Its number, by which peers know it: 24 bits.
    pub qpn: u32,
    /// Its service.
    pub transport: Transport,
    /// Its state.
    pub state: QpState,
    /// Its domain.
    pub pd: PdId,
    /// Its peer, once it has one.
    pub peer: Option<Peer>,
    /// Requests in its send queue, those under way among them.
    pub sends: u32,
    /// Requests in its own receive queue.
    pub receives: u32,
}

impl QpState {
    /// True if receives may be posted.
    pub const fn takes_receives(self) -> bool {
        !matches!(self, Self::Reset)
    }

    /// True if sends may be posted.
    pub const fn takes_sends(self) -> bool {
        match self {
            Self::Reset | Self::Initialized | Self::ReadyToReceive => false,
            Self::ReadyToSend | Self::SendQueueDraining | Self::SendQueueDrained | Self::Error => true,
        }
    }

    /// True if packets of the peer are answered.
    pub const fn responds(self) -> bool {
        match self {
            Self::Reset | Self::Initialized | Self::Error => false,
            Self::ReadyToReceive | Self::ReadyToSend | Self::SendQueueDraining | Self::SendQueueDrained => {
                true
            }
        }
    }

    /// The state that a transition leads to; `None` if there is no such way (figure 124).
    pub const fn after(self, transition: &Transition) -> Option<Self> {
        match (transition, self) {
            (Transition::Reset, _) => Some(Self::Reset),
            (Transition::Error, Self::Reset) => None,
            (Transition::Error, _) => Some(Self::Error),
            (Transition::Initialize { .. }, Self::Reset | Self::Initialized) => Some(Self::Initialized),
            (Transition::ReadyToReceive(_), Self::Initialized) => Some(Self::ReadyToReceive),
            (Transition::ReadyToSend { .. }, Self::ReadyToReceive) => Some(Self::ReadyToSend),
            (Transition::Drain, Self::ReadyToSend) => Some(Self::SendQueueDraining),
            (Transition::Resume, Self::SendQueueDrained) => Some(Self::ReadyToSend),
            _ => None,
        }
    }
}

/// A key of a peer's: what it gives is what `Key` means there.
impl From<Key> for u32 {
    fn from(key: Key) -> Self {
        key.0
    }
}
