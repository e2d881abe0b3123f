//! Asks for bytes of the peer's memory: reads and atomics (9.4.4, 9.4.5).
//!
//! A read that is longer than what finds room at once is asked for in parts, one while another comes. Each is to the peer a read of
//! its own, with numbers that follow. A peer knows a request that comes twice by where it ends (9.7.5.1.6), so what is missing of a
//! part is asked for again up to the part's end.

use super::requester::{Flight, Requester, mtu};
use crate::engine::{Core, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use core::ops::Range;
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
    let mtu = mtu(pair);
    let requester = &pair.engine.requester;
    let part = requester.next_part(flight, pair.sending.initiator_depth, core.room.part(mtu));
    let Some(part) = part else { return Sent::Nothing };
    let Some(send) = pair.sends.get(requester.cursor) else { return Sent::Nothing };
    let (done, end) = (part.start * mtu, flight.len.min(part.end.saturating_mul(mtu)));
    let (opcode, extension) = match send.task {
        Task::CompareSwap { at, compare, swap } => {
            (Opcode::RcCompareSwap, Extension::Atomic(atomic(at, swap, compare)))
        }
        Task::FetchAdd { at, add } => (Opcode::RcFetchAdd, Extension::Atomic(atomic(at, add, 0))),
        Task::Read(from) => {
            let address = from.address.wrapping_add(u64::from(done));
            let reth = Reth { address, key: from.key.0, len: end - done };
            (Opcode::RcReadRequest, Extension::Remote(reth))
        }
        _ => return Sent::Nothing,
    };
    let outgoing = Outgoing {
        opcode,
        extension,
        psn: flight.first.plus(part.start),
        solicited: false,
        ack_requested: true,
    };
    if !core.take_room(qp, part.end - part.start) {
        return Sent::Nothing;
    }
    let sent = core.emit(mem, qp, &outgoing, Payload::Bytes(&[]), out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        pair.engine.requester.asked(&part);
    }
    core.settle(qp);
    sent
}

impl Requester {
    /// Which responses the cursor's flight is asked for next, at most so many; `None` if it has to wait for others.
    ///
    /// Two parts are under way if nothing else is asked for, and the peer answers as many requests: of those that it
    /// may not have heard, both ends are known.
    fn next_part(&self, flight: &Flight, depth: u8, longest: u32) -> Option<Range<u32>> {
        let start = flight.asked_now.max(flight.received);
        let is_again = start < flight.asked;
        let awaited = if is_again || self.unanswered > 1 || depth == 1 { start } else { flight.latest };
        let end =
            if is_again { flight.part_end(start) } else { flight.packets.min(start.saturating_add(longest)) };
        (flight.received >= awaited).then_some(start..end)
    }

    /// True if a flight is being answered to two requests. Only one is at a time.
    pub(super) fn is_asked_twice(&self) -> bool {
        let first = self.flights.iter().find(|flight| !flight.is_answered());
        first.is_some_and(|flight| flight.received < flight.latest)
    }

    /// The cursor's flight was asked for these.
    fn asked(&mut self, part: &Range<u32>) {
        self.unasked = 0;
        let Some(flight) = self.flights.get_mut(self.cursor) else { return };
        if part.end > flight.asked {
            (flight.latest, flight.asked) = (part.start, part.end);
        }
        flight.asked_now = part.end;
        self.due += part.end - part.start;
        self.cursor += usize::from(part.end == flight.packets);
    }
}

fn atomic(at: Remote, swap_add: u64, compare: u64) -> AtomicEth {
    AtomicEth { address: at.address, key: at.key.0, swap_add, compare }
}
