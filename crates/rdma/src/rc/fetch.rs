//! Asks for bytes of the peer's memory: reads and atomics (9.4.4, 9.4.5).
//!
//! A read is asked for whole, until something was lost. Then its peer, which sends all that it is asked for at once, is asked for as
//! much as the window has room for, in two parts, so that the second shows whether the first is whole. Each part is to the peer
//! a read of its own, with numbers that follow.
//!
//! A peer knows a request that comes twice by what it asked for, and Linux's forgets what lies before the last (9.7.5.1.6);
//! nobody knows which of several it has heard. So what is asked for again ends where it did before, or where its part does, and
//! more is asked for again when that has come.

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
    let widest = core.config.window_packets;
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let requester = &pair.engine.requester;
    let Some(part) = requester.next_part(flight, pair.sending.initiator_depth, widest) else {
        return Sent::Nothing;
    };
    let Some(send) = pair.sends.get(requester.cursor) else { return Sent::Nothing };
    let (done, end) = (part.start * mtu(pair), part.end.saturating_mul(mtu(pair)));
    let (opcode, extension) = match send.task {
        Task::CompareSwap { at, compare, swap } => {
            (Opcode::RcCompareSwap, Extension::Atomic(atomic(at, swap, compare)))
        }
        Task::FetchAdd { at, add } => (Opcode::RcFetchAdd, Extension::Atomic(atomic(at, add, 0))),
        Task::Read(from) => {
            let address = from.address.wrapping_add(u64::from(done));
            let reth = Reth { address, key: from.key.0, len: flight.len.min(end) - done };
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
    let sent = core.emit(mem, qp, &outgoing, Payload::Bytes(&[]), out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
    {
        pair.engine.requester.asked(&part);
    }
    sent
}

impl Requester {
    /// Which responses the cursor's flight is asked for next; `None` if it has to wait for others.
    fn next_part(&self, flight: &Flight, depth: u8, widest: u32) -> Option<Range<u32>> {
        let start = self.packet.max(flight.received);
        let is_again = start < flight.asked;
        let awaited = match is_again || self.unanswered > 1 || depth == 1 {
            true => start,
            false => flight.latest,
        };
        if flight.received < awaited {
            return None;
        }
        let end = match is_again {
            true if start < flight.again => return Some(start..flight.again),
            true if start < flight.latest => flight.latest,
            true => flight.asked,
            false => flight.packets,
        };
        if !self.narrowing.is_narrow() {
            return Some(start..end);
        }
        let window = self.narrowing.window(widest);
        let (ahead, part) = (self.answers_ahead() + start - flight.received, window.div_ceil(2));
        let has_room = ahead == 0 || window.saturating_sub(ahead) >= part.min(end - start);
        has_room.then(|| start..end.min(start.saturating_add(part)))
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
        } else {
            flight.again = part.end;
        }
        if part.end < flight.packets {
            (flight.in_parts, self.packet) = (true, part.end);
        } else {
            (self.cursor, self.packet) = (self.cursor + 1, 0);
        }
    }
}

fn atomic(at: Remote, swap_add: u64, compare: u64) -> AtomicEth {
    AtomicEth { address: at.address, key: at.key.0, swap_add, compare }
}
