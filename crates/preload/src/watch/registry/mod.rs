//! Which epoll sets watch which connections, and for what.
//!
//! While a connection is plain the kernel has what the program said. Once it has met its peer, the set holds two descriptors:
//! the socket and the bell, with numbers of ours as data, by which [`super::epoll`] finds what to tell the program. What the
//! program changes from then on is kept here, and told to the kernel only where the kernel could not tell enough otherwise.
//!
//! A signal's handler that interrupts who changes any of this leaves what it has to say to whom it interrupted ([`late`]).
//!
//! Invariants: a connection whose bell was heard is hot in all its sets. A thread sleeps on a set only while none is hot, and is
//! roused when one becomes hot by another thread. Nobody who holds the lock takes a connection's guards: the memory
//! stays there because a connection is forgotten here before it goes.

mod hot;
mod kernel;
mod late;

pub use hot::{
    fall_asleep, is_any_hot, is_any_ready, is_kernel_due, is_kernel_first, look, wake, warm, was_full,
};
pub use kernel::{bother_less, is_rouser, roused};

use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::lock::Lock;
use late::Late;
use launch::page::{Phase, ROWS};
use libc::{
    EEXIST, EINVAL, ENOENT, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLEXCLUSIVE, EPOLLONESHOT, c_int,
    epoll_event,
};
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The program took it out of the set, and the kernel has not been told.
    is_removed: bool,
    /// It was asked for in a way that cannot be changed.
    is_exclusive: bool,
    /// What the kernel watches of the socket in our terms; none while it has what the program said.
    socket: Option<u32>,
    /// The bell is in the set.
    has_bell: bool,
    is_hot: bool,
    /// It had something to tell since a thread last slept on the set.
    is_lively: bool,
    /// How far the peer had written when the program was last told.
    told: Option<u64>,
    /// The program was told that there is room, and has not filled it since.
    is_room_told: bool,
    /// The connection's next watch; one more than its number.
    next: u32,
}

/// What our data look like: no address of a program's memory, and no small number.
const TAG: u64 = 0xfeed_57e7 << 32;
const TAG_MASK: u64 = u64::MAX << 32;

/// Watches by number, and by connection; and the sets.
struct Watches {
    slots: Vec<Option<Watch>>,
    free: Vec<usize>,
    /// The first of each connection; one more than its number.
    heads: [u32; ROWS],
    sets: Vec<Set>,
}

impl Watches {
    const fn new() -> Watches {
        Watches { slots: Vec::new(), free: Vec::new(), heads: [0; ROWS], sets: Vec::new() }
    }
}

/// An epoll set of the program's.
#[derive(Debug)]
struct Set {
    fd: c_int,
    /// Watches that something happened to.
    hot: Vec<usize>,
    /// Those that were lively when a thread fell asleep on it: where one of them rings, others are about to.
    resting: Vec<usize>,
    /// Threads that sleep on it; another set, or poll, counts as one that always does.
    sleepers: u32,
    is_roused: bool,
    is_nested: bool,
    /// Watches of it.
    watched: usize,
    /// Calls that did not ask the kernel.
    looks: u32,
    /// The kernel is asked first in the next call: there was no room in one that was to ask it.
    is_kernel_first: bool,
    /// Which of the hot ones is looked at first.
    first: usize,
}

static WATCHES: Lock<Watches> = Lock::new(Watches::new(), Watches::catch_up);

/// Some set is watched by another, or by poll.
static IS_ANY_NESTED: AtomicBool = AtomicBool::new(false);

/// Some set has had several descriptors.
static IS_ANY_DUPLICATED: AtomicBool = AtomicBool::new(false);

/// Before a fork.
pub fn hold() {
    WATCHES.hold();
}

/// After it.
pub fn let_go() {
    WATCHES.let_go();
}

/// Which watch an event is about, and whether its bell; nothing if the data are the program's.
pub fn decode(data: u64) -> Option<(usize, bool)> {
    (data & TAG_MASK == TAG).then_some(((data & !TAG_MASK) as usize >> 1, data & 1 == 1))
}

/// The data of a watch's socket; its bell's have the lowest bit.
fn tag(number: usize) -> u64 {
    TAG | (number as u64) << 1
}

/// A watch that the program has, by its number.
pub fn get(number: usize) -> Option<Watch> {
    WATCHES.with(|watches| watches.slots.get(number).copied().flatten()).flatten()
}

impl Watch {
    /// Would the program want to hear of it?
    pub fn is_live(&self) -> bool {
        !self.is_removed && !self.is_spent
    }
}

/// A set that the program made.
pub fn record_set(set: c_int) {
    descriptors::set(set, Entry::Set(set));
}

/// The program got one more descriptor of a set.
pub fn duplicate_set(fd: c_int, first: c_int) {
    IS_ANY_DUPLICATED.store(true, Ordering::Relaxed);
    descriptors::set(fd, Entry::Set(first));
}

/// The program is about to close a set's descriptor, or has. Where it was the first of several, the next one takes its place.
pub fn lose_set(fd: c_int, first: c_int) {
    if fd != first {
        return;
    }
    let heirs = || descriptors::ours().filter(|&other| descriptors::get(other) == Entry::Set(fd));
    let heir = if IS_ANY_DUPLICATED.load(Ordering::Relaxed) { heirs().next() } else { None };
    let Some(heir) = heir else { return forget_set(fd) };
    heirs().for_each(|other| {
        descriptors::set(other, Entry::Set(heir));
    });
    late::or(WATCHES.with(|watches| watches.rename_set(fd, heir)), Late::Renamed(fd, heir));
}

/// The program changed what a set watches of a descriptor, and the kernel did it as the program said. A connection that has met its
/// peer is watched by both of its descriptors from here on.
pub fn record(set: c_int, fd: c_int, connection: Connection, event: epoll_event) {
    record_set(set);
    let is_done = WATCHES.with(|watches| watches.record(set, fd, connection, event));
    late::or(is_done, Late::Recorded(set, fd, connection, event));
}

/// The program changes what a set watches of a connection that has met its peer, of which the kernel need not know. The answer is
/// the call's, as an error or 0; nothing if the kernel has to do it.
pub fn change(
    set: c_int,
    operation: c_int,
    fd: c_int,
    connection: Connection,
    event: Option<epoll_event>,
) -> Option<c_int> {
    if connection.phase() != Phase::Met {
        return None;
    }
    WATCHES.with(|watches| {
        let number = watches.find(set, fd, connection)?;
        let watch = watches.slots[number].as_mut()?;
        match (operation, watch.is_removed, event) {
            (EPOLL_CTL_ADD, false, Some(_)) => return Some(EEXIST),
            (EPOLL_CTL_MOD | EPOLL_CTL_DEL, true, _) => return Some(ENOENT),
            (EPOLL_CTL_MOD, _, Some(event))
                if watch.is_exclusive || event.events & EPOLLEXCLUSIVE as u32 != 0 =>
            {
                return Some(EINVAL);
            }
            (EPOLL_CTL_DEL, false, _) => {
                watch.is_removed = true;
                return Some(0);
            }
            (EPOLL_CTL_ADD | EPOLL_CTL_MOD, _, Some(event)) => watch.change(event),
            _ => return None,
        }
        watches.adjust(number);
        watches.heat(number, true);
        Some(0)
    })?
}

/// The program is about to close a connection's descriptor. False if the thread that calls was interrupted in the middle of changing
/// watches: it may be looking at the connection's memory.
pub fn forget_descriptor(connection: Connection, fd: c_int) -> bool {
    let is_meant = |watch: &Watch| watch.fd == fd;
    let is_done = WATCHES.with(|watches| watches.remove_of(connection.index(), is_meant));
    if is_done.is_none() {
        late::withdraw(connection, fd);
    }
    late::or(is_done, Late::Lost(connection, fd))
}

/// The program took a descriptor out of a set, and so did the kernel.
pub fn forget(connection: Connection, set: c_int, fd: c_int) {
    let is_meant = |watch: &Watch| watch.set == set && watch.fd == fd;
    let is_done = WATCHES.with(|watches| watches.remove_of(connection.index(), is_meant));
    late::or(is_done, Late::Removed(connection, set, fd));
}

/// The program is about to close a set.
fn forget_set(set: c_int) {
    late::or(WATCHES.with(|watches| watches.forget_set(set)), Late::Closed(set));
}

/// Another set, or poll, watches this one.
pub fn nests(set: c_int) {
    IS_ANY_NESTED.store(true, Ordering::Relaxed);
    late::or(WATCHES.with(|watches| watches.nest(set)), Late::Nested(set));
    settle_nested();
}

/// Somebody is about to sleep who may watch sets of sets: those that have something to tell say so to the kernel, and others no more.
pub fn settle_nested() {
    if !IS_ANY_NESTED.load(Ordering::Relaxed) {
        return;
    }
    WATCHES.with(|watches| {
        let nested: Vec<c_int> = watches.sets.iter().filter(|set| set.is_nested).map(|set| set.fd).collect();
        for set in nested {
            if watches.arm(set) {
                watches.set(set).calm();
            } else {
                watches.set(set).rouse();
            }
        }
    });
}

/// A connection's bytes go another way now.
pub fn changed(connection: Connection) {
    let is_done = WATCHES.with(|watches| {
        let mut numbers = [0; WATCHES_CHANGED_AT_ONCE];
        let mut count = 0;
        for (number, _) in watches.of(connection.index()).take(numbers.len()) {
            numbers[count] = number;
            count += 1;
        }
        for &number in &numbers[..count] {
            watches.adjust(number);
            watches.heat(number, true);
        }
    });
    late::or_look_at_all(is_done);
}

/// A watch for a single event has told it.
pub fn spend(number: usize) {
    WATCHES.with(|watches| {
        if let Some(watch) = watches.slots.get_mut(number).and_then(Option::as_mut)
            && watch.events & EPOLLONESHOT as u32 != 0
        {
            watch.is_spent = true;
        }
    });
}

impl Watch {
    /// The program asks for something else, and wants to be told of it even if it is so already.
    fn change(&mut self, event: epoll_event) {
        (self.events, self.data) = (event.events & !(EPOLLEXCLUSIVE as u32), event.u64);
        self.is_exclusive = event.events & EPOLLEXCLUSIVE as u32 != 0;
        (self.is_spent, self.is_removed, self.told, self.is_room_told) = (false, false, None, false);
    }
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

    fn record(&mut self, set: c_int, fd: c_int, connection: Connection, event: epoll_event) {
        let known = self.find(set, fd, connection);
        let number = known.unwrap_or_else(|| self.add(connection.index(), set, fd));
        if let Some(watch) = self.slots[number].as_mut() {
            watch.change(event);
            watch.socket = None;
        }
        self.adjust(number);
        // What it wants may be there already, or come without a bell, since nobody asked for one on its behalf. Should it meet
        // its peer after this look, all its watches are heated then.
        if connection.phase() == Phase::Met {
            self.heat(number, true);
        }
    }

    fn forget_set(&mut self, set: c_int) {
        let mut left = self.sets.iter().find(|known| known.fd == set).map_or(0, |known| known.watched);
        for number in 0..self.slots.len() {
            if left == 0 {
                break;
            }
            if let Some(watch) = self.slots[number].filter(|watch| watch.set == set) {
                self.remove_of(watch.connection, |watch| watch.set == set);
                left = self.sets.iter().find(|known| known.fd == set).map_or(0, |known| known.watched);
            }
        }
        self.sets.retain(|known| known.fd != set);
    }

    fn nest(&mut self, set: c_int) {
        let set = self.set(set);
        if !set.is_nested {
            set.is_nested = true;
            set.sleepers += 1;
        }
    }

    fn find(&self, set: c_int, fd: c_int, connection: Connection) -> Option<usize> {
        let mut all = self.of(connection.index());
        all.find(|(_, watch)| watch.set == set && watch.fd == fd).map(|(number, _)| number)
    }

    fn set(&mut self, fd: c_int) -> &mut Set {
        let index = self.sets.iter().position(|set| set.fd == fd).unwrap_or_else(|| {
            self.sets.push(Set {
                fd,
                hot: Vec::new(),
                resting: Vec::new(),
                sleepers: 0,
                is_roused: false,
                is_nested: false,
                watched: 0,
                looks: 0,
                is_kernel_first: false,
                first: 0,
            });
            self.sets.len() - 1
        });
        &mut self.sets[index]
    }

    fn rename_set(&mut self, from: c_int, to: c_int) {
        self.slots.iter_mut().flatten().filter(|watch| watch.set == from).for_each(|watch| watch.set = to);
        self.sets.iter_mut().filter(|set| set.fd == from).for_each(|set| set.fd = to);
    }

    fn add(&mut self, connection: u32, set: c_int, fd: c_int) -> usize {
        let head = &mut self.heads[connection as usize];
        let watch = Watch {
            set,
            fd,
            connection,
            events: 0,
            data: 0,
            is_spent: false,
            is_removed: false,
            is_exclusive: false,
            socket: None,
            has_bell: false,
            is_hot: false,
            is_lively: false,
            told: None,
            is_room_told: false,
            next: *head,
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        *head = number as u32 + 1;
        self.slots[number] = Some(watch);
        // A signal's handler that closes or reads must find room: it may have interrupted who gives memory out.
        self.free.reserve(self.slots.len() - self.free.len());
        let set = self.set(set);
        set.watched += 1;
        set.hot.reserve(set.watched - set.hot.len());
        number
    }

    /// Removes those of a connection's watches that are meant.
    fn remove_of(&mut self, connection: u32, is_meant: impl Fn(&Watch) -> bool) {
        let mut before: Option<usize> = None;
        let mut next = self.heads[connection as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            let Some(watch) = self.slots[number] else { break };
            next = watch.next;
            if !is_meant(&watch) {
                before = Some(number);
                continue;
            }
            self.withdraw(&watch);
            let set = self.set(watch.set);
            set.watched -= 1;
            if watch.is_hot {
                set.hot.retain(|&other| other != number);
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

/// A connection is watched by fewer sets than this, or not all of them hear at once.
const WATCHES_CHANGED_AT_ONCE: usize = 64;
