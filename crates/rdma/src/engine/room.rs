//! How much may be asked for at once: what peers send finds room in the device's socket, and no more.
//!
//! A peer sends all that a read asks for in one breath. What finds no room in the socket is lost, and commands of other peers with
//! it; so the queue pairs of a device share what room there is. Whoever asks takes as much as the answers need, and gives
//! it back as they come, or when they are taken for lost. Who finds too little waits in a line.
//!
//! It is no promise: what peers send of their own accord is not counted, for which a quarter of the socket is left.

use std::collections::VecDeque;
use verbs::{Mtu, QpId};

/// The room of a device's socket.
#[derive(Debug)]
pub(crate) struct Room {
    limit: u64,
    /// What was asked for and has not come.
    taken: u64,
    /// Queue pairs that wait, the first being the next.
    waiting: VecDeque<QpId>,
}

impl Room {
    /// Of a socket that holds so many bytes, for packets of this size at most.
    pub(crate) fn new(inbox_bytes: u32, mtu: Mtu) -> Self {
        // One part is always asked for while another comes.
        let limit = (u64::from(inbox_bytes) / 4 * 3).max(2 * Self::needed(1, mtu.bytes()));
        Self { limit, taken: 0, waiting: VecDeque::new() }
    }

    /// The longest part of a read, in packets with so many bytes of payload: two find room.
    pub(crate) fn part(&self, mtu: u32) -> u32 {
        (self.limit / 2 / Self::needed(1, mtu)).clamp(1, u32::MAX.into()) as u32
    }

    /// Takes room for so many packets; false if there is too little, or others wait longer.
    pub(crate) fn take(&mut self, qp: QpId, packets: u32, mtu: u32) -> bool {
        let needed = Self::needed(packets, mtu);
        let is_next = self.waiting.front().is_none_or(|first| *first == qp);
        let is_granted = self.taken == 0 || is_next && self.taken + needed <= self.limit;
        self.taken += if is_granted { needed } else { 0 };
        is_granted
    }

    /// The queue pair goes to the end of the line, in which it is not yet.
    pub(crate) fn wait(&mut self, qp: QpId) {
        self.waiting.push_back(qp);
    }

    /// The queue pair waits no longer, if it was the next; says whether it was.
    pub(crate) fn leave(&mut self, qp: QpId) -> bool {
        self.waiting.pop_front_if(|first| *first == qp).is_some()
    }

    /// So many packets have come, or will not come.
    pub(crate) fn give_back(&mut self, packets: u32, mtu: u32) {
        self.taken -= Self::needed(packets, mtu);
    }

    /// There is room for whoever waits.
    pub(crate) fn has_news(&self) -> bool {
        !self.waiting.is_empty() && self.taken <= self.limit / 2
    }

    /// The last of those who wait, if there is room for them; they come back if it is too little for all.
    pub(crate) fn poll_waiting(&mut self) -> Option<QpId> {
        self.waiting.pop_back()
    }

    /// Asserts that so much is taken, in the measure of [`Room::needed`].
    pub(crate) fn check(&self, taken: u64) {
        assert_eq!(self.taken, taken, "all that is taken is on its way to somebody");
    }

    /// What so many packets take: their payload, and what there is besides it.
    pub(crate) fn needed(packets: u32, mtu: u32) -> u64 {
        u64::from(packets) * u64::from(mtu + BESIDES)
    }
}

/// Bytes of a packet besides its payload: headers, and what a system keeps with them.
const BESIDES: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::slab::Key;
    use verbs::QpId;

    const MTU: u32 = 1024;

    #[test]
    fn who_finds_too_little_waits_for_its_turn() {
        let [one, two, three] = [1, 2, 3].map(|number| QpId(Key::from_u64(number)));
        let mut room = Room::new(8 * (MTU + BESIDES), Mtu::Mtu1024);
        assert_eq!(room.part(MTU), 3, "a quarter is left for others");
        assert!(room.take(one, 3, MTU) && room.take(one, 2, MTU));
        assert!(!room.take(two, 3, MTU));
        room.wait(two);
        assert!(!room.take(three, 1, MTU), "the second is before it");
        room.wait(three);
        assert!(!room.has_news());
        room.give_back(2, MTU);
        assert!(room.has_news());
        assert!(!room.take(three, 1, MTU) && !room.leave(three));
        assert!(room.take(two, 3, MTU) && room.leave(two) && !room.has_news());
        room.give_back(6, MTU);
        room.check(0);
        assert_eq!(room.poll_waiting(), Some(three));
        assert!(room.take(one, 100, MTU), "who is alone may always ask");
    }
}
