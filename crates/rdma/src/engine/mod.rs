//! All queue pairs of a device, without a socket: packets in, packets out, time as a number.
//!
//! A packet is routed to its queue pair ([`receive`]) and handled by its service; whoever has something to send stands in a
//! line ([`transmit`]) and gets a burst at a time. Deadlines lie in a heap, at most one that counts for each queue pair.

mod pair;
mod receive;
mod room;
mod timers;
mod transmit;

pub(crate) use pair::Engine;
pub(crate) use receive::Arrival;
pub(crate) use room::Room;

use crate::transmit::{Payload, Transmitter};
use crate::{Config, Counters, rc};
use core::net::IpAddr;
use shm::Neighbourhood;
use std::collections::VecDeque;
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use stdx::time::{Time, earliest};
use timers::Timers;
use verbs::parts::{QueuePair, Receive, Registry};
use verbs::{Completion, CompletionKind, ModifyError, QpId, Status, Transition, What};
use wire::roce::{Bth, Extension, Headers, Opcode, Psn};

/// Every queue pair, and what they share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) registry: Registry<Engine>,
    pub(crate) counters: Counters,
    pub(crate) timers: Timers,
    /// Queue pairs that may have something to send.
    active: VecDeque<QpId>,
    /// Queue pairs whose acknowledgement waits, and when the first is due.
    deferred: Vec<QpId>,
    deferred_until: Option<Time>,
    /// Lists that are used again and again.
    pub(crate) spans: Vec<Span>,
    pub(crate) others: Vec<Span>,
    /// The receive of a datagram.
    pub(crate) receive: Receive,
    /// Queue pairs whose first packet has come.
    pub(crate) heard: Vec<QpId>,
    /// Queue pairs that were put into error with acknowledgements still to be sent.
    last_words: Vec<QpId>,
    /// What may be asked for at once.
    pub(crate) room: Room,
    /// Devices of this machine, which are reached without packets.
    pub(crate) neighbours: Neighbourhood,
}

/// What a queue pair made of its turn to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// A packet, or progress without one.
    Something,
    /// Nothing: it waits for something to happen.
    Nothing,
    /// A packet that does not fit into the run: once it is sent.
    Full,
}

/// A packet to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) opcode: Opcode,
    pub(crate) extension: Extension,
    pub(crate) psn: Psn,
    pub(crate) solicited: bool,
    pub(crate) ack_requested: bool,
}

impl Core {
    /// Numbers of queue pairs begin where `numbering` says.
    pub(crate) fn new(config: Config, neighbours: Neighbourhood, room: Room, numbering: u32) -> Self {
        Self {
            config,
            neighbours,
            room,
            registry: Registry::numbered_from(config.limits, numbering),
            counters: Counters::default(),
            timers: Timers::default(),
            active: VecDeque::new(),
            deferred: Vec::new(),
            deferred_until: None,
            spans: Vec::with_capacity(64),
            others: Vec::with_capacity(64),
            receive: Receive::default(),
            heard: Vec::new(),
            last_words: Vec::new(),
        }
    }

    pub(crate) fn pair(&mut self, qp: QpId) -> Option<&mut QueuePair<Engine>> {
        self.registry.qps.get_mut(qp.0)
    }

    /// Changes a queue pair's state, and does what that means.
    pub(crate) fn modify(&mut self, qp: QpId, transition: &Transition) -> Result<(), ModifyError> {
        if let Transition::ReadyToReceive(Some(peer)) = transition
            && (peer.mtu > self.config.mtu || peer.address.is_ipv4() != self.config.address.is_ipv4())
        {
            return Err(ModifyError::Invalid);
        }
        if matches!(transition, Transition::Reset | Transition::Error) {
            self.neighbours.abandon(&mut self.registry, qp);
            self.forget(qp);
        }
        self.registry.apply(qp, transition)?;
        let counts = self.config.credits;
        if let Some(pair) = self.registry.qps.get_mut(qp.0) {
            match transition {
                Transition::ReadyToReceive(Some(peer)) => {
                    pair.engine.responder.begin(peer);
                    self.neighbours.consider(&mut self.registry, qp, peer.psn);
                }
                Transition::ReadyToSend { psn, .. } => {
                    pair.engine.requester.begin(Psn::new(*psn), counts);
                    pair.engine.lane.begin(*psn);
                }
                Transition::Reset => pair.engine.reset(),
                Transition::Error if pair.engine.responder.silence() => self.last_words.push(qp),
                _ => {}
            }
        }
        self.activate(qp);
        Ok(())
    }

    /// What is on its way from the queue pair is nothing to it any more.
    pub(crate) fn forget(&mut self, qp: QpId) {
        if let Some(pair) = self.registry.qps.get_mut(qp.0) {
            pair.engine.requester.clear();
            self.settle(qp);
        }
    }

    /// Takes what neighbours brought about.
    pub(crate) fn heed_neighbours(&mut self) {
        while let Some(qp) = self.neighbours.poll_heard() {
            self.heard.push(qp);
        }
        while let Some(qp) = self.neighbours.poll_woken() {
            self.activate(qp);
        }
    }

    /// Completes everything as flushed.
    pub(super) fn flush(&mut self, qp: QpId) -> Sent {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
        pair.engine.requester.clear();
        self.settle(qp);
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
        let held = pair.engine.responder.abandon().filter(|_| !planted(Bug::HeldReceiveLost));
        if let Some(id) = held {
            let flushed = Completion::failed(qp, id, CompletionKind::Receive, Status::Flushed);
            self.registry.complete(flushed, true, false);
        }
        self.registry.flush(qp);
        Sent::Nothing
    }

    /// Sends a packet of a connected queue pair with the payload in `spans`.
    pub(crate) fn emit(
        &mut self,
        mem: &mut Memory,
        qp: QpId,
        outgoing: &Outgoing,
        payload: Payload<'_>,
        out: &mut Transmitter,
    ) -> Sent {
        let peer = self.registry.qps.get(qp.0).and_then(|pair| pair.peer);
        let Some(peer) = peer else { return Sent::Nothing };
        self.emit_to(mem, peer.address, peer.qpn, outgoing, payload, out)
    }

    /// Sends a packet to any queue pair.
    pub(crate) fn emit_to(
        &mut self,
        mem: &mut Memory,
        address: IpAddr,
        qpn: u32,
        outgoing: &Outgoing,
        payload: Payload<'_>,
        out: &mut Transmitter,
    ) -> Sent {
        let headers = self.headers(qpn, outgoing);
        if !out.has_room(address, headers.datagram_len(payload.len())) {
            return Sent::Full;
        }
        out.push(mem, address, headers, payload);
        self.counters.sent_pkts += 1;
        Sent::Something
    }

    fn headers(&self, destination: u32, outgoing: &Outgoing) -> Headers {
        let bth = Bth {
            opcode: outgoing.opcode,
            solicited: outgoing.solicited,
            migrated: false,
            pad_len: 0,
            partition_key: self.config.partition_key,
            forward_congestion: false,
            backward_congestion: outgoing.opcode == Opcode::CongestionNotification,
            destination,
            ack_requested: outgoing.ack_requested,
            psn: outgoing.psn,
        };
        Headers { bth, extension: outgoing.extension }
    }

    /// The send at the front fails, and the queue pair with it.
    pub(crate) fn fail_send(&mut self, qp: QpId, status: Status) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        pair.engine.requester.clear();
        self.settle(qp);
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        if let Some(send) = pair.sends.pop() {
            let (id, kind) = (send.id, send.task.kind());
            self.registry.complete(Completion::failed(qp, id, kind, status), false, false);
        }
        self.registry.fail(qp, What::QueuePairError(qp));
        self.activate(qp);
    }

    /// The send at the front is done.
    pub(crate) fn complete_send(&mut self, qp: QpId) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        let Some(send) = pair.sends.pop() else { return };
        let (id, kind, signaled, len) = (send.id, send.task.kind(), send.flags.signaled, send.len());
        self.counters.rdma_sends += 1;
        if signaled || planted(Bug::UnsignaledCompleted) {
            let done = Completion { len: len as u32, ..Completion::failed(qp, id, kind, Status::Success) };
            self.registry.complete(done, false, false);
        }
    }

    /// Takes room for so many responses that the queue pair asks for; if there is too little, it waits for others'.
    pub(crate) fn take_room(&mut self, qp: QpId, packets: u32) -> bool {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return false };
        let is_granted = self.room.take(qp, packets, rc::requester::mtu(pair));
        if is_granted {
            pair.engine.requester.room_taken += packets;
            pair.engine.is_in_line &= !self.room.leave(qp);
        } else if !core::mem::replace(&mut pair.engine.is_in_line, true) {
            self.room.wait(qp);
        }
        is_granted
    }

    /// Gives back what room was taken for responses that have come, or are taken for lost.
    pub(crate) fn settle(&mut self, qp: QpId) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        let mtu = rc::requester::mtu(pair);
        let requester = &mut pair.engine.requester;
        let free = requester.room_taken - requester.due;
        if free > 0 && !planted(Bug::RoomNotGivenBack) {
            requester.room_taken = requester.due;
            self.room.give_back(free, mtu);
        }
    }

    /// When the next queue pair's time comes, or an acknowledgement is due.
    pub(crate) fn timers_deadline(&self) -> Option<Time> {
        earliest(self.timers.next(), self.deferred_until)
    }

    /// Has every queue pair whose time has come do what it waits for.
    pub(crate) fn handle_timeouts(&mut self, now: Time) {
        while let Some((qp, at)) = self.timers.pop(now) {
            let Some(pair) = self.registry.qps.get_mut(qp.0) else { continue };
            if pair.engine.timer_at != Some(at) {
                continue;
            }
            pair.engine.timer_at = None;
            match pair.engine.deadline() {
                Some(due) if due > now => self.schedule(qp),
                Some(_) => {
                    pair.engine.held_until = None;
                    rc::retransmission::handle_timeout(self, qp, now);
                    self.schedule(qp);
                }
                None => {}
            }
        }
    }

    /// Takes down when the queue pair waits no longer.
    pub(crate) fn schedule(&mut self, qp: QpId) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        let Some(due) = pair.engine.deadline() else { return };
        if pair.engine.timer_at.is_none_or(|at| due < at) {
            pair.engine.timer_at = Some(due);
            self.timers.push(qp, due);
        }
    }

    /// Asserts what always holds between packets.
    pub(crate) fn check(&self) {
        let mut taken = 0;
        for (_, pair) in self.registry.qps.iter() {
            pair.engine.requester.check(pair.sends.len());
            pair.engine.responder.check(self.config.limits.read_depth);
            taken += Room::needed(pair.engine.requester.room_taken, rc::requester::mtu(pair));
        }
        self.room.check(taken);
        self.neighbours.check(&self.registry);
    }
}
