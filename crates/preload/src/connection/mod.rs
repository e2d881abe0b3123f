//! A TCP connection, and what carries it.
//!
//! ```text
//!                                          the peer knocked
//!   Fresh --connect--> Waiting --------------------------------------------+
//!     \                                                                     v
//!      \--accept--> Accepted --some bytes later--> Calling --it was open--> Met
//!
//!   from each but Met: Plain, for ever, with a reason
//! ```
//!
//! Every connection begins as TCP and works as TCP; being carried is something that happens to it later. Once both ends have met
//! over a Unix socket and share a piece of memory ([`ring`]), each end decides for the direction it sends in: it asks the kernel
//! how many bytes of the stream went into TCP, says so in the memory, and puts what follows there. The other end reads
//! TCP up to that place, and then the memory. The way back is the same: when the carried direction ends, the rest of the
//! stream is TCP's. So nothing that a program could see depends on when, or whether, a connection is carried: not the
//! order of bytes, nor the connection's addresses, its end, or its errors.
//!
//! The end that connected opens its door when it sends for the fourth time, after as many answers, before the bytes go; the end that
//! accepted knocks when it has read them. So connections of a few questions cost nothing, those that last find each other
//! if both ends are ours, nobody waits for anybody, and whoever inherits a new connection by fork is the one who gets it
//! carried.
//!
//! Memory: the end that knocks makes it, once it knows that somebody is there. A connection that carries small requests takes five
//! pages of it, one that carries much half a megabyte, and where both ends take turns on a processor two more, until it is closed.
//!
//! Invariants: the end that connected changes its direction first, and the other one only when it has heard of that; so bytes
//! go into a carrier only when somebody looks at its other end. A connection that other processes hold too does not meet.
//! What a row says is shared by forked processes; descriptors and how many there are belong to each.

mod bell;
mod change;
mod handed;
mod look;
mod meet;
mod receive;
mod relayed;
mod retreat;
mod ring;
mod sleep;
mod tally;
mod transmit;

pub use meet::{accepted, connected, has_any_met, inherits, is_refused, listens, waits_for_several};
pub use receive::Request;
pub use transmit::Source;

use crate::descriptors::{self, Entry};
use crate::watch::registry;
use crate::{private, process, rendezvous, rows};
use launch::Reason;
use launch::page::{Phase, ROWS, Row};
use libc::c_int;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A connection that this process holds.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    index: u32,
    row: &'static Row,
    own: &'static Own,
}

/// What of a connection belongs to this process.
#[derive(Debug)]
struct Own {
    /// Descriptors that the program has of it.
    references: AtomicU32,
    /// Connections that were here, up to this one.
    births: AtomicU32,
    /// The bell, and the door where the peer knocks; one more than the descriptor.
    bell: AtomicI32,
    door: AtomicI32,
    /// Where the memory that both ends share lies.
    memory: AtomicPtr<u8>,
    /// Memory of one that a signal's handler closed, at which the thread that it interrupted may be looking.
    left: AtomicPtr<u8>,
    /// When the peer was last looked after while it did not read.
    looked_at: AtomicU64,
    /// What was spared.
    tally: tally::Tally,
}

static OWN: [Own; ROWS] = [const {
    Own {
        references: AtomicU32::new(0),
        births: AtomicU32::new(0),
        bell: AtomicI32::new(0),
        door: AtomicI32::new(0),
        memory: AtomicPtr::new(null_mut()),
        left: AtomicPtr::new(null_mut()),
        looked_at: AtomicU64::new(0),
        tally: tally::Tally::new(),
    }
}; ROWS];

/// No row past this one was ever held here.
static HIGHEST: AtomicU32 = AtomicU32::new(0);

impl Connection {
    /// The connection that a descriptor stands for.
    pub fn of(fd: c_int) -> Option<Connection> {
        Self::at(descriptors::connection(fd)?)
    }

    /// The connection in a row.
    pub fn at(index: u32) -> Option<Connection> {
        Some(Connection { index, row: rows::row(index)?, own: OWN.get(index as usize)? })
    }

    /// All that this process holds.
    pub fn all() -> impl Iterator<Item = Connection> {
        let held = |connection: &Connection| connection.own.references.load(Ordering::Relaxed) > 0;
        (0..HIGHEST.load(Ordering::Relaxed)).filter_map(Connection::at).filter(held)
    }

    /// All that this process has descriptors of, with each of those.
    pub fn by_descriptor() -> impl Iterator<Item = (c_int, Connection)> {
        descriptors::ours().filter_map(|fd| Some((fd, Connection::of(fd)?)))
    }

    /// See [`Connection::leave_memory`].
    pub fn leave_memories() {
        (0..HIGHEST.load(Ordering::Relaxed)).filter_map(Connection::at).for_each(Connection::leave_memory);
    }

    /// A TCP socket that the program just got. Where there is no room, it is none of ours.
    pub fn begin(fd: c_int) -> Option<Connection> {
        if fd <= LAST_STANDARD || fd as usize >= descriptors::DESCRIPTORS || process::is_foreign() {
            return None;
        }
        let connection = Self::at(rows::take()?)?;
        let Connection { index, row, own } = connection;
        for word in [&row.reason, &row.is_client, &row.transmit, &row.receive, &row.lock, &row.waiters] {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&row.tries, &row.ports, &row.flags, &row.sending, &row.calls, &row.sleepers] {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&row.sent, &row.received, &row.changes_at, &row.place] {
            word.store(0, Ordering::Relaxed);
        }
        for word in row.local.iter().chain(&row.peer) {
            word.store(0, Ordering::Relaxed);
        }
        row.process.store(process::own(), Ordering::Relaxed);
        row.holders.store(1, Ordering::Relaxed);
        own.births.fetch_add(1, Ordering::Relaxed);
        own.references.store(1, Ordering::Relaxed);
        HIGHEST.fetch_max(index + 1, Ordering::Relaxed);
        connection.set_phase(Phase::Fresh);
        descriptors::set(fd, Entry::Connection(index));
        Some(connection)
    }

    /// Tells it from others that come to its place.
    fn birth(self) -> u32 {
        self.own.births.load(Ordering::Relaxed)
    }

    /// Is it still there? Another thread may have closed it while this one slept.
    fn is_still(self, birth: u32) -> bool {
        self.birth() == birth && self.own.references.load(Ordering::Acquire) > 0
    }

    /// The row's number.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How far it has come.
    pub fn phase(self) -> Phase {
        Phase::from_number(self.row.phase.load(Ordering::SeqCst))
    }

    fn set_phase(self, phase: Phase) {
        self.row.phase.store(phase as u32, Ordering::SeqCst);
    }

    fn step(self, from: Phase, to: Phase) -> bool {
        let phase = &self.row.phase;
        phase.compare_exchange(from as u32, to as u32, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// It stays on TCP, unless both ends have met already.
    pub fn stay(self, reason: Reason) {
        let phase = self.phase();
        if matches!(phase, Phase::Plain | Phase::Met) || !self.step(phase, Phase::Plain) {
            return;
        }
        self.row.reason.store(reason as u32, Ordering::Relaxed);
        if let Some(stayed) = rows::header().and_then(|header| header.stayed.get(reason as usize)) {
            stayed.fetch_add(1, Ordering::Relaxed);
        }
        // A child of vfork shares our tables, but not our descriptors.
        if !process::is_foreign() {
            self.close_door();
            self.leave_relay();
        }
    }

    /// No other process holds it.
    pub fn is_sole(self) -> bool {
        self.row.holders.load(Ordering::SeqCst) == 1
    }

    /// The descriptor by which both ends wake each other.
    pub fn bell(self) -> Option<c_int> {
        self.own.bell.load(Ordering::Acquire).checked_sub(1).filter(|&fd| fd >= 0)
    }

    fn door(self) -> Option<c_int> {
        self.own.door.load(Ordering::Acquire).checked_sub(1).filter(|&fd| fd >= 0)
    }

    /// Nobody is waited for any more.
    pub fn close_door(self) {
        let door = self.own.door.swap(0, Ordering::AcqRel);
        if door > 0 {
            // Another process that holds the connection has the door too.
            if self.is_sole() { rendezvous::close_door(door - 1) } else { private::close(door - 1) }
        }
    }

    /// The program got one more descriptor of it.
    pub fn duplicated(self, fd: c_int) {
        if fd <= LAST_STANDARD || !descriptors::set(fd, Entry::Connection(self.index)) {
            self.leave_alone(fd, Reason::Stream);
            return;
        }
        self.own.references.fetch_add(1, Ordering::Relaxed);
    }

    /// The program said that it reads no more.
    pub fn reads_no_more(self) {
        self.set_flag(ring::READ_SHUT, true);
    }

    /// The program chose whether calls on it may wait.
    pub fn waits_not(self, is_chosen: bool) {
        self.set_flag(ring::NON_BLOCKING, is_chosen);
    }

    /// The program is about to close one of its descriptors.
    pub fn released(self, fd: c_int) {
        descriptors::set(fd, Entry::Foreign);
        let is_forgotten = registry::forget_descriptor(self, fd);
        if self.own.references.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.leave_for_good(fd);
        self.close_ring(fd, self.is_sole(), is_forgotten);
        let bell = self.own.bell.swap(0, Ordering::AcqRel);
        if bell > 0 {
            private::close(bell - 1);
        }
        self.close_door();
        self.let_go();
    }

    /// This process is the one that uses it.
    fn claim(self) {
        self.row.process.store(process::own(), Ordering::Relaxed);
    }

    /// This process holds it no more. Whoever else does is not known until it moves bytes.
    pub fn let_go(self) {
        self.tell_tally();
        self.row.process.compare_exchange(process::own(), 0, Ordering::Relaxed, Ordering::Relaxed).ok();
        if self.row.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end();
        }
    }

    fn end(self) {
        if let Some(header) = rows::header() {
            header.sent.fetch_add(self.row.sent.load(Ordering::Relaxed), Ordering::Relaxed);
            header.received.fetch_add(self.row.received.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.set_phase(Phase::Fresh);
        // A row that names a process is swept once that has ended: a free one names none, until it is taken.
        self.row.process.store(0, Ordering::SeqCst);
        rows::give_back(self.index);
    }

    /// This process is about to fork.
    pub fn shared(self) {
        self.row.holders.fetch_add(1, Ordering::SeqCst);
    }

    /// This process is about to run another program.
    pub fn given_up(self) {
        self.tell_tally();
        if self.row.holders.fetch_sub(1, Ordering::SeqCst) == 1 {
            // The row is free once the other program has ended, or ours again if there is no other.
            return self.claim();
        }
        self.row.process.compare_exchange(process::own(), 0, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
}

/// Descriptors up to this one are used by the C library's streams, whose calls cannot be seen.
const LAST_STANDARD: c_int = 2;
