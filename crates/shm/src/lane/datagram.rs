//! Unreliable datagrams to and from neighbours (9.8.3): each one record.

use super::HasLane;
use crate::neighbour::{Bytes, Source};
use crate::neighbourhood::Neighbourhood;
use crate::record::{FIRST, IMMEDIATE, Opcode, Record, SOLICITED};
use core::net::IpAddr;
use stdx::mem::Memory;
use stdx::slab::Key;
use verbs::parts::{Registry, Send, Task, copy_in};
use verbs::{Access, Completion, CompletionKind, Mtu, Origin, PdId, QpId, Status, Transport};
use wire::roce::Grh;

/// What became of the send at the front of a datagram queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram {
    /// It is on its way: it may complete.
    Sent,
    /// The ring is full; the queue pair is woken once there is room.
    Full,
    /// Its gather list names memory that may not be used.
    Denied,
}

/// Writes the send at the front. Its length was checked.
pub(crate) fn send<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    qp: QpId,
    key: Key,
) -> Datagram {
    let Some(pair) = registry.qps.get(qp.0) else { return Datagram::Denied };
    let (pd, own_key) = (pair.init.pd, pair.queue_key);
    let Some(send) = pair.sends.get(0) else { return Datagram::Denied };
    let Task::Datagram(to, immediate) = send.task else { return Datagram::Denied };
    let mut record = Record::new(Opcode::Datagram, to.qpn, pair.qpn, 0);
    record.total = send.len() as u32;
    // The highest bit asks for the sender's own key (10.2.5).
    record.key = if to.queue_key >> 31 == 1 { own_key } else { to.queue_key };
    record.flags = FIRST | if send.flags.solicited { SOLICITED } else { 0 };
    if let Some(immediate) = immediate {
        (record.immediate, record.flags) = (immediate, record.flags | IMMEDIATE);
    }
    let sent = write(hood, registry, mem, pd, key, record, send);
    if sent == Datagram::Full {
        hood.stall(registry, qp, key);
    }
    sent
}

fn write<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &Registry<E>,
    mem: &mut Memory,
    pd: PdId,
    key: Key,
    record: Record,
    send: &Send,
) -> Datagram {
    let carried = if send.is_inline {
        hood.emit_copied(mem, key, record, Bytes::Inline(&send.inline))
    } else {
        let mut spans = core::mem::take(&mut hood.spans);
        spans.clear();
        let gathered = send.gather(&registry.regions, pd, 0, send.len(), Access::NONE, &mut spans);
        let carried = gathered.map(|()| hood.emit_copied(mem, key, record, Bytes::Spans(&spans)));
        hood.spans = spans;
        match carried {
            Ok(carried) => carried,
            Err(_) => return Datagram::Denied,
        }
    };
    if carried.is_some() { Datagram::Sent } else { Datagram::Full }
}

/// Takes a datagram: the forty bytes about its sender, then its own, into the next receive. False if it is dropped.
pub(crate) fn handle<E: HasLane>(
    hood: &mut Neighbourhood,
    registry: &mut Registry<E>,
    mem: &mut Memory,
    from: IpAddr,
    record: &Record,
    source: Source,
) -> bool {
    let Some(qp) = registry.by_qpn(record.destination) else { return false };
    let Some(pair) = registry.qps.get(qp.0) else { return false };
    let is_for_it = pair.init.transport == Transport::UnreliableDatagram
        && pair.state.responds()
        && pair.queue_key == record.key
        && record.len == record.total
        && record.len <= Mtu::Mtu4096.bytes();
    let pd = pair.init.pd;
    let mut receive = core::mem::take(&mut hood.receive);
    let is_taken = is_for_it && registry.take_receive(qp, &mut receive);
    if is_taken {
        let grh_len = Grh::LEN as u64;
        let (len, list, needed) = (source.len() as u64, &receive.sges, Access::LOCAL_WRITE);
        let room: u64 = list.iter().map(|sge| u64::from(sge.len)).sum();
        let regions = &registry.regions;
        let (mut front, mut rest) = (core::mem::take(&mut hood.spans), core::mem::take(&mut hood.others));
        front.clear();
        rest.clear();
        let status = if room < grh_len + len {
            Status::LocalLength
        } else if regions.gather(pd, list, 0, grh_len, needed, &mut front).is_err()
            || regions.gather(pd, list, grh_len, len, needed, &mut rest).is_err()
        {
            Status::LocalProtection
        } else {
            copy_in(mem, &front, &about(from, hood.address(), record.len).encode());
            source.place(mem, &rest);
            Status::Success
        };
        (hood.spans, hood.others) = (front, rest);
        let bare = Completion::failed(qp, receive.id, CompletionKind::Receive, status);
        let done = if status == Status::Success {
            let immediate = record.has(IMMEDIATE).then_some(record.immediate);
            let origin = Some(Origin { address: from, qpn: record.source });
            Completion { len: record.len + Grh::LEN as u32, immediate, origin, ..bare }
        } else {
            bare
        };
        registry.complete(done, true, record.has(SOLICITED));
    }
    hood.receive = receive;
    is_taken
}

/// What a packet of these bytes would say about its sender.
fn about(source: IpAddr, destination: IpAddr, len: u32) -> Grh {
    let udp_len = (len + HEADERS_LEN) as u16;
    Grh { source, destination, udp_len, traffic_class: 0, hop_limit: HOP_LIMIT }
}

/// Bytes of the headers and the CRC around a datagram's: UDP, BTH, DETH, ICRC.
const HEADERS_LEN: u32 = 8 + 12 + 8 + 4;
/// As if it had passed no router.
const HOP_LIMIT: u8 = 64;
