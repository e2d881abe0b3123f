//! Unreliable connections: messages arrive whole or not at all, and nobody is told (9.8.2).

use crate::engine::{Arrival, Core, Outgoing, Sent};
use crate::rc::message;
use crate::rc::requester::{mtu, send_payload};
use crate::rc::responder;
use crate::transmit::Transmitter;
use stdx::mem::Memory;
use verbs::{Event, QpId, QpState, Status, Transport, What};

/// Sends the next packet.
pub(crate) fn poll(core: &mut Core, mem: &mut Memory, qp: QpId, out: &mut Transmitter) -> Sent {
    let message_max = core.config.limits.message_bytes;
    let Some(pair) = core.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
    let (index, psn) = pair.engine.requester.unreliable();
    if pair.state == QpState::SendQueueDraining && index == 0 {
        pair.state = QpState::SendQueueDrained;
        let owner = pair.owner;
        core.registry.events.push_back(Event { owner, what: What::SendQueueDrained(qp) });
    }
    if !matches!(pair.state, QpState::ReadyToSend | QpState::SendQueueDraining) {
        return Sent::Nothing;
    }
    let mtu = mtu(pair);
    let Some(send) = pair.sends.get(0) else { return Sent::Nothing };
    if send.task.is_local() {
        return crate::rc::requester::do_local_now(core, qp);
    }
    let len = send.len();
    if len > u64::from(message_max) {
        core.fail_send(qp, Status::LocalLength);
        return Sent::Nothing;
    }
    let len = len as u32;
    let count = message::packets(len, mtu);
    let place = message::position(index, count);
    let (opcode, extension) = message::request(Transport::UnreliableConnection, send, place, len);
    let solicited = place.ends() && send.flags.solicited;
    let outgoing = Outgoing { opcode, extension, psn, solicited, ack_requested: false };
    let offset = index * mtu;
    let sent = send_payload(core, mem, qp, &outgoing, offset, mtu.min(len - offset), out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        pair.engine.requester.sent_unreliably(place.ends());
        if place.ends() {
            core.complete_send(qp);
        }
    }
    sent
}

/// Takes a packet.
pub(crate) fn handle(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival) {
    if !responder::handle_unreliable(core, mem, qp, arrival) {
        core.counters.dropped += 1;
    }
}
