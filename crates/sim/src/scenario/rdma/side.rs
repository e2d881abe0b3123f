//! One of a link's two queue pairs: its areas of memory, and what is under way.

use super::atomics::Change;
use super::machine::{Machine, SLOT, Slots};
use std::collections::VecDeque;
use stdx::time::Time;
use verbs::{Access, ConnectionId, Destination, Key, Provider, QpId, Registered, Status, WindowKind};

/// See the module.
#[derive(Debug)]
pub(super) struct Side {
    /// The machine it is on.
    pub(super) machine: usize,
    /// Where sends and writes come from, and peers read; nothing ever changes it.
    pub(super) source: Registered,
    /// Where the peer writes.
    pub(super) written: Registered,
    /// Where reads and atomics put what they find.
    pub(super) fetched: Slots,
    /// Where receives put what comes.
    pub(super) received: Slots,
    /// What can be opened onto a part of [`Side::written`]: a window, and a region that is registered by work.
    pub(super) openings: [Key; 2],
    pub(super) qp: Option<QpId>,
    pub(super) connection: Option<ConnectionId>,
    /// Where its datagrams go.
    pub(super) destination: Option<Destination>,
    /// The queue pair sends.
    pub(super) is_up: bool,
    /// Sends that are not complete, in order.
    pub(super) pending: VecDeque<Posted>,
    /// Sends that failed: nobody knows how far they got.
    pub(super) uncertain: Vec<Posted>,
    /// Receives of its own that are not complete, in order: where their bytes go.
    pub(super) receives: VecDeque<u64>,
    /// Messages that are to come, in order; of unreliable services, those that may.
    pub(super) expected: VecDeque<Message>,
    /// Pieces that unreliable writes may have put into [`Side::written`].
    pub(super) perhaps: Vec<(u64, Vec<u8>)>,
    /// What failed first.
    pub(super) failure: Option<Status>,
    /// A part of the peer's memory that was opened for this side.
    pub(super) grant: Option<Grant>,
    /// Keys of the peer's that open nothing any more.
    pub(super) dead_keys: Vec<Key>,
    pub(super) drain: Drain,
    /// How often something was opened.
    pub(super) lives: u8,
    /// The number of the next send.
    pub(super) next_id: u64,
}

/// A send.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub(super) id: u64,
    pub(super) what: Asked,
    pub(super) signaled: bool,
    pub(super) fence: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A message, which is among those expected.
    Message,
    /// A message that nobody should get.
    Misdirected,
    /// Bytes for the peer's memory.
    Write { address: u64, bytes: Vec<u8>, through: Option<Key> },
    /// Bytes of the peer's memory, for a place of ours.
    Read { address: u64, len: usize, slot: u64 },
    /// A change of the peer's cell; what was there comes to a place of ours.
    Atomic { change: Change, slot: u64 },
    /// A part of our memory is opened for the peer.
    Open(Grant),
    /// It is closed.
    Close(Key),
    /// Something that must fail in one of these ways, with a place of ours if there is one.
    Misdeed { fails: &'static [Status], slot: Option<u64> },
}

/// A part of memory that was opened for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    pub(super) key: Key,
    pub(super) address: u64,
    pub(super) len: usize,
    /// It is being closed.
    pub(super) is_closing: bool,
}

/// A message that is to come.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Message {
    /// Its bytes; of a write with immediate data they went elsewhere.
    pub(super) bytes: Vec<u8>,
    pub(super) immediate: Option<u32>,
    pub(super) invalidated: Option<Key>,
    pub(super) is_write: bool,
    /// It does not fit into a receive.
    pub(super) is_too_long: bool,
}

/// Whether the send queue is being drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Drain {
    No,
    Draining,
    /// It is, and stays so until then.
    Drained(Time),
}

impl Side {
    pub(super) fn new(machines: &mut [Machine], number: usize) -> Self {
        let machine = &mut machines[number];
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE).with(Access::REMOTE_READ);
        let source = machine.claim(AREA, Access::REMOTE_READ);
        let written = machine.claim(AREA, access.with(Access::WINDOW_BIND));
        let (fetched, received) = (machine.slots(FETCHES), machine.slots(RECEIVES));
        let openings = openings(machine);
        Self {
            machine: number,
            source,
            written,
            fetched,
            received,
            openings,
            qp: None,
            connection: None,
            destination: None,
            lives: 0,
            is_up: false,
            pending: VecDeque::new(),
            uncertain: Vec::new(),
            receives: VecDeque::new(),
            expected: VecDeque::new(),
            perhaps: Vec::new(),
            failure: None,
            grant: None,
            dead_keys: Vec::new(),
            drain: Drain::No,
            next_id: 0,
        }
    }

    /// Forgets what was of the last life.
    pub(super) fn forget(&mut self) {
        (self.qp, self.connection, self.is_up, self.failure) = (None, None, false, None);
        self.expected.clear();
        self.uncertain.clear();
        self.perhaps.clear();
        self.dead_keys.clear();
        (self.grant, self.drain, self.destination) = (None, Drain::No, None);
    }

    /// Its machine has lost its power: what was under way is not heard of again.
    pub(super) fn lose_power(&mut self, machine: &mut Machine) {
        for address in core::mem::take(&mut self.receives) {
            machine.give_slot(&mut self.received, address);
        }
        for posted in core::mem::take(&mut self.pending) {
            if let Some(slot) = posted.what.slot() {
                machine.give_slot(&mut self.fetched, slot);
            }
            self.uncertain.push(posted);
        }
        (self.qp, self.connection, self.is_up) = (None, None, false);
    }

    /// Its machine has power again: its areas have new keys.
    pub(super) fn regain_power(&mut self, machine: &mut Machine) {
        let received = &mut self.received.memory;
        for area in [&mut self.source, &mut self.written, &mut self.fetched.memory, received] {
            *area = machine.area(area.address);
        }
        self.openings = openings(machine);
    }

    /// True if everything that was posted is complete.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }
}

/// A window and a region that open nothing yet.
pub(super) fn openings(machine: &mut Machine) -> [Key; 2] {
    let pd = machine.pd;
    let window = machine.device.alloc_window(pd, WindowKind::QueuePair).expect("a window");
    [window, machine.device.alloc_region(pd, 1).expect("a region")]
}

/// Bytes of [`Side::source`], and of [`Side::written`].
pub(super) const AREA: usize = 6144;
/// Reads and atomics with a place for what they find.
pub(super) const FETCHES: usize = 8;
/// Receives with a place for what comes.
pub(super) const RECEIVES: usize = 5;
/// Bytes of a side's areas, and between them.
pub(super) const AREAS_BYTES: usize = 2 * AREA + (FETCHES + RECEIVES) * SLOT + 4 * super::machine::GUARD + 64;
