//! A packet that has come: to which queue pair it goes, and whether it may (9.6.1, 9.7.1 to 9.7.3, 10.5.2.2).

use super::Core;
use crate::congestion::notifier::is_marked;
use crate::{rc, uc, ud};
use core::net::IpAddr;
use stdx::mem::{Memory, Span};
use stdx::time::Time;
use verbs::{Event, MULTICAST_QPN, QpId, QpState, Transport, What};
use wire::roce::{self, Headers};

/// A packet that has come, its CRC found right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The port that sent it.
    pub(crate) from: IpAddr,
    /// The port it was sent to.
    pub(crate) to: IpAddr,
    /// Its headers.
    pub(crate) headers: Headers,
    /// Its payload, without padding.
    pub(crate) payload: Span,
    /// Type of service, or traffic class.
    pub(crate) traffic_class: u8,
}

impl Core {
    /// Takes a packet for one of our queue pairs.
    pub(crate) fn handle_packet(&mut self, mem: &mut Memory, now: Time, arrival: &Arrival) {
        let bth = &arrival.headers.bth;
        let Some(qp) = self.registry.by_qpn(bth.destination) else {
            self.counters.unroutable += 1;
            return;
        };
        if !self.is_welcome(qp, arrival) {
            self.counters.unroutable += 1;
            return;
        }
        if is_marked(arrival.traffic_class) {
            self.handle_marked(now, qp);
        }
        match bth.opcode.transport() {
            roce::Transport::ReliableConnection => {
                self.note_first_packet(qp);
                if bth.opcode.is_response() {
                    rc::completer::handle(self, mem, now, qp, arrival);
                } else {
                    rc::responder::handle(self, mem, qp, arrival);
                }
            }
            roce::Transport::UnreliableConnection => {
                self.note_first_packet(qp);
                uc::handle(self, mem, qp, arrival);
            }
            roce::Transport::UnreliableDatagram => ud::handle(self, mem, qp, arrival),
            roce::Transport::Congestion => self.handle_notification(now, qp),
        }
        self.schedule(qp);
    }

    /// Takes a packet for every member of a multicast group, as if it had come for each alone (10.5.2.1).
    pub(crate) fn handle_multicast(&mut self, mem: &mut Memory, arrival: &Arrival) {
        let bth = &arrival.headers.bth;
        let is_datagram = bth.opcode.transport() == roce::Transport::UnreliableDatagram;
        if bth.destination != MULTICAST_QPN || !is_datagram {
            self.counters.unroutable += 1;
            return;
        }
        let mut place = 0;
        while let Some(member) = self.registry.groups.member(arrival.to, place) {
            if self.is_welcome(member, arrival) {
                ud::handle(self, mem, member, arrival);
            }
            place += 1;
        }
        if is_marked(arrival.traffic_class) && place > 0 {
            self.counters.np_ecn_marked_roce_packets += 1;
        }
    }

    /// A packet met congestion on its way: its sender is to know. A datagram's sender is not told.
    fn handle_marked(&mut self, now: Time, qp: QpId) {
        self.counters.np_ecn_marked_roce_packets += 1;
        let interval = self.config.congestion.notification_interval;
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        if pair.peer.is_some() {
            pair.engine.notifier.handle_marked(now, interval);
            self.activate(qp);
        }
    }

    /// Our packets meet congestion.
    fn handle_notification(&mut self, now: Time, qp: QpId) {
        let config = self.config.congestion;
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        if pair.peer.is_some() {
            pair.engine.limiter.handle_notification(now, &config);
            self.counters.rp_cnp_handled += 1;
        } else {
            self.counters.rp_cnp_ignored += 1;
        }
    }

    /// The packet is of the port's partition, whichever members they are (9.6.1.1.3).
    pub(crate) const fn is_partition(&self, key: u16) -> bool {
        (key ^ self.config.partition_key) & MEMBERSHIP == 0
    }

    /// The packet is of the queue pair's service, partition and peer, and comes at a time for packets.
    fn is_welcome(&self, qp: QpId, arrival: &Arrival) -> bool {
        let Some(pair) = self.registry.qps.get(qp.0) else { return false };
        let bth = &arrival.headers.bth;
        let service = match pair.init.transport {
            Transport::ReliableConnection => roce::Transport::ReliableConnection,
            Transport::UnreliableConnection => roce::Transport::UnreliableConnection,
            Transport::UnreliableDatagram => roce::Transport::UnreliableDatagram,
        };
        let packets = bth.opcode.transport();
        let is_same_service = packets == service || packets == roce::Transport::Congestion;
        let is_peer = pair.peer.is_none_or(|peer| peer.address == arrival.from);
        let is_partition = self.is_partition(bth.partition_key);
        let is_by_network = pair.engine.lane.is_network();
        is_same_service && is_peer && is_partition && is_by_network && pair.state.responds()
    }

    /// A peer that sends knows that the connection is there; our owner may not know yet (10.3.1.3).
    fn note_first_packet(&mut self, qp: QpId) {
        let Some(pair) = self.registry.qps.get_mut(qp.0) else { return };
        if pair.engine.responder.note_first_packet() {
            return;
        }
        let (state, owner) = (pair.state, pair.owner);
        self.heard.push(qp);
        if state == QpState::ReadyToReceive {
            self.registry.events.push_back(Event { owner, what: What::Established(qp) });
        }
    }
}

/// The bits of a partition key that must agree; the highest says what kind of member.
const MEMBERSHIP: u16 = 0x7fff;
