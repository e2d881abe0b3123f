//! A TCP connection, and what carries it.
//!
//! ```text
//!                     the peer's listener is marked              the peer knocked
//!   Fresh --connect--------------------------------> Waiting -----------------------+
//!     \                                                                             v
//!      \--accept--> Accepted --first bytes read--> Calling --the door was open---> Met
//!
//!   from each but Met: Plain, for ever, with a reason
//! ```
//!
//! Every connection begins as TCP and works as TCP; being carried is something that happens to it later. Once both ends have met
//! over a Unix socket (the carrier), each end decides for the direction it sends in: it asks the kernel how many bytes of the
//! stream went into TCP, says so as the carrier's first bytes, and sends what follows through it. The other end reads
//! TCP up to that place, and then the carrier. The way back is the same: when the carrier's direction ends, the rest of the
//! stream is TCP's. So nothing that a program could see depends on when, or whether, a connection is carried: not the
//! order of bytes, nor the connection's addresses, its end, or its errors.
//!
//! The end that connected opens its door before the program can send a byte; the end that accepted knocks when it has read
//! its first ones. So the two always find each other if both are ours, nobody waits for anybody, and whoever inherits a new
//! connection by fork is the one who gets it carried.
//!
//! Invariants: the end that connected changes its direction first, and the other one only when it has heard of that; so bytes
//! go into a carrier only when somebody looks at its other end. A connection that other processes hold too does not meet.
//! What a row says is shared by forked processes; descriptors and how many there are belong to each.

mod change;
mod meet;
mod receive;
mod retreat;
mod transmit;

pub use meet::{accepted, connected, is_refused, listens};
pub use receive::Request;

use crate::descriptors::{self, Entry};
use crate::watch::registry;
use crate::{private, process, rows};
use launch::Reason;
use launch::page::{Phase, ROWS, Row};
use libc::c_int;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

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
    /// The carrier, or the door where the peer knocks; one more than the descriptor.
    carrier: AtomicI32,
    door: AtomicI32,
}

static OWN: [Own; ROWS] =
    [const { Own { references: AtomicU32::new(0), carrier: AtomicI32::new(0), door: AtomicI32::new(0) } };
        ROWS];

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
        for word in [&row.tries, &row.ports, &row.flags] {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&row.sent, &row.received, &row.changes_at, &row.place] {
            word.store(0, Ordering::Relaxed);
        }
        row.holders.store(1, Ordering::Relaxed);
        own.references.store(1, Ordering::Relaxed);
        HIGHEST.fetch_max(index + 1, Ordering::Relaxed);
        connection.set_phase(Phase::Fresh);
        descriptors::set(fd, Entry::Connection(index));
        Some(connection)
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
        }
    }

    /// No other process holds it.
    pub fn is_sole(self) -> bool {
        self.row.holders.load(Ordering::SeqCst) == 1
    }

    /// The descriptor that carries it.
    pub fn carrier(self) -> Option<c_int> {
        self.own.carrier.load(Ordering::Acquire).checked_sub(1).filter(|&fd| fd >= 0)
    }

    fn door(self) -> Option<c_int> {
        self.own.door.load(Ordering::Acquire).checked_sub(1).filter(|&fd| fd >= 0)
    }

    fn close_door(self) {
        let door = self.own.door.swap(0, Ordering::AcqRel);
        if door > 0 {
            private::close(door - 1);
        }
    }

    /// The program got one more descriptor of it.
    pub fn duplicated(self, fd: c_int) {
        if fd <= LAST_STANDARD || !descriptors::set(fd, Entry::Connection(self.index)) {
            self.leave_alone(Reason::Stream);
            return;
        }
        self.own.references.fetch_add(1, Ordering::Relaxed);
    }

    /// The program is about to close one of its descriptors.
    pub fn released(self, fd: c_int) {
        descriptors::set(fd, Entry::Foreign);
        registry::forget_descriptor(self, fd);
        if self.own.references.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let carrier = self.own.carrier.swap(0, Ordering::AcqRel);
        if carrier > 0 {
            private::close(carrier - 1);
        }
        self.close_door();
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
        self.row.used.store(0, Ordering::Release);
    }

    /// This process is about to fork.
    pub fn shared(self) {
        self.row.holders.fetch_add(1, Ordering::SeqCst);
    }

    /// This process is about to run another program, or to end.
    pub fn given_up(self) {
        self.row.holders.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Descriptors up to this one are used by the C library's streams, whose calls cannot be seen.
const LAST_STANDARD: c_int = 2;
