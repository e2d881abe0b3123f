//! The tasks outstanding on a connection, known by their tags.
//!
//! An initiator task tag is the place in the table in its low bits, the number of the connection above them (a tag names one
//! task of the whole session: RFC 7143, section 11.2.1.8), and the place's generation in the rest, so a PDU that comes for a
//! task long done finds nothing (until the generation, 17 bits, comes round).

use super::Answer;
use crate::initiator::Data;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::iscsi::Serial;
use wire::scsi::{Cdb, Lun};

/// The table.
#[derive(Debug)]
pub(super) struct Tasks {
    /// The connection's number, in its place in the tags.
    connection: u32,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Tasks of other connections that go on by this one keep their tags: those, and the places of the tasks.
    adopted: Vec<(u32, u16)>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    task: Option<Task>,
}

/// What a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A SCSI command.
    Command,
    /// A task management function.
    Management,
    /// A sign of life.
    Nop,
    /// Text.
    Text,
    /// The end.
    Logout,
}

/// What a task management function ends beside itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ends {
    /// Nothing.
    Nothing,
    /// The task of this tag.
    Task(u32),
    /// What came before it for its logical unit.
    Unit,
}

/// A task that was sent, or waits in the transmit queue.
#[derive(Debug)]
pub(super) struct Task {
    pub kind: Kind,
    /// What the owner of the connection knows it by.
    pub token: u64,
    pub lun: Lun,
    pub data: Data,
    /// Bytes that have come, or were volunteered or asked for.
    pub moved: u32,
    /// The next DataSN of Data-In, or R2TSN.
    pub next_sn: Serial,
    /// Data-Out being sent.
    pub sequence: Option<Sequence>,
    /// An R2T that came while the unsolicited data was being sent.
    pub queued: Option<Sequence>,
    /// Segments of its data in the transmit queue; over RDMA its message, and the key that opens its memory. Its memory may
    /// not go back to its owner before they are gone.
    pub unsent: u16,
    /// The answer has come, but data is unsent or missing.
    pub answer: Option<Answer>,
    /// The number of that answer, while data is missing: it is not acknowledged before.
    pub answer_sn: Option<Serial>,
    /// Data-In that was damaged and is to come again.
    pub missing: Vec<Missing>,
    /// How often data was to come again.
    pub repairs: u32,
    /// The acknowledgement that the target asked for, and that waits for missing data: its tag, and the logical unit with it.
    pub acknowledge: Option<(u32, Lun)>,
    /// The command, for sending it again.
    pub cdb: Cdb,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// When it was put into the transmit queue.
    pub since: Time,
    /// What it ends, if it is a task management function.
    pub ends: Ends,
}

/// A Data-In PDU that was damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Missing {
    pub data_sn: Serial,
    pub offset: u32,
    pub len: u32,
}

/// A sequence of Data-Out PDUs: the unsolicited one, or that of an R2T.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub transfer_tag: u32,
    pub offset: u32,
    pub left: u32,
    pub data_sn: Serial,
}

impl Tasks {
    /// A table for `limit` tasks, 1 to [`TASKS_MAX`] and some of our own, of the connection with this number, which is below
    /// [`CONNECTIONS_MAX`].
    pub fn new(connection_id: u16, limit: u16) -> Self {
        let slots = (0..limit).map(|_| Slot { generation: 0, task: None }).collect();
        let connection_id = if planted(Bug::TagsOfConnectionsAlike) { 0 } else { connection_id };
        let connection = u32::from(connection_id % CONNECTIONS_MAX) << INDEX_BITS;
        Self { connection, slots, free: (0..limit).rev().collect(), adopted: Vec::new() }
    }

    /// Puts a task in and gives its place; `None` if the table is full.
    pub fn insert(&mut self, task: Task) -> Option<u16> {
        let slot = self.free.pop()?;
        self.slots[usize::from(slot)].task = Some(task);
        Some(slot)
    }

    /// The same of a task that another connection had, or this one, under a tag that stays.
    pub fn adopt(&mut self, tag: u32, task: Task) -> Option<u16> {
        let slot = self.insert(task)?;
        self.adopted.push((tag, slot));
        Some(slot)
    }

    /// The tag of the task at a place.
    pub fn tag(&self, slot: u16) -> u32 {
        if let Some((tag, _)) = self.adopted.iter().find(|(_, of)| *of == slot) {
            return *tag;
        }
        let generation = self.slots[usize::from(slot)].generation & GENERATION_MASK;
        generation << (INDEX_BITS + CONNECTION_BITS) | self.connection | u32::from(slot)
    }

    /// The place of a tag a target sent, if that very task is outstanding.
    pub fn find(&self, tag: u32) -> Option<u16> {
        if let Some((_, slot)) = self.adopted.iter().find(|(of, _)| *of == tag) {
            return Some(*slot);
        }
        let slot = (tag & INDEX_MASK) as u16;
        let live = self.slots.get(usize::from(slot))?.task.is_some();
        (live && self.tag(slot) == tag).then_some(slot)
    }

    /// The task at a place, if there is one.
    pub fn get(&self, slot: u16) -> Option<&Task> {
        self.slots.get(usize::from(slot))?.task.as_ref()
    }

    /// The task at a place, if there is one, to change it.
    pub fn get_mut(&mut self, slot: u16) -> Option<&mut Task> {
        self.slots.get_mut(usize::from(slot))?.task.as_mut()
    }

    /// Takes the task at a place out. Its tag is stale from here on.
    pub fn remove(&mut self, slot: u16) -> Option<Task> {
        let place = self.slots.get_mut(usize::from(slot))?;
        let task = place.task.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        self.adopted.retain(|(_, of)| *of != slot);
        Some(task)
    }

    /// How many more can be put in.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// How many tasks it is for.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The places of all tasks.
    pub fn slots(&self) -> Vec<u16> {
        self.iter().map(|(slot, _)| slot).collect()
    }

    /// All tasks, with their places. Places behind the last task are not looked at: most tables are all but empty.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Task)> {
        let places = self.slots.iter().enumerate();
        let tasks = places.filter_map(|(slot, place)| place.task.as_ref().map(|task| (slot as u16, task)));
        tasks.take(self.len())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Task {
    /// Where data from the target goes.
    pub fn in_span(&self) -> Option<Span> {
        match self.data {
            Data::In(span) => Some(span),
            Data::None | Data::Out(_) => None,
        }
    }

    /// Where data for the target is.
    pub fn out_span(&self) -> Option<Span> {
        match self.data {
            Data::Out(span) => Some(span),
            Data::None | Data::In(_) => None,
        }
    }
}

/// The most commands of a connection: ten bits of the tag are the place, and some places are for tasks of our own.
pub const TASKS_MAX: u16 = 1023;
const INDEX_BITS: u32 = 11;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// The most connections of a session: three bits of the tag tell whose it is.
pub const CONNECTIONS_MAX: u16 = 1 << CONNECTION_BITS;
const CONNECTION_BITS: u32 = 3;
/// Seventeen bits: no tag is the reserved one (FFFFFFFFh), or has the highest bit set.
const GENERATION_MASK: u32 = (1 << 17) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn task(token: u64) -> Task {
        Task {
            kind: Kind::Command,
            token,
            lun: Lun::default(),
            data: Data::None,
            moved: 0,
            next_sn: Serial(0),
            sequence: None,
            queued: None,
            unsent: 0,
            answer: None,
            answer_sn: None,
            missing: Vec::new(),
            repairs: 0,
            acknowledge: None,
            cdb: Cdb([0; 16]),
            cmd_sn: Serial(0),
            since: Time::ZERO,
            ends: Ends::Nothing,
        }
    }

    #[test]
    fn a_stale_tag_finds_nothing() {
        let mut tasks = Tasks::new(0, 3);
        let slot = tasks.insert(task(1)).unwrap();
        let first = tasks.tag(slot);
        assert_eq!(tasks.find(first), Some(slot));
        tasks.remove(slot);
        assert_eq!(tasks.find(first), None);
        assert_eq!(tasks.insert(task(2)), Some(slot));
        assert_ne!(tasks.tag(slot), first);
        assert_eq!(tasks.find(first), None);
    }

    #[test]
    fn connections_of_a_session_have_no_tag_in_common() {
        let (mut one, mut other) = (Tasks::new(0, 2), Tasks::new(1, 2));
        let (first, second) = (one.insert(task(1)).unwrap(), other.insert(task(2)).unwrap());
        assert_ne!(one.tag(first), other.tag(second));
        assert_eq!(one.find(other.tag(second)), None);
    }

    #[test]
    fn a_task_keeps_its_tag_wherever_it_goes() {
        let (mut one, mut other) = (Tasks::new(0, 2), Tasks::new(1, 2));
        let slot = one.insert(task(1)).unwrap();
        let tag = one.tag(slot);
        let own = other.insert(task(2)).unwrap();
        let adopted = other.adopt(tag, one.remove(slot).unwrap()).unwrap();
        assert_eq!((other.tag(adopted), other.find(tag), one.find(tag)), (tag, Some(adopted), None));
        assert_eq!(other.find(other.tag(own)), Some(own));
        // Back where it came from, at whatever place: another task has its old one.
        assert_eq!(one.insert(task(3)), Some(slot));
        let back = one.adopt(tag, other.remove(adopted).unwrap()).unwrap();
        assert_ne!(back, slot);
        assert_eq!((one.find(tag), other.find(tag)), (Some(back), None));
        one.remove(back);
        assert_eq!(one.find(tag), None);
        let next = one.insert(task(4)).unwrap();
        assert_ne!(one.tag(next), tag);
    }

    #[test]
    fn no_tag_of_a_target_is_out_of_bounds_and_none_of_ours_is_reserved() {
        let mut tasks = Tasks::new(CONNECTIONS_MAX - 1, TASKS_MAX + 8);
        let mut last = 0;
        while let Some(slot) = tasks.insert(task(0)) {
            tasks.slots[usize::from(slot)].generation = u32::MAX;
            last = last.max(tasks.tag(slot));
        }
        assert!(last < u32::MAX >> 1);
        for tag in [u32::MAX, last + 1, INDEX_MASK, 0] {
            assert_eq!(tasks.find(tag), None, "{tag:#x}");
        }
    }
}
