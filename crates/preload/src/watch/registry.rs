//! Which epoll sets watch which connections, and for what.
//!
//! While a connection is plain the kernel has what the program said. Once it has met its peer, the set holds two descriptors:
//! the socket and the carrier, with numbers of ours as data, by which [`super::epoll`] finds what to tell the program.
//! So sets stay the kernel's: nested ones, edges, single shots and threads that wait already need nothing of ours.

use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::lock::Lock;
use crate::{errno, next};
use launch::page::{Phase, ROWS};
use libc::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDNORM,
    EPOLLWRNORM, c_int, epoll_event,
};

/// What a set watches of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// The set.
    pub set: c_int,
    /// The program's descriptor.
    pub fd: c_int,
    /// The connection's row.
    pub connection: u32,
    /// What the program asked for.
    pub events: u32,
    /// What the program wants to be told.
    pub data: u64,
    /// The only event was told, and the program has not asked again.
    is_spent: bool,
    /// The carrier is in the set.
    has_carrier: bool,
    /// The connection's next watch; one more than its number.
    next: u32,
}

/// What our data look like: no address of a program's memory, and no small number.
const TAG: u64 = 0xfeed_57e7 << 32;
const TAG_MASK: u64 = u64::MAX << 32;

/// Watches by number, and by connection.
struct Watches {
    slots: Vec<Option<Watch>>,
    free: Vec<usize>,
    /// The first of each connection; one more than its number.
    heads: [u32; ROWS],
}

static WATCHES: Lock<Watches> = Lock::new(Watches { slots: Vec::new(), free: Vec::new(), heads: [0; ROWS] });

/// Before a fork.
pub fn hold() {
    WATCHES.hold();
}

/// After it.
pub fn let_go() {
    WATCHES.let_go();
}

/// Which watch an event is about, and whether its carrier's half; nothing if the data are the program's.
pub fn decode(data: u64) -> Option<(usize, bool)> {
    (data & TAG_MASK == TAG).then_some(((data & !TAG_MASK) as usize >> 1, data & 1 == 1))
}

/// A watch by its number.
pub fn get(index: usize) -> Option<Watch> {
    WATCHES.with(|watches| watches.slots.get(index).copied().flatten())
}

/// The program changed what a set watches of a descriptor, and the kernel did it as the program said. A connection that has met its
/// peer is watched by both of its descriptors from here on.
pub fn record(set: c_int, fd: c_int, connection: Connection, event: epoll_event) {
    if descriptors::get(set) == Entry::Foreign {
        descriptors::set(set, Entry::Set);
    }
    WATCHES.with(|watches| {
        let known = watches.of(connection.index()).find(|&(_, watch)| watch.set == set && watch.fd == fd);
        let (number, before) = match known {
            Some((number, watch)) => (number, watch),
            None => watches.add(connection.index(), set, fd),
        };
        let changed = Watch { events: event.events, data: event.u64, is_spent: false, ..before };
        watches.slots[number] = Some(changed);
        synchronize(number, &mut watches.slots[number]);
    });
}

/// The program took a descriptor out of a set.
pub fn forget(connection: Connection, set: c_int, fd: c_int) {
    WATCHES.with(|watches| watches.remove_of(connection.index(), |watch| watch.set == set && watch.fd == fd));
}

/// The program is about to close a connection's descriptor.
pub fn forget_descriptor(connection: Connection, fd: c_int) {
    WATCHES.with(|watches| watches.remove_of(connection.index(), |watch| watch.fd == fd));
}

/// The program is about to close a set.
pub fn forget_set(set: c_int) {
    WATCHES.with(|watches| {
        for number in 0..watches.slots.len() {
            if let Some(watch) = watches.slots[number].filter(|watch| watch.set == set) {
                watches.remove_of(watch.connection, |watch| watch.set == set);
            }
        }
    });
}

/// A connection's bytes go another way now.
pub fn changed(connection: Connection) {
    WATCHES.with(|watches| {
        let mut next = watches.heads[connection.index() as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            synchronize(number, &mut watches.slots[number]);
            next = watches.slots[number].map_or(0, |watch| watch.next);
        }
    });
}

/// A watch for a single event has told it.
pub fn spend(index: usize) {
    WATCHES.with(|watches| {
        let Some(slot) = watches.slots.get_mut(index) else { return };
        if let Some(watch) = slot.as_mut() {
            watch.is_spent = true;
        }
        synchronize(index, slot);
    });
}

impl Watches {
    /// A connection's watches, with their numbers.
    fn of(&self, connection: u32) -> impl Iterator<Item = (usize, Watch)> {
        let at = |next: u32| {
            let number = next.checked_sub(1)? as usize;
            Some((number, self.slots.get(number).copied().flatten()?))
        };
        std::iter::successors(at(self.heads[connection as usize]), move |(_, watch)| at(watch.next))
    }

    fn add(&mut self, connection: u32, set: c_int, fd: c_int) -> (usize, Watch) {
        let head = &mut self.heads[connection as usize];
        let watch = Watch {
            set,
            fd,
            connection,
            events: 0,
            data: 0,
            is_spent: false,
            has_carrier: false,
            next: *head,
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        *head = number as u32 + 1;
        self.slots[number] = Some(watch);
        (number, watch)
    }

    /// Removes those of a connection's watches that are meant.
    fn remove_of(&mut self, connection: u32, is_meant: impl Fn(&Watch) -> bool) {
        let carrier = Connection::at(connection).and_then(Connection::carrier);
        let mut before: Option<usize> = None;
        let mut next = self.heads[connection as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            let Some(watch) = self.slots[number] else { break };
            next = watch.next;
            if !is_meant(&watch) {
                before = Some(number);
                continue;
            }
            if let Some(carrier) = carrier.filter(|_| watch.has_carrier) {
                control(watch.set, EPOLL_CTL_DEL, carrier, 0, 0);
            }
            match before.and_then(|before| self.slots[before].as_mut()) {
                Some(before) => before.next = next,
                None => self.heads[connection as usize] = next,
            }
            self.slots[number] = None;
            self.free.push(number);
        }
    }
}

/// Makes the kernel watch what it has to, if both ends have met.
fn synchronize(index: usize, slot: &mut Option<Watch>) {
    let Some(watch) = slot else { return };
    let Some(connection) = Connection::at(watch.connection) else { return };
    let Some(carrier) = connection.carrier().filter(|_| connection.phase() == Phase::Met) else { return };
    let tag = TAG | (index as u64) << 1;
    let (socket, carried) = if watch.is_spent { (0, 0) } else { wanted(watch, connection) };
    control(watch.set, EPOLL_CTL_MOD, watch.fd, socket, tag);
    let is_needed = carried & (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM) as u32 != 0;
    match (watch.has_carrier, is_needed) {
        (true, true) => control(watch.set, EPOLL_CTL_MOD, carrier, carried, tag | 1),
        (false, true) => control(watch.set, EPOLL_CTL_ADD, carrier, carried, tag | 1),
        (true, false) => control(watch.set, EPOLL_CTL_DEL, carrier, 0, 0),
        (false, false) => {}
    }
    watch.has_carrier = is_needed;
}

/// What to watch of the socket and of the carrier.
fn wanted(watch: &Watch, connection: Connection) -> (u32, u32) {
    let readable = (EPOLLIN | EPOLLRDNORM) as u32;
    let writable = (EPOLLOUT | EPOLLWRNORM) as u32;
    let how = watch.events & (EPOLLET | EPOLLONESHOT) as u32;
    let (mut socket, mut carried) = (watch.events, how);
    if connection.sends_by_carrier() {
        socket &= !writable;
        carried |= watch.events & writable;
    }
    if connection.hears_carrier() {
        carried |= watch.events & readable;
    }
    (socket, carried)
}

fn control(set: c_int, operation: c_int, fd: c_int, events: u32, data: u64) {
    let mut event = epoll_event { events, u64: data };
    errno::kept(|| {
        // SAFETY: the event is on our stack; a set that is gone is refused.
        unsafe { next::epoll_ctl(set, operation, fd, &mut event) }
    });
}
