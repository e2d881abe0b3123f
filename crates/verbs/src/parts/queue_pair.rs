//! What all providers' queue pairs have.

use super::{ReceiveRing, Ring, Send, Task};
use crate::{
    Access, ModifyError, Peer, PostError, QpId, QpInfo, QpInit, QpState, Receives, SendRequest, Transition,
    Transport,
};
use stdx::env::Owner;

/// A queue pair, with what its provider adds (`E`).
#[derive(Debug)]
pub struct QueuePair<E> {
    /// Its name.
    pub id: QpId,
    /// Whose events its are.
    pub owner: Owner,
    /// Its number.
    pub qpn: u32,
    /// How it was made.
    pub init: QpInit,
    /// Its state.
    pub state: QpState,
    /// What peers may do.
    pub access: Access,
    /// The key that datagrams must carry.
    pub queue_key: u32,
    /// Its peer, once it has one.
    pub peer: Option<Peer>,
    /// How it sends, once it does.
    pub sending: Sending,
    /// Posted sends, those under way among them.
    pub sends: Ring<Send>,
    /// Its own receives; none if they are shared.
    pub receives: ReceiveRing,
    /// What the provider adds.
    pub engine: E,
}

/// What [`Transition::ReadyToSend`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sending {
    /// The first packet's number.
    pub psn: u32,
    /// The time-out's code.
    pub ack_timeout: u8,
    /// How often to send again for want of an answer.
    pub retry_count: u8,
    /// How often to send again for want of a receive.
    pub rnr_retry_count: u8,
    /// Reads and atomics under way at once.
    pub initiator_depth: u8,
}

impl<E> QueuePair<E> {
    pub(super) fn new(id: QpId, owner: Owner, qpn: u32, init: &QpInit, engine: E) -> Self {
        let (entries, sges) = match init.receives {
            Receives::Own { entries, sges } => (entries, sges),
            Receives::Shared(_) => (0, 0),
        };
        Self {
            id,
            owner,
            qpn,
            init: *init,
            state: QpState::Reset,
            access: Access::NONE,
            queue_key: 0,
            peer: None,
            sending: Sending::default(),
            sends: Ring::new(init.send_entries),
            receives: ReceiveRing::new(entries, sges),
            engine,
        }
    }

    /// What it is now.
    pub fn info(&self) -> QpInfo {
        QpInfo {
            qpn: self.qpn,
            transport: self.init.transport,
            state: self.state,
            pd: self.init.pd,
            peer: self.peer,
            sends: self.sends.len() as u32,
            receives: self.receives.len() as u32,
        }
    }

    /// Checks a change of state, and takes down what it says. The provider does what else it means.
    pub fn apply(&mut self, transition: &Transition, read_depth_max: u8) -> Result<(), ModifyError> {
        let next = self.state.after(transition).ok_or(ModifyError::State)?;
        match *transition {
            Transition::Initialize { access, queue_key } => {
                (self.access, self.queue_key) = (access, queue_key);
            }
            Transition::ReadyToReceive(peer) => {
                let is_connected = self.init.transport != Transport::UnreliableDatagram;
                let is_valid = peer.is_none_or(|peer| {
                    peer.qpn < 1 << 24
                        && peer.psn < 1 << 24
                        && peer.rnr_timer < 32
                        && peer.responder_resources <= read_depth_max
                });
                if peer.is_some() != is_connected || !is_valid {
                    return Err(ModifyError::Invalid);
                }
                self.peer = peer;
            }
            Transition::ReadyToSend { psn, ack_timeout, retry_count, rnr_retry_count, initiator_depth } => {
                let is_valid = psn < 1 << 24
                    && ack_timeout < 32
                    && retry_count < 8
                    && rnr_retry_count < 8
                    && initiator_depth <= read_depth_max;
                if !is_valid {
                    return Err(ModifyError::Invalid);
                }
                self.sending = Sending { psn, ack_timeout, retry_count, rnr_retry_count, initiator_depth };
            }
            Transition::Reset => {
                self.peer = None;
                self.sends.clear();
                self.receives.clear();
            }
            Transition::Drain | Transition::Resume | Transition::Error => {}
        }
        self.state = next;
        Ok(())
    }

    /// Posts to the send queue.
    pub fn post_send(&mut self, request: &SendRequest<'_>, pieces_max: u32) -> Result<(), PostError> {
        if !self.state.takes_sends() {
            return Err(PostError::State);
        }
        let is_fitting = match request.data {
            crate::Data::Gather(sges) => sges.len() <= self.init.send_sges as usize,
            crate::Data::Own(spans) => spans.len() <= self.init.send_sges as usize,
            crate::Data::Inline(bytes) => bytes.len() <= self.init.inline_bytes as usize,
        };
        let pieces = match request.work {
            crate::Work::Register { pieces, .. } => pieces.len(),
            _ => 0,
        };
        if !is_fitting || pieces > pieces_max as usize {
            return Err(PostError::TooLong);
        }
        if !can_do(self.init.transport, request) {
            return Err(PostError::Unsupported);
        }
        self.sends.push().ok_or(PostError::Full)?.fill(request);
        Ok(())
    }
}

/// Whether a service knows the work (table 36), and inline data goes with it.
fn can_do(transport: Transport, request: &SendRequest<'_>) -> bool {
    use crate::Work as W;
    let is_inline = matches!(request.data, crate::Data::Inline(_));
    match request.work {
        W::Send | W::SendImmediate(_) => transport != Transport::UnreliableDatagram,
        W::Write(_) | W::WriteImmediate(..) => transport != Transport::UnreliableDatagram,
        W::SendInvalidate(_) => transport == Transport::ReliableConnection,
        W::Datagram { to, .. } => transport == Transport::UnreliableDatagram && to.qpn < 1 << 24,
        W::Read(_) | W::CompareSwap { .. } | W::FetchAdd { .. } => {
            transport == Transport::ReliableConnection && !is_inline
        }
        W::Invalidate(_) | W::Register { .. } | W::Bind { .. } => {
            transport != Transport::UnreliableDatagram && !is_inline
        }
    }
}

impl Task {
    /// Where the bytes of the peer are that it is about.
    pub const fn remote(&self) -> Option<crate::Remote> {
        match self {
            Self::Write(remote) | Self::WriteImmediate(remote, _) | Self::Read(remote) => Some(*remote),
            Self::CompareSwap { at, .. } | Self::FetchAdd { at, .. } => Some(*at),
            Self::Send | Self::SendImmediate(_) | Self::SendInvalidate(_) | Self::Datagram(..) => None,
            Self::Invalidate(_) | Self::Register { .. } | Self::Bind { .. } => None,
        }
    }
}
