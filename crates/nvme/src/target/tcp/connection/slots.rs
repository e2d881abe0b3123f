//! The commands of a connection that are under way.
//!
//! ```text
//!            capsule, no data from the host
//!   free ------------------------------------> executing ---- response ----> free
//!     \                                          ^
//!      +-- capsule with data, or R2T sent --> receiving (all its bytes have come)
//! ```
//!
//! Invariants: a command identifier is in use by at most one slot; a slot in `receiving` holds a buffer of the shard; a
//! slot in `executing` is the target's until its response comes.

use crate::target::identifiers::IdentifierSet;
use stdx::mem::Span;
use wire::nvme::{Status, SubmissionQueueEntry};

/// The table. It grows with the load up to the queue's depth.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u16>,
    limit: usize,
    identifiers: IdentifierSet,
    receiving: usize,
    executing: usize,
}

/// A command under way.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The command as it came.
    pub command: SubmissionQueueEntry,
    /// How far it is.
    pub stage: Stage,
    /// Its data, if it has a buffer of its own.
    pub buffer: Span,
    /// Bytes of data the host owes in all.
    pub wanted: u32,
    /// Bytes of it that have come, or are coming in the PDU being received.
    pub received: u32,
    /// The host is to be asked for the data by an R2T, or was; the buffer then counts among those that wait for hosts.
    pub solicited: bool,
    /// What went wrong while its data came; it is then not executed.
    pub failed: Option<Status>,
    /// Bytes of read data it may put into the transmit queue.
    pub promised_bytes: u32,
    /// Bytes of headers its answer may take.
    pub header_bytes: u32,
}

/// How far a command is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing is there.
    Free,
    /// Its data is coming from the host.
    Receiving,
    /// It is the target's.
    Executing,
}

impl Slots {
    /// An empty table for at most `limit` commands.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit: limit.min(usize::from(u16::MAX)),
            identifiers: IdentifierSet::default(),
            receiving: 0,
            executing: 0,
        }
    }

    /// Whether another command fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit
    }

    /// Whether a command with this identifier is under way.
    pub(crate) fn in_use(&self, command_id: u16) -> bool {
        self.identifiers.contains(command_id)
    }

    /// Commands whose data is coming.
    pub(crate) const fn receiving(&self) -> usize {
        self.receiving
    }

    /// Commands the target has.
    pub(crate) const fn executing(&self) -> usize {
        self.executing
    }

    /// Puts a command in. The caller has asked [`Slots::has_room`] and [`Slots::in_use`].
    pub(crate) fn insert(&mut self, slot: Slot) -> u16 {
        self.identifiers.insert(slot.command.command_id.get());
        self.count(slot.stage, 1);
        match self.free.pop() {
            Some(index) => {
                self.slots[usize::from(index)] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u16
            }
        }
    }

    /// The command in a slot, if there is one.
    pub(crate) fn get(&self, index: u16) -> Option<&Slot> {
        self.slots.get(usize::from(index)).filter(|slot| slot.stage != Stage::Free)
    }

    /// The command in a slot, if there is one.
    pub(crate) fn get_mut(&mut self, index: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(index)).filter(|slot| slot.stage != Stage::Free)
    }

    /// All data of a command has come: it goes to the target.
    pub(crate) fn start(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        debug_assert_eq!(slot.stage, Stage::Receiving);
        slot.stage = Stage::Executing;
        self.receiving -= 1;
        self.executing += 1;
    }

    /// Empties a slot; says what was in it. Its buffer is the caller's now.
    pub(crate) fn remove(&mut self, index: u16) -> Option<Removed> {
        let slot = self.get_mut(index)?;
        let command_id = slot.command.command_id.get();
        let removed = Removed {
            command_id,
            stage: slot.stage,
            buffer: slot.buffer,
            solicited: slot.solicited,
            received: slot.received,
            promised_bytes: slot.promised_bytes,
            header_bytes: slot.header_bytes,
        };
        slot.stage = Stage::Free;
        self.count(removed.stage, -1);
        self.identifiers.remove(command_id);
        self.free.push(index);
        Some(removed)
    }

    /// A slot whose data is still coming, if there is one: for giving them up one by one.
    pub(crate) fn any_receiving(&self) -> Option<u16> {
        self.slots.iter().position(|slot| slot.stage == Stage::Receiving).map(|index| index as u16)
    }

    /// All commands under way.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.stage != Stage::Free)
    }

    fn count(&mut self, stage: Stage, by: isize) {
        match stage {
            Stage::Free => {}
            Stage::Receiving => self.receiving = self.receiving.wrapping_add_signed(by),
            Stage::Executing => self.executing = self.executing.wrapping_add_signed(by),
        }
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        let count = |stage| self.slots.iter().filter(|slot| slot.stage == stage).count();
        assert_eq!(count(Stage::Receiving), self.receiving);
        assert_eq!(count(Stage::Executing), self.executing);
        assert_eq!(count(Stage::Free), self.free.len());
        assert!(self.slots.len() <= self.limit);
        assert!(self.iter().all(|slot| self.in_use(slot.command.command_id.get())));
        assert_eq!(self.identifiers.len(), self.receiving + self.executing);
    }
}

/// What a slot held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removed {
    /// The command's identifier.
    pub command_id: u16,
    /// How far it was.
    pub stage: Stage,
    /// Its data.
    pub buffer: Span,
    /// Whether its data was asked for by an R2T.
    pub solicited: bool,
    /// Bytes of its data that had come or were coming.
    pub received: u32,
    /// See [`Slot::promised_bytes`].
    pub promised_bytes: u32,
    /// See [`Slot::header_bytes`].
    pub header_bytes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use stdx::prng::Prng;

    fn slot(command_id: u16, stage: Stage) -> Slot {
        Slot {
            command: SubmissionQueueEntry::new(0, command_id),
            stage,
            buffer: Span::EMPTY,
            wanted: 0,
            received: 0,
            solicited: false,
            failed: None,
            promised_bytes: 0,
            header_bytes: 0,
        }
    }

    #[test]
    fn identifiers_are_in_use_from_insertion_to_removal() {
        let mut slots = Slots::new(128);
        let mut live: BTreeMap<u16, u16> = BTreeMap::new();
        let mut prng = Prng::new(3);
        for _ in 0..10_000 {
            let id = prng.below(300) as u16 * 219;
            assert_eq!(slots.in_use(id), live.contains_key(&id));
            match live.remove(&id) {
                Some(index) => {
                    let removed = slots.remove(index).expect("it was put in");
                    assert_eq!((removed.command_id, slots.remove(index).is_none()), (id, true));
                }
                None if slots.has_room() => {
                    let stage = if prng.chance(1, 2) { Stage::Receiving } else { Stage::Executing };
                    live.insert(id, slots.insert(slot(id, stage)));
                }
                None => assert_eq!(live.len(), 128),
            }
            slots.check();
        }
    }
}
