//! Unreliable datagrams: single packets to and from anyone (9.8.3).

use crate::engine::{Arrival, Core, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use shm::Datagram;
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use verbs::parts::{Task, copy_in, move_bytes};
use verbs::{Access, Completion, CompletionKind, Event, Origin, QpId, QpState, Status, What};
use wire::roce::{Deth, Extension, Grh, Opcode};

/// Sends the next packet.
pub(crate) fn poll(core: &mut Core, mem: &mut Memory, qp: QpId, out: &mut Transmitter) -> Sent {
    let mtu = core.config.mtu.bytes();
    let Some(pair) = core.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
    match pair.state {
        QpState::ReadyToSend => {}
        QpState::SendQueueDraining => {
            pair.state = QpState::SendQueueDrained;
            let owner = pair.owner;
            core.registry.events.push_back(Event { owner, what: What::SendQueueDrained(qp) });
            return Sent::Nothing;
        }
        _ => return Sent::Nothing,
    }
    let Some(send) = pair.sends.get(0) else { return Sent::Nothing };
    let Task::Datagram(to, _) = send.task else { return Sent::Nothing };
    if send.len() > u64::from(mtu) {
        core.fail_send(qp, Status::LocalLength);
        return Sent::Nothing;
    }
    match core.neighbours.send_datagram(&mut core.registry, mem, qp, to.address) {
        None => return send_packet(core, mem, qp, out),
        Some(Datagram::Sent) => core.complete_send(qp),
        Some(Datagram::Denied) => core.fail_send(qp, Status::LocalProtection),
        Some(Datagram::Full) => return Sent::Nothing,
    }
    Sent::Something
}

/// Sends the packet at the front over the network.
fn send_packet(core: &mut Core, mem: &mut Memory, qp: QpId, out: &mut Transmitter) -> Sent {
    let Some(pair) = core.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
    let (_, psn) = pair.engine.requester.unreliable();
    let (qpn, own_key) = (pair.qpn, pair.queue_key);
    let Some(send) = pair.sends.get(0) else { return Sent::Nothing };
    let Task::Datagram(to, immediate) = send.task else { return Sent::Nothing };
    // The highest bit asks for the sender's own key (10.2.5).
    let queue_key = if to.queue_key >> 31 == 1 { own_key } else { to.queue_key };
    let deth = Deth { queue_key, source: qpn };
    let (opcode, extension) = match immediate {
        None => (Opcode::UdSendOnly, Extension::Datagram(deth)),
        Some(immediate) => (Opcode::UdSendOnlyImmediate, Extension::DatagramImmediate(deth, immediate)),
    };
    let solicited = send.flags.solicited;
    let outgoing = Outgoing { opcode, extension, psn, solicited, ack_requested: false };
    let mut spans = core::mem::take(&mut core.spans);
    spans.clear();
    let (pd, len) = (pair.init.pd, send.len());
    let gathered = send.gather(&core.registry.regions, pd, 0, len, Access::NONE, &mut spans);
    let sent = match gathered {
        Ok(()) => emit(core, mem, qp, to.address, to.qpn, &outgoing, &spans, out),
        Err(_) => {
            core.fail_send(qp, Status::LocalProtection);
            Sent::Nothing
        }
    };
    core.spans = spans;
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        pair.engine.requester.sent_unreliably(true);
        core.complete_send(qp);
    }
    sent
}

#[expect(clippy::too_many_arguments, reason = "a packet, and where it goes")]
fn emit(
    core: &mut Core,
    mem: &mut Memory,
    qp: QpId,
    address: core::net::IpAddr,
    qpn: u32,
    outgoing: &Outgoing,
    spans: &[stdx::mem::Span],
    out: &mut Transmitter,
) -> Sent {
    let inline = match core.pair(qp).and_then(|pair| pair.sends.get_mut(0)) {
        Some(send) if send.is_inline => core::mem::take(&mut send.inline),
        _ => return core.emit_to(mem, address, qpn, outgoing, Payload::Spans(spans), out),
    };
    let sent = core.emit_to(mem, address, qpn, outgoing, Payload::Bytes(&inline), out);
    if let Some(send) = core.pair(qp).and_then(|pair| pair.sends.get_mut(0)) {
        send.inline = inline;
    }
    sent
}

/// Takes a packet: the forty bytes about its sender, then its own, into the next receive.
pub(crate) fn handle(core: &mut Core, mem: &mut Memory, qp: QpId, arrival: &Arrival) {
    let (deth, immediate) = match arrival.headers.extension {
        Extension::Datagram(deth) => (deth, None),
        Extension::DatagramImmediate(deth, immediate) => (deth, Some(immediate)),
        _ => return,
    };
    let Some(pair) = core.registry.qps.get(qp.0) else { return };
    let pd = pair.init.pd;
    // A packet longer than the port's MTU is none (9.8.3).
    let fits = arrival.payload.len <= core.config.mtu.bytes();
    let is_asked_for = deth.queue_key == pair.queue_key || planted(Bug::QueueKeyUnchecked);
    if !fits || !is_asked_for || !core.registry.take_receive(qp, &mut core.receive) {
        core.counters.dropped += 1;
        return;
    }
    let receive = &core.receive;
    let payload_len = u64::from(arrival.payload.len);
    let len = Grh::LEN as u64 + payload_len;
    let room: u64 = receive.sges.iter().map(|sge| u64::from(sge.len)).sum();
    let (mut front, mut rest) = (core::mem::take(&mut core.spans), core::mem::take(&mut core.others));
    front.clear();
    rest.clear();
    let regions = &core.registry.regions;
    let needed = Access::LOCAL_WRITE;
    let status = if room < len {
        Status::LocalLength
    } else if regions.gather(pd, &receive.sges, 0, Grh::LEN as u64, needed, &mut front).is_err()
        || regions.gather(pd, &receive.sges, Grh::LEN as u64, payload_len, needed, &mut rest).is_err()
    {
        Status::LocalProtection
    } else {
        copy_in(mem, &front, &header(arrival).encode());
        move_bytes(mem, &rest, &[arrival.payload]);
        Status::Success
    };
    (core.spans, core.others) = (front, rest);
    let bare = Completion::failed(qp, receive.id, CompletionKind::Receive, status);
    let done = if status == Status::Success {
        let origin = Some(Origin { address: arrival.from, qpn: deth.source });
        Completion { len: len as u32, immediate, origin, ..bare }
    } else {
        bare
    };
    core.counters.rdma_recvs += 1;
    core.registry.complete(done, true, arrival.headers.bth.solicited);
}

/// What the socket tells of the packet's IP header.
fn header(arrival: &Arrival) -> Grh {
    let datagram_len = arrival.headers.datagram_len(arrival.payload.len());
    Grh {
        source: arrival.from,
        destination: arrival.to,
        udp_len: (datagram_len + UDP_HEADER_LEN) as u16,
        traffic_class: arrival.traffic_class,
        hop_limit: HOP_LIMIT,
    }
}

const UDP_HEADER_LEN: usize = 8;
/// A socket does not tell how many routers the packet passed: as if none.
const HOP_LIMIT: u8 = 64;
