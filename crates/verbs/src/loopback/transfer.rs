//! Moving what was posted, request by request, in the order of each queue.

use super::Loopback;
use super::engine::{Engine, Patience};
use crate::parts::{Receive, Send, Task, change_atomically, copy_in, move_bytes};
use crate::{
    Access, Completion, CompletionKind, Destination, Key, MULTICAST_QPN, Origin, QpId, QpState, Remote, Sge,
    Status, Transport, What,
};
use stdx::env::Env;
use stdx::mem::Memory;
use stdx::time::earliest;

/// What became of the request at the front of a queue.
enum Outcome {
    /// It is done; so many bytes were moved.
    Done(u32),
    /// There is no receive for it.
    NotReady,
    /// It failed.
    Failed(Status),
}

/// What a message brings besides its bytes.
#[derive(Clone, Copy)]
struct Message {
    kind: CompletionKind,
    immediate: Option<u32>,
    invalidate: Option<Key>,
    origin: Option<Origin>,
    solicited: bool,
}

impl Loopback {
    /// Does all that can be done now.
    pub(super) fn transfer(&mut self, env: &mut dyn Env) {
        self.is_stirred = false;
        self.retry_at = None;
        for place in 0..self.registry.qps.places() {
            let Some(key) = self.registry.qps.key_at(place) else { continue };
            self.serve(env, QpId(key));
            let waits = self.registry.qps.get(key).and_then(|pair| pair.engine.retry_at);
            self.retry_at = earliest(self.retry_at, waits);
        }
    }

    fn serve(&mut self, env: &mut dyn Env, qp: QpId) {
        loop {
            let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
            match pair.state {
                QpState::Error => return self.registry.flush(qp),
                QpState::SendQueueDraining => {
                    pair.state = QpState::SendQueueDrained;
                    let owner = pair.owner;
                    self.registry.events.push_back(crate::Event { owner, what: What::SendQueueDrained(qp) });
                    return;
                }
                QpState::ReadyToSend => {}
                QpState::Reset
                | QpState::Initialized
                | QpState::ReadyToReceive
                | QpState::SendQueueDrained => return,
            }
            if pair.engine.retry_at.is_some_and(|at| at > env.now()) {
                return;
            }
            // The request is taken out while it is worked on, and put back if it has to wait.
            let Some(front) = pair.sends.get_mut(0) else { return };
            let send = core::mem::take(front);
            let outcome = self.perform(env.mem(), qp, &send);
            if !self.conclude(env, qp, send, outcome) {
                return;
            }
        }
    }

    /// Puts the request back and makes of it what came out; true if the queue goes on.
    fn conclude(&mut self, env: &mut dyn Env, qp: QpId, send: Send, outcome: Outcome) -> bool {
        let (id, kind, flags) = (send.id, send.task.kind(), send.flags);
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return false };
        if let Some(front) = pair.sends.get_mut(0) {
            *front = send;
        }
        let status = match outcome {
            Outcome::Done(len) => {
                pair.engine.went_on();
                pair.sends.pop();
                if flags.signaled {
                    let done = Completion { len, ..Completion::failed(qp, id, kind, Status::Success) };
                    self.registry.complete(done, false, false);
                }
                return true;
            }
            Outcome::NotReady => match Engine::not_ready(pair, env.now()) {
                Patience::Waits => return false,
                Patience::Ended => Status::RnrRetryExceeded,
            },
            Outcome::Failed(status) => status,
        };
        pair.engine.went_on();
        pair.sends.pop();
        self.registry.complete(Completion::failed(qp, id, kind, status), false, false);
        self.registry.fail(qp, What::QueuePairError(qp));
        true
    }

    fn perform(&mut self, mem: &mut Memory, qp: QpId, send: &Send) -> Outcome {
        let Some(pair) = self.registry.qps.get(qp.0) else { return Outcome::Failed(Status::Fatal) };
        let pd = pair.init.pd;
        let done = match send.task {
            Task::Invalidate(key) => self.registry.regions.invalidate(pd, key),
            Task::Register { key, address, access } => {
                self.registry.regions.register_by_work(pd, key, &send.pieces, address, access)
            }
            Task::Bind { window, part, access } => {
                return match self.registry.regions.bind(pd, qp, window, part, access) {
                    Ok(()) => Outcome::Done(0),
                    Err(_) => Outcome::Failed(Status::WindowBind),
                };
            }
            _ => return self.exchange(mem, qp, send),
        };
        done.map_or(Outcome::Failed(Status::LocalQueuePairOperation), |()| Outcome::Done(0))
    }

    /// Does what concerns the peer.
    fn exchange(&mut self, mem: &mut Memory, qp: QpId, send: &Send) -> Outcome {
        let len = send.len();
        if len > u64::from(self.registry.limits.message_bytes) {
            return Outcome::Failed(Status::LocalLength);
        }
        if !self.locate(qp, send) {
            return Outcome::Failed(Status::LocalProtection);
        }
        if let Task::Datagram(to, immediate) = send.task {
            return self.datagram(mem, qp, send, to, immediate);
        }
        let Some(peer) = self.peer(qp) else {
            let is_reliable = self.transport(qp) == Transport::ReliableConnection;
            return if is_reliable {
                Outcome::Failed(Status::RetryExceeded)
            } else {
                Outcome::Done(len as u32)
            };
        };
        let outcome = match send.task {
            Task::Read(from) => self.remote(mem, qp, peer, from, len as u32, Access::REMOTE_READ, send),
            Task::Write(to) => self.remote(mem, qp, peer, to, len as u32, Access::REMOTE_WRITE, send),
            Task::WriteImmediate(to, immediate) => self.write_immediate(mem, qp, peer, to, immediate, send),
            Task::CompareSwap { at, .. } | Task::FetchAdd { at, .. } => self.atomic(mem, peer, at, send),
            _ => self.send(mem, peer, send, None),
        };
        match outcome {
            // Nobody tells an unreliable sender.
            Outcome::Failed(status) if self.transport(qp) == Transport::UnreliableConnection => {
                match status {
                    Status::RemoteAccess | Status::RemoteInvalidRequest => Outcome::Done(len as u32),
                    _ => outcome,
                }
            }
            Outcome::NotReady if self.transport(qp) == Transport::UnreliableConnection => {
                Outcome::Done(len as u32)
            }
            outcome => outcome,
        }
    }

    /// Finds where our own bytes lie; they are in `scratch.from` then.
    fn locate(&mut self, qp: QpId, send: &Send) -> bool {
        self.scratch.from.clear();
        let Some(pair) = self.registry.qps.get(qp.0) else { return false };
        let needed = if send.task.fetches() { Access::LOCAL_WRITE } else { Access::NONE };
        let (pd, regions) = (pair.init.pd, &self.registry.regions);
        send.gather(regions, pd, 0, send.len(), needed, &mut self.scratch.from).is_ok()
    }

    fn transport(&self, qp: QpId) -> Transport {
        self.registry.qps.get(qp.0).map_or(Transport::ReliableConnection, |pair| pair.init.transport)
    }

    /// The queue pair that `qp` is connected with, if it answers.
    fn peer(&self, qp: QpId) -> Option<QpId> {
        let pair = self.registry.qps.get(qp.0)?;
        let peer = self.registry.by_qpn(pair.peer?.qpn)?;
        let other = self.registry.qps.get(peer.0)?;
        let is_ours = other.peer.is_some_and(|back| back.qpn == pair.qpn);
        (is_ours && other.state.responds() && other.init.transport == pair.init.transport).then_some(peer)
    }

    /// Fills the peer's next receive.
    fn send(&mut self, mem: &mut Memory, peer: QpId, send: &Send, origin: Option<Origin>) -> Outcome {
        let mut message = Message {
            kind: CompletionKind::Receive,
            immediate: None,
            invalidate: None,
            origin,
            solicited: send.flags.solicited,
        };
        match send.task {
            Task::SendImmediate(immediate) => message.immediate = Some(immediate),
            Task::SendInvalidate(key) => message.invalidate = Some(key),
            Task::Datagram(_, immediate) => message.immediate = immediate,
            _ => {}
        }
        self.deliver(mem, peer, send, message)
    }

    fn deliver(&mut self, mem: &mut Memory, peer: QpId, send: &Send, message: Message) -> Outcome {
        // What the receive was posted with goes back into the queue's place, so that nothing is allocated.
        let mut receive = core::mem::take(&mut self.scratch.receive);
        let outcome = match self.registry.take_receive(peer, &mut receive) {
            true => self.fill(mem, peer, send, message, &receive),
            false => Outcome::NotReady,
        };
        self.scratch.receive = receive;
        outcome
    }

    fn fill(
        &mut self,
        mem: &mut Memory,
        peer: QpId,
        send: &Send,
        message: Message,
        receive: &Receive,
    ) -> Outcome {
        let Some(pair) = self.registry.qps.get(peer.0) else { return Outcome::NotReady };
        let pd = pair.init.pd;
        let front = if message.origin.is_some() { GRH_LEN } else { 0 };
        let len = if message.kind == CompletionKind::ReceiveWrite { 0 } else { send.len() };
        let room: u64 = receive.sges.iter().map(|sge| u64::from(sge.len)).sum();
        self.scratch.to.clear();
        let list = &receive.sges;
        let status = if room < front + len {
            Status::LocalLength
        } else if self
            .registry
            .regions
            .gather(pd, list, front, len, Access::LOCAL_WRITE, &mut self.scratch.to)
            .is_err()
        {
            Status::LocalProtection
        } else {
            Status::Success
        };
        if status != Status::Success {
            return self.refuse(peer, receive.id, status, message.origin.is_some());
        }
        if let Some(key) = message.invalidate
            && self.registry.regions.invalidate_by_peer(pd, peer, key).is_err()
        {
            self.refuse(peer, receive.id, Status::LocalAccess, false);
            return Outcome::Failed(Status::RemoteAccess);
        }
        if len > 0 {
            self.place(mem, send);
        }
        let done = Completion {
            kind: message.kind,
            len: if message.kind == CompletionKind::ReceiveWrite {
                send.len() as u32
            } else {
                (front + len) as u32
            },
            immediate: message.immediate,
            invalidated: message.invalidate,
            origin: message.origin,
            ..Completion::failed(peer, receive.id, message.kind, Status::Success)
        };
        self.registry.complete(done, true, message.solicited);
        Outcome::Done(send.len() as u32)
    }

    /// The receive cannot take the message: it completes so, and a connected queue pair is in error.
    fn refuse(&mut self, peer: QpId, id: u64, status: Status, is_datagram: bool) -> Outcome {
        let done = Completion::failed(peer, id, CompletionKind::Receive, status);
        self.registry.complete(done, true, true);
        if is_datagram {
            return Outcome::Done(0);
        }
        self.fail_peer(peer, What::InvalidRequest(peer));
        Outcome::Failed(if status == Status::LocalProtection {
            Status::RemoteOperation
        } else {
            Status::RemoteInvalidRequest
        })
    }

    /// Moves bytes to or from the peer's memory.
    #[expect(clippy::too_many_arguments, reason = "who, where, how much, and with which right")]
    fn remote(
        &mut self,
        mem: &mut Memory,
        qp: QpId,
        peer: QpId,
        remote: Remote,
        len: u32,
        needed: Access,
        send: &Send,
    ) -> Outcome {
        debug_assert_ne!(qp, peer);
        if !self.reach(peer, remote, len, needed) {
            self.fail_peer(peer, What::AccessError(peer));
            return Outcome::Failed(Status::RemoteAccess);
        }
        if needed == Access::REMOTE_READ {
            move_bytes(mem, &self.scratch.from, &self.scratch.to);
        } else {
            self.place(mem, send);
        }
        Outcome::Done(len)
    }

    fn write_immediate(
        &mut self,
        mem: &mut Memory,
        qp: QpId,
        peer: QpId,
        to: Remote,
        immediate: u32,
        send: &Send,
    ) -> Outcome {
        let has_receive = self.registry.receives_of(peer) > 0;
        if !has_receive {
            return Outcome::NotReady;
        }
        match self.remote(mem, qp, peer, to, send.len() as u32, Access::REMOTE_WRITE, send) {
            Outcome::Done(_) => {}
            outcome => return outcome,
        }
        let message = Message {
            kind: CompletionKind::ReceiveWrite,
            immediate: Some(immediate),
            invalidate: None,
            origin: None,
            solicited: send.flags.solicited,
        };
        self.deliver(mem, peer, send, message)
    }

    fn atomic(&mut self, mem: &mut Memory, peer: QpId, at: Remote, send: &Send) -> Outcome {
        if !at.address.is_multiple_of(ATOMIC_LEN.into()) || send.len() != u64::from(ATOMIC_LEN) {
            self.fail_peer(peer, What::InvalidRequest(peer));
            return Outcome::Failed(Status::RemoteInvalidRequest);
        }
        if !self.reach(peer, at, ATOMIC_LEN, Access::REMOTE_ATOMIC) {
            self.fail_peer(peer, What::AccessError(peer));
            return Outcome::Failed(Status::RemoteAccess);
        }
        // What was there goes to us before it changes.
        move_bytes(mem, &self.scratch.from, &self.scratch.to);
        change_atomically(mem, &self.scratch.to, &send.task);
        Outcome::Done(ATOMIC_LEN)
    }

    /// Finds where the peer's bytes lie; they are in `scratch.to` then. Nothing is checked for no bytes (9.7.4.1.5).
    fn reach(&mut self, peer: QpId, remote: Remote, len: u32, needed: Access) -> bool {
        self.scratch.to.clear();
        let Some(pair) = self.registry.qps.get(peer.0) else { return false };
        if !pair.access.contains(needed) {
            return false;
        }
        let wanted = Sge { key: remote.key, address: remote.address, len };
        let to = &mut self.scratch.to;
        len == 0 || self.registry.regions.remote(pair.init.pd, peer, wanted, needed, to).is_ok()
    }

    fn datagram(
        &mut self,
        mem: &mut Memory,
        qp: QpId,
        send: &Send,
        to: Destination,
        _immediate: Option<u32>,
    ) -> Outcome {
        let Some(pair) = self.registry.qps.get(qp.0) else { return Outcome::Failed(Status::Fatal) };
        if send.len() > u64::from(crate::Mtu::Mtu4096.bytes()) {
            return Outcome::Failed(Status::LocalLength);
        }
        let origin = Origin { address: self.address, qpn: pair.qpn };
        // The highest bit asks for the sender's own key (10.2.5).
        let key = if to.queue_key >> 31 == 1 { pair.queue_key } else { to.queue_key };
        let len = send.len() as u32;
        let peer = self.registry.by_qpn(to.qpn).filter(|_| to.address == self.address);
        if let Some(peer) = peer
            && self.takes_datagrams(peer, key)
        {
            self.send(mem, peer, send, Some(origin));
        }
        let mut place = 0;
        while let Some(member) = self.registry.groups.member(to.address, place)
            && to.qpn == MULTICAST_QPN
        {
            if self.takes_datagrams(member, key) {
                self.send(mem, member, send, Some(origin));
            }
            place += 1;
        }
        Outcome::Done(len)
    }

    fn takes_datagrams(&self, qp: QpId, key: u32) -> bool {
        self.registry.qps.get(qp.0).is_some_and(|pair| {
            pair.init.transport == Transport::UnreliableDatagram
                && pair.state.responds()
                && pair.queue_key == key
        })
    }

    /// Copies the request's bytes to `scratch.to`.
    fn place(&mut self, mem: &mut Memory, send: &Send) {
        if send.is_inline {
            copy_in(mem, &self.scratch.to, &send.inline);
        } else {
            move_bytes(mem, &self.scratch.to, &self.scratch.from);
        }
    }

    fn fail_peer(&mut self, peer: QpId, what: What) {
        self.registry.fail(peer, what);
        self.is_stirred = true;
    }
}

/// Bytes about the sender before a datagram.
const GRH_LEN: u64 = 40;

/// Bytes of an atomic operation.
const ATOMIC_LEN: u32 = 8;
