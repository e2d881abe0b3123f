//! Whose turn it is to send, and what goes first.

use super::{Core, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use crate::{rc, uc, ud};
use stdx::mem::Memory;
use stdx::time::{Time, earliest};
use verbs::{QpId, QpState, Transport};
use wire::roce::{BTH_LEN, Extension, ICRC_LEN, Opcode, Psn, Shape};

impl Core {
    /// The queue pair gets a turn to send.
    pub(crate) fn activate(&mut self, qp: QpId) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        if !core::mem::replace(&mut pair.engine.is_active, true) {
            self.active.push_back(qp);
        }
    }

    /// One that is posted in error is flushed.
    pub(crate) fn handle_receive_posted(&mut self, qp: QpId) {
        if self.pair(qp).is_some_and(|pair| pair.state == QpState::Error) {
            self.activate(qp);
        }
    }

    /// True if some queue pair may have something to send.
    pub(crate) fn is_active(&self) -> bool {
        !self.active.is_empty() || !self.last_words.is_empty() || self.room.has_news()
    }

    /// Acknowledgements that wait are looked at again, if one is due, or something is sent that they may go along with.
    pub(crate) fn resume_deferred(&mut self, now: Time) {
        let is_due = self.deferred_until.is_some_and(|due| due <= now);
        if !is_due && self.active.is_empty() {
            return;
        }
        self.deferred_until = None;
        while let Some(qp) = self.deferred.pop() {
            if let Some(pair) = self.pair(qp) {
                pair.engine.is_deferred = false;
                self.activate(qp);
            }
        }
    }

    /// Sends the acknowledgements of queue pairs that were put into error, so that they come before the news of a connection's
    /// end; `false` if the run is full.
    pub(crate) fn transmit_last_words(&mut self, mem: &mut Memory, out: &mut Transmitter) -> bool {
        while let Some(&qp) = self.last_words.last() {
            match rc::respond::poll(self, mem, qp, false, out) {
                Sent::Something => {}
                Sent::Full => return false,
                Sent::Nothing => {
                    self.last_words.pop();
                }
            }
        }
        true
    }

    /// Lets queue pairs send until the run is full (`false`) or none has anything to send.
    ///
    /// An acknowledgement with nothing behind it goes out behind the queue pair's requests, so that it shares their run. If it
    /// finds no place there and is not due, it stays for [`Core::resume_deferred`]; so it does in any case if `defers`: what its
    /// receiver posts upon the message that it acknowledges then goes before it.
    pub(crate) fn transmit(
        &mut self,
        mem: &mut Memory,
        now: Time,
        defers: bool,
        out: &mut Transmitter,
    ) -> bool {
        self.offer_room();
        while let Some(&qp) = self.active.front() {
            if self.serve_neighbour(mem, now, qp) {
                self.active.pop_front();
                continue;
            }
            self.hold(now, qp);
            let before = out.bytes_ever;
            let sent = self.send_burst(mem, now, qp, defers, out);
            self.charge(now, qp, out.bytes_ever - before);
            if sent == Sent::Full {
                return false;
            }
            self.active.pop_front();
            if self.pair(qp).is_some_and(|pair| pair.engine.is_active) {
                self.active.push_back(qp);
            }
        }
        true
    }

    /// If much of what was asked for has come, those who wait to ask are the next to send, in their order.
    fn offer_room(&mut self) {
        if !self.room.has_news() {
            return;
        }
        while let Some(qp) = self.room.poll_waiting() {
            let Some(pair) = self.registry.qps.get_mut(qp.0) else { continue };
            pair.engine.is_in_line = false;
            if !core::mem::replace(&mut pair.engine.is_active, true) {
                self.active.push_front(qp);
            }
        }
    }

    /// Lets a queue pair whose peer is a neighbour write, which costs no packet and has no rate; false if it is none.
    fn serve_neighbour(&mut self, mem: &mut Memory, now: Time, qp: QpId) -> bool {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return false };
        if pair.engine.lane.is_network() || pair.engine.notifier.owes() {
            return false;
        }
        pair.engine.is_active = false;
        self.neighbours.serve(&mut self.registry, mem, now, qp);
        true
    }

    fn send_burst(
        &mut self,
        mem: &mut Memory,
        now: Time,
        qp: QpId,
        defers: bool,
        out: &mut Transmitter,
    ) -> Sent {
        for _ in 0..self.config.burst_packets {
            match self.send_one(mem, now, qp, defers, out) {
                Sent::Something => {}
                Sent::Full => return Sent::Full,
                Sent::Nothing => {
                    self.rest(qp);
                    return Sent::Nothing;
                }
            }
        }
        Sent::Something
    }

    /// A queue pair has nothing to send. If it failed in its turn, what stood behind the failed send is flushed.
    fn rest(&mut self, qp: QpId) {
        let Some(pair) = self.pair(qp) else { return };
        pair.engine.is_active = false;
        let is_left = pair.state == QpState::Error && pair.sends.get(0).is_some();
        if is_left && pair.engine.lane.is_network() {
            self.flush(qp);
        }
    }

    fn send_one(
        &mut self,
        mem: &mut Memory,
        now: Time,
        qp: QpId,
        defers: bool,
        out: &mut Transmitter,
    ) -> Sent {
        let Some(pair) = self.registry.qps.get(qp.0) else { return Sent::Nothing };
        if pair.engine.notifier.owes() && pair.state.responds() {
            return self.notify(mem, now, qp, out);
        }
        match (pair.init.transport, pair.state) {
            (_, QpState::Reset | QpState::Initialized) => Sent::Nothing,
            _ if !pair.engine.lane.is_network() => {
                self.neighbours.serve(&mut self.registry, mem, now, qp);
                Sent::Nothing
            }
            (Transport::ReliableConnection, state) => self.send_reliably(mem, now, qp, state, defers, out),
            (_, QpState::Error) => self.flush(qp),
            (Transport::UnreliableConnection, _) if pair.engine.held_until.is_some() => Sent::Nothing,
            (Transport::UnreliableConnection, _) => uc::poll(self, mem, qp, out),
            (Transport::UnreliableDatagram, _) => ud::poll(self, mem, qp, out),
        }
    }

    fn send_reliably(
        &mut self,
        mem: &mut Memory,
        now: Time,
        qp: QpId,
        state: QpState,
        defers: bool,
        out: &mut Transmitter,
    ) -> Sent {
        match rc::respond::poll(self, mem, qp, true, out) {
            Sent::Nothing => {}
            sent => return sent,
        }
        let is_held = self.pair(qp).is_some_and(|pair| pair.engine.held_until.is_some());
        let sent = if state == QpState::Error {
            self.flush(qp)
        } else if is_held {
            Sent::Nothing
        } else {
            rc::requester::poll(self, mem, now, qp, out)
        };
        match sent {
            Sent::Something | Sent::Full => sent,
            Sent::Nothing => self.acknowledge(mem, now, qp, defers, out),
        }
    }

    /// Sends an acknowledgement with nothing behind it, or lets it wait.
    fn acknowledge(
        &mut self,
        mem: &mut Memory,
        now: Time,
        qp: QpId,
        defers: bool,
        out: &mut Transmitter,
    ) -> Sent {
        let delay = self.config.ack_delay;
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
        let (engine, peer) = (&mut pair.engine, pair.peer);
        if !engine.responder.has_responses(engine.held_until.is_some()) {
            return Sent::Nothing;
        }
        let due = engine.responder.promptness.due(now, delay);
        let goes_along = peer.is_some_and(|peer| out.takes_along(peer.address, ACKNOWLEDGEMENT_LEN));
        if !defers && (due <= now || goes_along) {
            return rc::respond::poll(self, mem, qp, false, out);
        }
        if !core::mem::replace(&mut engine.is_deferred, true) {
            self.deferred.push(qp);
        }
        self.deferred_until = earliest(self.deferred_until, Some(due));
        Sent::Nothing
    }

    /// Finds out whether congestion holds the queue pair back, and until when.
    fn hold(&mut self, now: Time, qp: QpId) {
        let config = self.config.congestion;
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        pair.engine.held_until = pair.engine.limiter.held_until(now, &config);
        if pair.engine.held_until.is_some() {
            self.schedule(qp);
        }
    }

    /// The queue pair sent so many bytes.
    fn charge(&mut self, now: Time, qp: QpId, bytes: u64) {
        let config = self.config.congestion;
        if let Some(pair) = self.registry.qps.get_mut(qp.0) {
            pair.engine.limiter.sent(now, bytes, &config);
        }
    }

    /// Tells the peer that its packets meet congestion (A17.9.3).
    fn notify(&mut self, mem: &mut Memory, now: Time, qp: QpId, out: &mut Transmitter) -> Sent {
        let outgoing = Outgoing {
            opcode: Opcode::CongestionNotification,
            extension: Extension::Notification,
            psn: Psn::new(0),
            solicited: false,
            ack_requested: false,
        };
        let sent = self.emit(mem, qp, &outgoing, Payload::Bytes(&[]), out);
        if let Some(pair) = self.pair(qp)
            && sent == Sent::Something
        {
            pair.engine.notifier.told(now);
            self.counters.np_cnp_sent += 1;
        }
        sent
    }
}

/// Bytes of the datagram of an acknowledgement.
const ACKNOWLEDGEMENT_LEN: usize = BTH_LEN + Shape::Acknowledge.len() + ICRC_LEN;
