//! poll and its kin.

use crate::connection::Connection;
use crate::{errno, next};
use launch::page::Phase;
use libc::{
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM, c_int, c_short, nfds_t,
    pollfd, sigset_t, timespec,
};
use std::ptr::null;
use std::time::{Duration, Instant};

/// Is any of these descriptors a connection that may be carried?
pub fn concerns(set: &[pollfd]) -> bool {
    set.iter().any(|entry| concerned(entry.fd).is_some())
}

/// The connection that a descriptor stands for, if it may be carried.
pub fn concerned(fd: c_int) -> Option<Connection> {
    let connection = Connection::of(fd)?;
    (!matches!(connection.phase(), Phase::Plain | Phase::Fresh)).then_some(connection)
}

/// Waits as ppoll does.
pub fn wait(set: &mut [pollfd], timeout: Option<Duration>, mask: *const sigset_t) -> c_int {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let waiters = Waiters::enter(set);
        let mut watched = watched(set);
        let left = end.map(|end| time(end.saturating_duration_since(Instant::now())));
        let limit = left.as_ref().map_or(null(), std::ptr::from_ref::<timespec>);
        // SAFETY: as many entries are there; the mask is the program's, or null.
        let answer = unsafe { next::ppoll(watched.as_mut_ptr(), watched.len() as nfds_t, limit, mask) };
        drop(waiters);
        if answer < 0 {
            return answer;
        }
        let ready = errno::kept(|| tell(set, &watched));
        if ready > 0 || end.is_some_and(|end| Instant::now() >= end) {
            return ready;
        }
    }
}

/// The connections of whose carriers we know nothing while we wait: they do not meet their peers meanwhile.
struct Waiters(Vec<Connection>);

impl Waiters {
    fn enter(set: &[pollfd]) -> Waiters {
        let mut waiters = Vec::new();
        for entry in set {
            let Some(connection) = concerned(entry.fd) else { continue };
            errno::kept(|| connection.advance(entry.fd));
            connection.wait_begins();
            // It may have met its peer before it could know that we wait.
            while connection.phase() == Phase::Calling {
                std::thread::yield_now();
            }
            if connection.phase() == Phase::Met {
                connection.wait_ends();
            } else {
                waiters.push(connection);
            }
        }
        Waiters(waiters)
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        self.0.iter().for_each(|connection| connection.wait_ends());
    }
}

/// What to wait for: the program's entries first, each changed as needed, and behind them those of carriers.
fn watched(set: &[pollfd]) -> Vec<pollfd> {
    let mut watched: Vec<pollfd> = set.iter().map(|entry| pollfd { revents: 0, ..*entry }).collect();
    for (index, entry) in set.iter().enumerate() {
        let Some(connection) = concerned(entry.fd) else { continue };
        let carried = carried_events(connection, entry.events);
        if carried & WRITABLE != 0 {
            watched[index].events &= !WRITABLE;
        }
        if let Some(carrier) = connection.carrier().filter(|_| carried != 0) {
            watched.push(pollfd { fd: carrier, events: carried, revents: 0 });
        }
    }
    watched
}

/// What to watch of a carrier.
fn carried_events(connection: Connection, events: c_short) -> c_short {
    if connection.phase() != Phase::Met {
        return 0;
    }
    let readable = if connection.hears_carrier() { events & READABLE } else { 0 };
    let writable = if connection.sends_by_carrier() { events & WRITABLE } else { 0 };
    readable | writable
}

/// Tells the program what is ready; the answer is how many descriptors are.
fn tell(set: &mut [pollfd], watched: &[pollfd]) -> c_int {
    let (sockets, carriers) = watched.split_at(set.len());
    for (entry, socket) in set.iter_mut().zip(sockets) {
        entry.revents = socket.revents;
        let Some(connection) = concerned(entry.fd) else { continue };
        let carrier = connection.carrier();
        let Some(carried) = carriers.iter().find(|other| Some(other.fd) == carrier) else { continue };
        if carried.revents & POLLNVAL == 0 {
            entry.revents |= told(connection, entry, carried.revents);
        }
    }
    set.iter().filter(|entry| entry.revents != 0).count() as c_int
}

fn told(connection: Connection, entry: &pollfd, revents: c_short) -> c_short {
    let ended = POLLHUP | POLLRDHUP | POLLERR;
    let mut told = 0;
    if revents & (READABLE | ended) != 0 && entry.events & READABLE != 0 {
        let is_sure = revents & ended == 0 && connection.is_read_by_carrier();
        if is_sure || connection.has_carried(entry.fd) {
            told |= READABLE & entry.events;
        }
    }
    if revents & (WRITABLE | ended) != 0 && connection.sends_by_carrier() {
        told |= WRITABLE & entry.events;
    }
    told
}

/// A span of time as the kernel takes it.
fn time(span: Duration) -> timespec {
    timespec {
        tv_sec: libc::time_t::try_from(span.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(span.subsec_nanos().cast_signed()),
    }
}

const READABLE: c_short = POLLIN | POLLRDNORM;
const WRITABLE: c_short = POLLOUT | POLLWRNORM;
