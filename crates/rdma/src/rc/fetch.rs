//! Asks for bytes of the peer's memory: reads and atomics (9.4.4, 9.4.5).

use super::requester::{Flight, mtu};
use crate::engine::{Core, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use stdx::mem::Memory;
use verbs::parts::Task;
use verbs::{QpId, Remote};
use wire::roce::{AtomicEth, Extension, Opcode, Reth};

/// Asks for what is still missing of a read, or for an atomic.
pub(super) fn poll(
    core: &mut Core,
    mem: &mut Memory,
    qp: QpId,
    flight: &Flight,
    out: &mut Transmitter,
) -> Sent {
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let Some(send) = pair.sends.get(pair.engine.requester.cursor) else { return Sent::Nothing };
    let done = flight.received * mtu(pair);
    let (opcode, extension) = match send.task {
        Task::CompareSwap { at, compare, swap } => {
            (Opcode::RcCompareSwap, Extension::Atomic(atomic(at, swap, compare)))
        }
        Task::FetchAdd { at, add } => (Opcode::RcFetchAdd, Extension::Atomic(atomic(at, add, 0))),
        Task::Read(from) => {
            let address = from.address.wrapping_add(u64::from(done));
            let reth = Reth { address, key: from.key.0, len: flight.len - done };
            (Opcode::RcReadRequest, Extension::Remote(reth))
        }
        _ => return Sent::Nothing,
    };
    let outgoing = Outgoing {
        opcode,
        extension,
        psn: flight.first.plus(flight.received),
        solicited: false,
        ack_requested: true,
    };
    let sent = core.emit(mem, qp, &outgoing, Payload::Bytes(&[]), out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        let requester = &mut pair.engine.requester;
        requester.unasked = 0;
        (requester.cursor, requester.packet) = (requester.cursor + 1, 0);
    }
    sent
}

fn atomic(at: Remote, swap_add: u64, compare: u64) -> AtomicEth {
    AtomicEth { address: at.address, key: at.key.0, swap_add, compare }
}
