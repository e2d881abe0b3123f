//! poll and its kin.

use super::registry;
use crate::connection::Connection;
use crate::descriptors::{self, Entry};
use crate::{errno, next, pace};
use launch::page::Phase;
use libc::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, c_int, c_short, nfds_t, pollfd, sigset_t, timespec};
use std::ptr::null;
use std::time::{Duration, Instant};

/// Is any of these descriptors a connection that may be carried, or a set of such?
pub fn concerns(set: &[pollfd]) -> bool {
    let mut is_any = false;
    for entry in set {
        is_any |= concerned(entry.fd).is_some();
        if let Entry::Set(first) = descriptors::get(entry.fd) {
            errno::kept(|| registry::nests(first));
        }
    }
    is_any
}

/// The connection that a descriptor stands for, if it may be carried.
pub fn concerned(fd: c_int) -> Option<Connection> {
    let connection = Connection::of(fd)?;
    (!matches!(connection.phase(), Phase::Plain | Phase::Fresh)).then_some(connection)
}

/// Waits as ppoll does.
pub fn wait(set: &mut [pollfd], timeout: Option<Duration>, mask: *const sigset_t) -> c_int {
    // Later than any time is never.
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let waiters = Waiters::enter(set);
        let is_ready = errno::kept(|| is_any_carried_ready(set));
        if is_ready && is_all_carried(set) {
            let ready = errno::kept(|| tell(set, &[]));
            if ready > 0 {
                return ready;
            }
            // The peer has taken back what was there, and sends it by TCP.
            continue;
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let may_wait = !is_ready && left != Some(Duration::ZERO);
        if may_wait && waiters.0.is_empty() && pace::look(left, || errno::kept(|| is_any_carried_ready(set)))
        {
            continue;
        }
        let sleeper = Sleeper::begin(set);
        let may_wait = may_wait && errno::kept(|| arm(set));
        let mut watched = watched(set);
        let limit = if may_wait { left } else { Some(Duration::ZERO) }.map(time);
        let limit = limit.as_ref().map_or(null(), std::ptr::from_ref::<timespec>);
        // SAFETY: as many entries are there; the mask is the program's, or null.
        let answer = unsafe { next::ppoll(watched.as_mut_ptr(), watched.len() as nfds_t, limit, mask) };
        drop((waiters, sleeper));
        if answer < 0 {
            return answer;
        }
        let ready = errno::kept(|| {
            hear(set, &watched);
            tell(set, &watched)
        });
        if ready > 0 || end.is_some_and(|end| Instant::now() >= end) {
            return ready;
        }
    }
}

/// The connections whose bells wake us: nobody takes what they say before we have seen it.
struct Sleeper(Vec<Connection>);

impl Sleeper {
    fn begin(set: &[pollfd]) -> Sleeper {
        let met = |connection: &Connection| connection.phase() == Phase::Met;
        let all: Vec<_> = set.iter().filter_map(|entry| concerned(entry.fd).filter(met)).collect();
        all.iter().for_each(|connection| connection.sleep_begins());
        Sleeper(all)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.iter().for_each(|connection| connection.sleep_ends());
    }
}

/// Has any carried connection what is waited for?
fn is_any_carried_ready(set: &[pollfd]) -> bool {
    set.iter().any(|entry| concerned(entry.fd).is_some_and(|connection| carried(connection, entry) != 0))
}

/// Are all of them carried both ways, so that the kernel knows of nothing but their ends?
fn is_all_carried(set: &[pollfd]) -> bool {
    set.iter().all(|entry| {
        concerned(entry.fd)
            .is_some_and(|connection| connection.is_read_by_carrier() && connection.sends_by_carrier())
    })
}

/// Has all peers ring; false if there is something to tell already.
fn arm(set: &[pollfd]) -> bool {
    registry::settle_nested();
    ask_to_ring(set, true);
    let is_quiet = !is_any_carried_ready(set);
    if !is_quiet {
        ask_to_ring(set, false);
    }
    is_quiet
}

fn ask_to_ring(set: &[pollfd], is_wanted: bool) {
    for entry in set {
        if let Some(connection) = concerned(entry.fd).filter(|connection| connection.phase() == Phase::Met) {
            let (bytes, room) = (entry.events & READABLE != 0, entry.events & WRITABLE != 0);
            connection.ask_to_ring_guarded(bytes, room, is_wanted);
        }
    }
}

/// Hears the bells that rang.
fn hear(set: &[pollfd], watched: &[pollfd]) {
    for bell in watched[set.len()..].iter().filter(|bell| bell.revents != 0) {
        let rung = |connection: &Connection| connection.bell() == Some(bell.fd);
        if let Some(connection) = set.iter().filter_map(|entry| concerned(entry.fd)).find(rung) {
            connection.hear_bell();
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

/// What to wait for: the program's entries first, each changed as needed, and behind them the bells.
fn watched(set: &[pollfd]) -> Vec<pollfd> {
    let mut watched: Vec<pollfd> = set.iter().map(|entry| pollfd { revents: 0, ..*entry }).collect();
    for (index, entry) in set.iter().enumerate() {
        let Some(connection) = concerned(entry.fd) else { continue };
        if connection.phase() != Phase::Met || connection.is_peer_gone() {
            continue;
        }
        let (sends, hears) = (connection.sends_by_carrier(), connection.hears_carrier());
        if sends {
            watched[index].events &= !WRITABLE;
        }
        let is_needed = sends && entry.events & WRITABLE != 0 || hears && entry.events & READABLE != 0;
        if let Some(bell) = connection.bell().filter(|_| is_needed) {
            watched.push(pollfd { fd: bell, events: POLLIN, revents: 0 });
        }
    }
    watched
}

/// Tells the program what is ready; the answer is how many descriptors are. Where the kernel was not asked, it knows of nothing.
fn tell(set: &mut [pollfd], watched: &[pollfd]) -> c_int {
    for (index, entry) in set.iter_mut().enumerate() {
        entry.revents = watched.get(index).map_or(0, |socket| socket.revents);
        if let Some(connection) = concerned(entry.fd) {
            entry.revents |= carried(connection, entry);
        }
    }
    set.iter().filter(|entry| entry.revents != 0).count() as c_int
}

/// What is ready by the carrier, of what is waited for.
fn carried(connection: Connection, entry: &pollfd) -> c_short {
    if connection.phase() != Phase::Met {
        return 0;
    }
    let mut told = 0;
    if entry.events & READABLE != 0 && connection.hears_carrier() && connection.has_carried(entry.fd) {
        told |= READABLE & entry.events;
    }
    if entry.events & WRITABLE != 0 && connection.sends_by_carrier() && connection.has_room() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn no_time_is_too_long() {
        let (mut here, there) = UnixStream::pair().expect("two sockets");
        here.write_all(b"x").expect("room for it");
        for span in [Duration::MAX, Duration::from_secs(i64::MAX.cast_unsigned())] {
            let mut set = [pollfd { fd: there.as_raw_fd(), events: POLLIN, revents: 0 }];
            assert_eq!((wait(&mut set, Some(span), null()), set[0].revents), (1, POLLIN));
        }
    }
}
