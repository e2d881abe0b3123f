//! What the kernel is told of a carried connection: its socket, without what the memory tells, and its bell.

use super::{Set, TAG, WATCHES, Watch, Watches, tag};
use crate::connection::Connection;
use crate::{errno, next, private};
use launch::page::Phase;
use libc::{
    EFD_CLOEXEC, EFD_NONBLOCK, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLONESHOT,
    EPOLLOUT, EPOLLWRNORM, c_int, epoll_event,
};
use std::sync::OnceLock;

impl Watches {
    /// Makes the kernel watch what it has to, if both ends have met.
    pub(super) fn adjust(&mut self, number: usize) {
        let Some(watch) = self.slots[number].as_mut() else { return };
        let Some(connection) = Connection::at(watch.connection) else { return };
        if connection.phase() != Phase::Met || watch.is_removed {
            return;
        }
        let writable = if connection.sends_by_carrier() { (EPOLLOUT | EPOLLWRNORM) as u32 } else { 0 };
        let wanted = watch.events & !writable;
        let is_once = watch.events & (EPOLLET | EPOLLONESHOT) as u32 != 0;
        // Where nothing is told only once, watching for more than is wanted costs nothing while TCP is silent, and spares the
        // kernel the program's changes of mind.
        let wanted = match watch.socket {
            Some(known) if !is_once && known & (EPOLLET | EPOLLONESHOT) as u32 == 0 => {
                wanted | known & !writable
            }
            _ => wanted,
        };
        if is_once || watch.socket != Some(wanted) {
            control(watch.set, EPOLL_CTL_MOD, watch.fd, wanted, tag(number));
            watch.socket = Some(wanted);
        }
        let is_carried = connection.hears_carrier() || connection.sends_by_carrier();
        let bell = connection.bell().filter(|_| is_carried && !connection.is_peer_gone());
        match (watch.has_bell, bell) {
            (false, Some(bell)) => {
                watch.has_bell = control(watch.set, EPOLL_CTL_ADD, bell, EPOLLIN as u32, tag(number) | 1);
            }
            (true, None) => {
                if let Some(bell) = connection.bell() {
                    control(watch.set, EPOLL_CTL_DEL, bell, 0, 0);
                }
                watch.has_bell = false;
            }
            _ => {}
        }
    }

    /// The kernel is to watch nothing of ours any more, of a watch that goes.
    pub(super) fn withdraw(&self, watch: &Watch) {
        let bell = Connection::at(watch.connection).and_then(Connection::bell);
        if let Some(bell) = bell.filter(|_| watch.has_bell) {
            control(watch.set, EPOLL_CTL_DEL, bell, 0, 0);
        }
        if watch.is_removed {
            control(watch.set, EPOLL_CTL_DEL, watch.fd, 0, 0);
        }
    }
}

/// The kernel told of a socket what the program does not want to hear: it is not to tell again.
pub fn bother_less(number: usize) {
    WATCHES.with(|watches| {
        let Some(watch) = watches.slots.get_mut(number).copied().flatten() else { return };
        if watch.is_removed {
            return watches.remove_of(watch.connection, |other| {
                (other.set, other.fd, other.is_removed) == (watch.set, watch.fd, true)
            });
        }
        if let Some(watch) = watches.slots[number].as_mut() {
            watch.socket = None;
        }
        watches.adjust(number);
    });
}

impl Set {
    /// Makes whoever sleeps on the set wake, and the set readable for whoever watches it.
    pub(super) fn rouse(&mut self) {
        if let Some(rouser) = rouser().filter(|_| !self.is_roused) {
            self.is_roused = control(self.fd, EPOLL_CTL_ADD, rouser, EPOLLIN as u32, ROUSER);
        }
    }

    /// Takes that back.
    pub(super) fn calm(&mut self) {
        if let Some(rouser) = rouser().filter(|_| std::mem::take(&mut self.is_roused)) {
            control(self.fd, EPOLL_CTL_DEL, rouser, 0, 0);
        }
    }
}

/// Is this what the kernel tells of a set that was roused?
pub fn is_rouser(data: u64) -> bool {
    data == ROUSER
}

/// Somebody woke, and looks.
pub fn roused(set: c_int) {
    WATCHES.with(|watches| watches.set(set).calm());
}

/// A descriptor that can always be read.
fn rouser() -> Option<c_int> {
    static ROUSER: OnceLock<Option<c_int>> = OnceLock::new();
    // SAFETY: it takes numbers alone.
    *ROUSER.get_or_init(|| private::keep(unsafe { libc::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK) }))
}

pub(super) fn control(set: c_int, operation: c_int, fd: c_int, events: u32, data: u64) -> bool {
    let mut event = epoll_event { events, u64: data };
    errno::kept(|| {
        // SAFETY: the event is on our stack; a set that is gone is refused.
        unsafe { next::epoll_ctl(set, operation, fd, &mut event) == 0 }
    })
}

/// The number that no watch has.
const ROUSER: u64 = TAG | (u32::MAX as u64 & !1);
