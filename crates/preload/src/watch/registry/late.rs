//! What a signal's handler had to say while the thread that it interrupted was changing watches: that thread does it when it has done.
//!
//! Whatever may be done twice, as looking at connections once more, is done for all that there are. Of the rest a few words are kept, in
//! their order; should there be more, watches are gone through for those whose descriptors the program has no more.

use super::kernel::control;
use super::{WATCHES, Watch, Watches};
use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use launch::Reason;
use libc::{EPOLL_CTL_DEL, c_int, epoll_event};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One thing that was said.
#[derive(Clone, Copy)]
pub(super) enum Late {
    /// A set watches this of a descriptor now.
    Recorded(c_int, c_int, Connection, epoll_event),
    /// A descriptor was taken out of a set.
    Removed(Connection, c_int, c_int),
    /// A descriptor was closed.
    Lost(Connection, c_int),
    /// A set was closed.
    Closed(c_int),
    /// The first descriptor of a set was closed, and it has another.
    Renamed(c_int, c_int),
    /// Another set, or poll, watches a set.
    Nested(c_int),
}

/// The words. All who touch them are the thread that has the registry's lock, or interrupted it: a handler puts one, which is not looked
/// at before it has ended.
struct Words {
    count: AtomicUsize,
    words: [UnsafeCell<Option<Late>>; WORDS],
}

// SAFETY: one thread at a time touches them, as it says above; each has its place to itself.
unsafe impl Sync for Words {}

static WORDS_LEFT: Words =
    Words { count: AtomicUsize::new(0), words: [const { UnsafeCell::new(None) }; WORDS] };

/// What could not be done is kept to be done; false then.
pub(super) fn or(is_done: Option<()>, word: Late) -> bool {
    if is_done.is_some() {
        return true;
    }
    let number = WORDS_LEFT.count.fetch_add(1, Ordering::Relaxed);
    match (WORDS_LEFT.words.get(number), word) {
        // SAFETY: see `Words`; nobody else was given this place.
        (Some(place), word) => unsafe { *place.get() = Some(word) },
        // The kernel has what the program said, which is enough where nothing is carried.
        (None, Late::Recorded(_, fd, connection, _)) => connection.leave_alone(fd, Reason::Watched),
        (None, _) => {}
    }
    WATCHES.leave();
    false
}

/// Something may have happened to any connection.
pub(super) fn or_look_at_all(is_done: Option<()>) {
    if is_done.is_none() {
        WATCHES.leave();
    }
}

/// Takes a connection's descriptors out of all sets before they are closed: should other processes have them too, the kernel would
/// go on telling of them.
pub(super) fn withdraw(connection: Connection, fd: c_int) {
    for set in descriptors::sets() {
        control(set, EPOLL_CTL_DEL, fd, 0, 0);
        if let Some(bell) = connection.bell() {
            control(set, EPOLL_CTL_DEL, bell, 0, 0);
        }
    }
}

impl Watches {
    /// Does what was left.
    pub(super) fn catch_up(&mut self) {
        let count = WORDS_LEFT.count.load(Ordering::Relaxed);
        for place in WORDS_LEFT.words.iter().take(count) {
            // SAFETY: see `Words`; no handler is under way that was here before this thread was.
            if let Some(word) = unsafe { (*place.get()).take() } {
                self.hear(word);
            }
        }
        WORDS_LEFT.count.store(0, Ordering::Relaxed);
        if count > WORDS {
            self.forget_stale();
        }
        for number in 0..self.slots.len() {
            let Some(watch) = self.slots[number].as_mut() else { continue };
            watch.is_room_told = false;
            self.adjust(number);
            self.heat(number, true);
        }
        Connection::leave_memories();
    }

    fn hear(&mut self, word: Late) {
        match word {
            Late::Recorded(set, fd, connection, event) => self.record(set, fd, connection, event),
            Late::Removed(connection, set, fd) => {
                self.remove_of(connection.index(), |watch| watch.set == set && watch.fd == fd);
            }
            Late::Lost(connection, fd) => self.drop_of(connection.index(), |watch| watch.fd == fd),
            Late::Closed(set) => {
                for watch in self.slots.iter_mut().flatten().filter(|watch| watch.set == set) {
                    (watch.has_bell, watch.is_removed) = (false, false);
                }
                self.forget_set(set);
            }
            Late::Renamed(set, heir) => self.rename_set(set, heir),
            Late::Nested(set) => self.nest(set),
        }
    }

    /// Removes watches of what is closed already: the kernel has nothing to be told. The bell is in no set any more.
    fn drop_of(&mut self, connection: u32, is_meant: impl Fn(&Watch) -> bool) {
        let mut next = self.heads[connection as usize];
        while let Some(number) = next.checked_sub(1).map(|number| number as usize) {
            let Some(watch) = self.slots[number].as_mut() else { break };
            next = watch.next;
            watch.has_bell = false;
            watch.is_removed &= !is_meant(watch);
        }
        self.remove_of(connection, is_meant);
    }

    fn forget_stale(&mut self) {
        let is_stale = |watch: &Watch| {
            descriptors::connection(watch.fd) != Some(watch.connection)
                || descriptors::get(watch.set) != Entry::Set(watch.set)
        };
        for number in 0..self.slots.len() {
            if let Some(watch) = self.slots[number].filter(is_stale) {
                self.drop_of(watch.connection, is_stale);
            }
        }
    }
}

/// What one interruption leaves, mostly; a handler that says more is a rare one.
const WORDS: usize = 64;
