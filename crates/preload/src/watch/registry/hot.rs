//! The watches that something happened to since a thread last slept on their set.

use super::{Set, WATCHES, Watch, Watches, late, tag};
use crate::connection::Connection;
use crate::pace;
use libc::{EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM, c_int, epoll_event};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a look found.
#[derive(Debug)]
pub struct Found {
    /// Events, with our data.
    pub events: [epoll_event; EVENTS_AT_ONCE],
    /// How many.
    pub count: usize,
    /// What has to be done before more is known.
    pub unsettled: Unsettled,
}

/// Connections whose way of receiving may change now, and their descriptors.
#[derive(Debug, Default)]
pub struct Unsettled {
    connections: [(u32, c_int); UNSETTLED_AT_ONCE],
    count: usize,
    /// The last bytes of some connection are there, of whose end the kernel tells.
    is_any_ending: bool,
}

impl Unsettled {
    fn add(&mut self, watch: &Watch) {
        if let Some(place) = self.connections.get_mut(self.count) {
            *place = (watch.connection, watch.fd);
            self.count += 1;
        }
    }

    /// Does what is to be done; true if there was anything.
    pub fn settle(&self) -> bool {
        for &(connection, fd) in &self.connections[..self.count] {
            if let Some(connection) = Connection::at(connection) {
                connection.has_carried(fd);
            }
        }
        self.count > 0
    }
}

/// What a set's hot watches have to tell, no more than there is room for.
pub fn look(set: c_int, room: usize) -> Found {
    let mut found = Found {
        events: [epoll_event { events: 0, u64: 0 }; EVENTS_AT_ONCE],
        count: 0,
        unsettled: Unsettled::default(),
    };
    let room = room.min(EVENTS_AT_ONCE);
    WATCHES.with(|watches| {
        let Some(index) = watches.sets.iter().position(|known| known.fd == set) else { return };
        let Watches { sets, slots, .. } = watches;
        let set = &mut sets[index];
        let (len, first) = (set.hot.len(), set.first);
        for step in 0..len {
            let place = (first + step) % len;
            let number = set.hot[place];
            let Some(watch) = slots.get_mut(number).and_then(Option::as_mut) else { continue };
            let told = watch.ready(&mut found.unsettled);
            if told == 0 {
                continue;
            }
            if found.count == room {
                // Those that find no room are the first of the next look.
                set.first = place;
                break;
            }
            watch.was_told(told);
            found.events[found.count] = epoll_event { events: told, u64: tag(number) };
            found.count += 1;
        }
        set.looks = if found.unsettled.is_any_ending { LOOKS_MAX } else { set.looks + 1 };
    });
    found
}

/// Did anything happen to any of a set's connections lately?
pub fn is_any_hot(set: c_int) -> bool {
    let is_any = |known: &Set| known.fd == set && !known.hot.is_empty();
    WATCHES.with(|watches| watches.sets.iter().any(is_any)).unwrap_or(false)
}

/// Has any of a set's hot watches anything to tell?
pub fn is_any_ready(set: c_int) -> bool {
    WATCHES.with(|watches| watches.is_any_ready(set)).unwrap_or(false)
}

/// Was the kernel due when there was no room for what it has to tell? It is asked before anything else then, once.
pub fn is_kernel_first(set: c_int) -> bool {
    WATCHES.with(|watches| std::mem::take(&mut watches.set(set).is_kernel_first)).unwrap_or(false)
}

/// Should the kernel be asked too, though there is enough to tell already?
pub fn is_kernel_due(set: c_int, has_room: bool) -> bool {
    static ASKED_AT: AtomicU64 = AtomicU64::new(0);
    let now = pace::tick();
    let is_late = ASKED_AT.swap(now, Ordering::Relaxed) != now;
    WATCHES
        .with(|watches| {
            let set = watches.set(set);
            let is_due = is_late || set.looks >= LOOKS_MAX;
            if is_due {
                set.looks = 0;
                set.is_kernel_first = !has_room;
            }
            is_due
        })
        .unwrap_or(true)
}

/// Somebody is about to sleep on a set. The peers of its hot watches are told to ring; false if one of them has something to
/// tell after all.
pub fn fall_asleep(set: c_int) -> bool {
    WATCHES
        .with(|watches| {
            let is_quiet = watches.arm(set);
            if is_quiet {
                watches.set(set).sleepers += 1;
            }
            is_quiet
        })
        .unwrap_or(true)
}

/// Somebody slept on a set. What was lively before is looked at again: it need not ring one by one.
pub fn wake(set: c_int) {
    WATCHES.with(|watches| {
        let known = watches.set(set);
        known.sleepers = known.sleepers.saturating_sub(1);
        if known.sleepers == 0 {
            watches.disarm(set);
        }
    });
}

/// A connection's bell was heard: those who rely on it have to look. Who sleeps is roused, but by who has just woken itself.
pub fn warm(connection: Connection, rouses: bool) {
    let is_done = WATCHES.with(|watches| {
        let mut next = watches.heads[connection.index() as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            if connection.is_peer_gone() {
                watches.adjust(number);
            }
            watches.heat(number, rouses);
            next = watches.slots[number].map_or(0, |watch| watch.next);
        }
    });
    late::or_look_at_all(is_done);
}

/// The program filled the room that there was: it wants to hear when there is more.
pub fn was_full(connection: Connection) {
    let is_done = WATCHES.with(|watches| {
        let mut next = watches.heads[connection.index() as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            if let Some(watch) = watches.slots[number].as_mut() {
                watch.is_room_told = false;
            }
            watches.heat(number, true);
            next = watches.slots[number].map_or(0, |watch| watch.next);
        }
    });
    late::or_look_at_all(is_done);
}

impl Watches {
    /// Something happened to a watch.
    pub(super) fn heat(&mut self, number: usize, rouses: bool) {
        let Some(watch) = self.slots[number].as_mut() else { return };
        let (set, was_hot) = (watch.set, std::mem::replace(&mut watch.is_hot, true));
        let set = self.set(set);
        if !was_hot {
            set.hot.push(number);
        }
        if rouses && set.sleepers > 0 {
            set.rouse();
        }
    }

    fn is_any_ready(&mut self, set: c_int) -> bool {
        let Some(index) = self.sets.iter().position(|known| known.fd == set) else { return false };
        let Watches { sets, slots, .. } = self;
        let mut unsettled = Unsettled::default();
        let mut watches = sets[index].hot.iter().filter_map(|&number| slots.get(number)?.as_ref());
        watches.any(|watch| watch.ready(&mut unsettled) != 0) || unsettled.count > 0
    }

    /// The peers of those that rest need not ring; they are hot again. For who is awake, and alone.
    fn disarm(&mut self, set: c_int) {
        let Some(index) = self.sets.iter().position(|known| known.fd == set) else { return };
        let Watches { sets, slots, .. } = self;
        let Set { hot, resting, .. } = &mut sets[index];
        for number in resting.drain(..) {
            // Its number may be another's by now.
            let watch = slots.get_mut(number).and_then(Option::as_mut);
            if let Some(watch) = watch.filter(|watch| watch.set == set && !watch.is_hot) {
                watch.ask_to_ring(false);
                watch.is_hot = true;
                hot.push(number);
            }
        }
    }

    /// Has the peers of all hot watches ring; they are cold then. False if one has something to tell, and all is as it was.
    pub(super) fn arm(&mut self, set: c_int) -> bool {
        let Some(index) = self.sets.iter().position(|known| known.fd == set) else { return true };
        for &number in &self.sets[index].hot {
            if let Some(watch) = self.slots[number].as_ref() {
                watch.ask_to_ring(true);
            }
        }
        let is_ready = self.is_any_ready(set);
        let Watches { sets, slots, .. } = self;
        for &number in &sets[index].hot {
            let Some(watch) = slots[number].as_mut() else { continue };
            if is_ready {
                watch.ask_to_ring(false);
            }
            watch.is_hot = is_ready;
        }
        if !is_ready {
            let Set { hot, resting, .. } = &mut sets[index];
            resting.clear();
            for number in hot.drain(..) {
                if let Some(watch) = slots[number].as_mut()
                    && std::mem::take(&mut watch.is_lively)
                {
                    resting.push(number);
                }
            }
        }
        !is_ready
    }
}

impl Watch {
    /// What there is to tell of what is carried.
    fn ready(&self, unsettled: &mut Unsettled) -> u32 {
        let Some(connection) = Connection::at(self.connection).filter(|_| self.is_live()) else { return 0 };
        let is_edge = self.events & EPOLLET as u32 != 0;
        let mut told = 0;
        if self.events & READABLE != 0 && connection.hears_carrier() {
            let look = connection.look_for_bytes();
            if look.is_change_due {
                unsettled.add(self);
            }
            unsettled.is_any_ending |= look.is_ending;
            if look.is_there && !(is_edge && self.told == Some(look.written)) {
                told |= READABLE & self.events;
            }
        }
        let wants_room = self.events & WRITABLE != 0 && !(is_edge && self.is_room_told);
        if wants_room && connection.sends_by_carrier() && connection.look_for_room() {
            told |= WRITABLE & self.events;
        }
        told
    }

    fn was_told(&mut self, told: u32) {
        if told & READABLE != 0
            && let Some(connection) = Connection::at(self.connection)
        {
            self.told = Some(connection.look_for_bytes().written);
        }
        self.is_room_told |= told & WRITABLE != 0;
        self.is_lively = true;
    }

    fn ask_to_ring(&self, is_wanted: bool) {
        let Some(connection) = Connection::at(self.connection).filter(|_| self.is_live()) else { return };
        connection.ask_to_ring(self.events & READABLE != 0, self.events & WRITABLE != 0, is_wanted);
    }
}

const READABLE: u32 = (EPOLLIN | EPOLLRDNORM) as u32;
const WRITABLE: u32 = (EPOLLOUT | EPOLLWRNORM) as u32;

/// Events that one look finds at most.
pub const EVENTS_AT_ONCE: usize = 128;
/// Changes of way that one look finds at most.
const UNSETTLED_AT_ONCE: usize = 16;
/// So many calls go without asking the kernel, at most.
const LOOKS_MAX: u32 = 32;
