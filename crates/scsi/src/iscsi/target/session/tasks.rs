//! The tasks of a session.
//!
//! ```text
//!   arriving: its own data is to match its digest before it counts (error recovery level 1 and 2)
//!      v
//!            its CmdSN is due            a buffer is there, R2Ts sent      all data is there
//!   parked --------------------> waiting ------------------------> receiving ---------------> executing
//!      \_________________________/   \______ (no data from the initiator) _____________________/   |
//!                                                                                     outcome       v
//!                                              free <------ answered <------ (data still owed: settling)
//! ```
//!
//! Invariants: a tag is in use by at most one task; a task that has a [`TaskKey`] is the executor's until its outcome; a
//! buffer of an executing task is not touched.

use super::Pieces;
use crate::target::{Outcome, TaskKey, Transfer};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::iscsi::Serial;
use wire::iser::Header;
use wire::scsi::{Cdb, Lun};

/// The table. It grows with the load up to the window and the immediate commands beside it.
#[derive(Debug)]
pub(crate) struct Tasks {
    tasks: Vec<Task>,
    /// The tags of all places, beside the tasks so that a search touches little.
    tags: Vec<u32>,
    free: Vec<u32>,
    limit: usize,
}

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    /// The initiator's name for it.
    pub tag: u32,
    /// The connection that data and status go by (RFC 7143, section 4.2.2: allegiance).
    pub connection: Key,
    /// How far it is.
    pub stage: Stage,
    /// What the executor calls it, from its turn to its outcome.
    pub key: Option<TaskKey>,
    /// What came with the command.
    pub request: Request,
    /// What the executor said it moves.
    pub transfer: Transfer,
    /// Its data, if it has a buffer of its own.
    pub buffer: Span,
    /// Data of the initiator, if it sends any.
    pub incoming: Incoming,
    /// The same where it need not come in order, or may come again.
    pub pieces: Option<Box<Pieces>>,
    /// The buffer counts among those that wait for initiators.
    pub solicited: bool,
    /// Data came that did not match its digest: it is not executed.
    pub damaged: bool,
    /// How it ended, while data that the initiator owes is still to come.
    pub outcome: Option<Outcome>,
    /// Bytes of read data it may put into the transmit queue.
    pub promised_bytes: usize,
    /// The initiator's memory for its data, where messages carry the connection.
    pub memory: Header,
    /// The number of the read of that memory which is under way, and has the buffer; 0 for none.
    pub fetch: u32,
}

/// What a command brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The logical unit.
    pub lun: Lun,
    /// The number it came with.
    pub cmd_sn: Serial,
    /// It took no place in the order.
    pub immediate: bool,
    /// How it is ordered.
    pub attribute: crate::target::TaskAttribute,
    /// The command descriptor block.
    pub cdb: Cdb,
    /// Bytes the initiator is ready to send.
    pub out_len: u32,
    /// Bytes the initiator is ready to take.
    pub in_len: u32,
}

/// Data on its way from the initiator. Sequences and the PDUs in them come in order, so that offsets say it all.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Incoming {
    /// Bytes wanted in all.
    pub wanted: u32,
    /// Bytes that have come, or are coming in the PDU being received.
    pub received: u32,
    /// Unsolicited data may go up to here.
    pub unsolicited_end: u32,
    /// More of it is to come.
    pub unsolicited: bool,
    /// Where the data that is asked for begins.
    pub solicited_start: u32,
    /// It was asked for up to here.
    pub asked: u32,
    /// R2Ts sent.
    pub r2ts: u32,
    /// The next Data-Out's number in its sequence.
    pub data_sn: Serial,
    /// A PDU of it is being received.
    pub landing: bool,
}

/// How far a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing is there.
    Free,
    /// Its own data is coming, and counts with the command or not at all.
    Arriving,
    /// Its turn has not come.
    Parked,
    /// It is begun, and waits for a buffer.
    Waiting,
    /// Its data is coming.
    Receiving,
    /// It is submitted.
    Executing,
    /// It has ended; data the initiator owes is waited for.
    Settling,
}

impl Task {
    /// Whether the initiator still has to send something.
    pub(crate) fn owed(&self) -> bool {
        match &self.pieces {
            Some(pieces) => pieces.owed(),
            None => self.incoming.owed(),
        }
    }

    /// Whether all data is there.
    pub(crate) fn is_complete(&self) -> bool {
        match &self.pieces {
            Some(pieces) => !pieces.owed() && pieces.is_complete(self.incoming.wanted),
            None => self.incoming.is_complete(),
        }
    }

    /// Where so many bytes of its data go that begin at `offset`, as far as they fit. Once it is submitted, nowhere.
    pub(crate) fn landing_place(&self, offset: usize, len: usize) -> Span {
        let is_filled = matches!(self.stage, Stage::Parked | Stage::Waiting | Stage::Receiving);
        let room = self.buffer.len().saturating_sub(offset).min(len);
        if is_filled && room > 0 { self.buffer.slice(offset, room) } else { Span::EMPTY }
    }

    /// How much of an early buffer may hold data.
    pub(crate) fn early_len(&self) -> usize {
        match &self.pieces {
            Some(_) => self.buffer.len(),
            None => self.buffer.len().min(self.incoming.received as usize),
        }
    }

    /// Whether it has a place in the window: its turn has come, and it is not answered.
    pub(crate) fn is_numbered(&self) -> bool {
        !self.request.immediate && !matches!(self.stage, Stage::Parked | Stage::Arriving | Stage::Free)
    }

    /// The connection it was to go on by is gone: what was on its way will not come.
    pub(crate) fn lose_connection(&mut self) {
        self.incoming.landing = false;
        if let Some(pieces) = &mut self.pieces {
            pieces.forget_expected();
        }
    }

    /// Whether it needs no buffer, or has it.
    pub(crate) fn has_all_it_needs(&self) -> bool {
        match self.transfer {
            Transfer::None => true,
            Transfer::Out { .. } | Transfer::Both { .. } => {
                self.buffer.len() >= self.incoming.wanted as usize
            }
            Transfer::In { len, .. } => len == 0,
        }
    }
}

impl Incoming {
    /// Whether the initiator still has to send something.
    pub(crate) const fn owed(&self) -> bool {
        self.unsolicited || self.asked > self.received || self.landing
    }

    /// Whether all data is there.
    pub(crate) const fn is_complete(&self) -> bool {
        !self.owed() && self.received >= self.wanted
    }

    /// The end of the sequence that the next byte is of, with bursts of so many bytes.
    pub(crate) fn sequence_end(&self, burst: u32) -> u32 {
        if self.unsolicited {
            return self.unsolicited_end;
        }
        let into = self.received - self.solicited_start;
        self.solicited_start.saturating_add((into / burst + 1).saturating_mul(burst)).min(self.asked)
    }

    /// Sequences that were asked for and have not come whole.
    pub(crate) fn outstanding(&self, burst: u32) -> u32 {
        if self.asked <= self.received {
            return 0;
        }
        let whole = (self.received - self.solicited_start) / burst;
        (self.asked - self.solicited_start).div_ceil(burst) - whole
    }
}

impl Tasks {
    /// An empty table for at most `limit` tasks.
    pub(crate) fn new(limit: usize) -> Self {
        Self { tasks: Vec::new(), tags: Vec::new(), free: Vec::new(), limit: limit.min(SLOTS_MAX) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len() - self.free.len()
    }

    /// Whether another fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.tasks.len() < self.limit
    }

    /// The slot of the task with this tag.
    pub(crate) fn find(&self, tag: u32) -> Option<u32> {
        let of_tag = self.tags.iter().enumerate().filter(|(_, known)| **known == tag);
        let mut live = of_tag.filter(|(place, _)| self.tasks[*place].stage != Stage::Free);
        live.next().map(|(place, _)| place as u32)
    }

    /// Puts a task in. The caller has asked [`Tasks::has_room`] and [`Tasks::find`].
    pub(crate) fn insert(&mut self, task: Task) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.tags[slot as usize] = task.tag;
                self.tasks[slot as usize] = task;
                slot
            }
            None => {
                self.tags.push(task.tag);
                self.tasks.push(task);
                (self.tasks.len() - 1) as u32
            }
        }
    }

    /// The task in a slot, if there is one.
    pub(crate) fn get(&self, slot: u32) -> Option<&Task> {
        self.tasks.get(slot as usize).filter(|task| task.stage != Stage::Free)
    }

    /// The task in a slot, if there is one.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Task> {
        self.tasks.get_mut(slot as usize).filter(|task| task.stage != Stage::Free)
    }

    /// Frees a slot. What the task held is the caller's.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(task) = self.get_mut(slot) {
            task.stage = Stage::Free;
            self.free.push(slot);
        }
    }

    /// All tasks with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        let all = self.tasks.iter().enumerate();
        all.filter(|(_, task)| task.stage != Stage::Free).map(|(slot, task)| (slot as u32, task))
    }

    /// The slots of all tasks of a connection, or of all.
    pub(crate) fn slots(&self, of: Option<Key>) -> Vec<u32> {
        let is_of = |(_, task): &(u32, &Task)| of.is_none_or(|key| task.connection == key);
        self.iter().filter(is_of).map(|(slot, _)| slot).collect()
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        assert!(self.tasks.len() <= self.limit && self.tasks.len() == self.tags.len());
        for (slot, task) in self.iter() {
            assert_eq!(self.find(task.tag), Some(slot), "a tag is used once");
            let begun = matches!(task.stage, Stage::Waiting | Stage::Receiving | Stage::Executing);
            assert_eq!(task.key.is_some(), begun, "the executor has what was begun");
            assert!(!task.solicited || !task.buffer.is_empty());
            task.pieces.iter().for_each(|pieces| pieces.check());
        }
    }
}

/// Tags of ours have a slot in their upper half, and the reserved tag is none of them.
const SLOTS_MAX: usize = 0xfffe;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_bursts_from_where_asking_began() {
        let mut data = Incoming {
            wanted: 1000,
            received: 100,
            solicited_start: 100,
            asked: 1000,
            ..Incoming::default()
        };
        assert_eq!((data.sequence_end(400), data.outstanding(400)), (500, 3));
        data.received = 499;
        assert_eq!((data.sequence_end(400), data.outstanding(400)), (500, 3));
        data.received = 500;
        assert_eq!((data.sequence_end(400), data.outstanding(400)), (900, 2));
        data.received = 900;
        assert_eq!((data.sequence_end(400), data.outstanding(400)), (1000, 1));
        data.received = 1000;
        assert!(data.is_complete() && data.outstanding(400) == 0);
    }
}
