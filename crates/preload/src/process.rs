//! Which process this is: fork copies what we know, and a child of vfork shares it for a while without being us.

use crate::connection::Connection;
use crate::watch::registry;
use crate::{errno, identity, name, next, option, rows, shared};
use launch::Reason;
use libc::{F_GETFD, FD_CLOEXEC, POLLIN, c_int, c_long, pollfd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

static OWNER: AtomicI32 = AtomicI32::new(0);
/// It has children that have its page, or is one.
static HAS_FORKED: AtomicBool = AtomicBool::new(false);
/// Some process may have been made that has our tables and is not us.
static MAY_BE_ANOTHER: AtomicBool = AtomicBool::new(false);

/// Tells processes apart whose numbers mean others: 0 is where the first one began.
static NAMESPACE: AtomicU32 = AtomicU32::new(0);

/// Begins with this process, and follows its forks.
pub fn begin() {
    take_over();
    name::begin();
    shared::begin();
    identity::begin();
    // SAFETY: the three functions live as long as the library, which is never unloaded.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child)) };
}

/// Is this a child of vfork, or of a bare clone, whose descriptors are not those of our tables? The kernel is asked only where there
/// may be one: this is part of each connection's beginning and end.
pub fn is_foreign() -> bool {
    let owner = OWNER.load(Ordering::Relaxed);
    // SAFETY: it takes nothing and cannot fail.
    owner == 0 || MAY_BE_ANOTHER.load(Ordering::Relaxed) && owner != unsafe { libc::getpid() }
}

/// A process is about to be made in a way that [`begin`] does not hear of.
pub fn may_be_another() {
    MAY_BE_ANOTHER.store(true, Ordering::Relaxed);
}

/// The process whose tables these are, as the kernel numbers it.
pub fn own() -> u32 {
    OWNER.load(Ordering::Relaxed).cast_unsigned()
}

/// The process ends by itself. What its peers gave away while it did something else goes its way; and where others have the same page,
/// as a server's children do, its connections do not stay there for ever. From here on the tables are nobody's.
pub fn end() {
    if is_foreign() {
        return;
    }
    for (fd, connection) in Connection::by_descriptor() {
        connection.leave_for_good(fd);
        connection.close_door();
        connection.tell_tally();
    }
    let_go();
}

/// The same, of a process that does nothing else at its end, in a signal's handler too.
pub fn end_at_once() {
    if !is_foreign() {
        Connection::by_descriptor().for_each(|(fd, connection)| connection.leave_for_good(fd));
        let_go();
    }
}

/// The process holds no connection any more, of those that others may.
fn let_go() {
    if HAS_FORKED.load(Ordering::Relaxed) {
        Connection::all().for_each(Connection::let_go);
        OWNER.store(0, Ordering::Relaxed);
    }
}

/// Names this process in a word that forked processes share; never 0, also of one whose tables are nobody's any more.
pub fn tag() -> u32 {
    match own() {
        0 => NAMESPACES << PROCESS_BITS,
        process => NAMESPACE.load(Ordering::Relaxed) << PROCESS_BITS | process,
    }
}

/// Has the process ended that gave itself this name? Of one whose numbers mean others than ours, nobody knows.
pub fn has_died(tag: u32) -> bool {
    let (namespace, process) = (tag >> PROCESS_BITS, tag & ((1 << PROCESS_BITS) - 1));
    if namespace != NAMESPACE.load(Ordering::Relaxed) || process == 0 || process == own() {
        return false;
    }
    // SAFETY: it takes two numbers.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, c_long::from(process), 0 as c_long) };
    let Ok(fd @ 0..) = c_int::try_from(answer) else { return errno::get() == libc::ESRCH };
    let mut entry = pollfd { fd, events: POLLIN, revents: 0 };
    // SAFETY: an entry is there; the descriptor was made above. Who has ended, and was not waited for yet, is told of too.
    unsafe {
        let has_ended = next::poll(&mut entry, 1, 0) == 1;
        next::close(fd);
        has_ended
    }
}

fn take_over() {
    // SAFETY: as above.
    OWNER.store(unsafe { libc::getpid() }, Ordering::Relaxed);
}

/// A child whose parent has no number here has numbers of its own.
fn note_namespace() {
    // SAFETY: it takes nothing and cannot fail.
    if unsafe { libc::getppid() } == 0 {
        let number = std::fs::metadata("/proc/self/ns/pid").map_or(0, |about| about.ino());
        NAMESPACE.store(number as u32 % (NAMESPACES - 1) + 1, Ordering::Relaxed);
    }
}

/// What the child will hold too is counted before anybody can act on the count. Should the fork fail, the count is too high,
/// and those connections stay as they are.
extern "C" fn before_fork() {
    HAS_FORKED.store(true, Ordering::Relaxed);
    rows::hold();
    registry::hold();
    Connection::all().for_each(Connection::shared);
}

extern "C" fn after_fork_in_parent() {
    registry::let_go();
    rows::let_go();
}

extern "C" fn after_fork_in_child() {
    take_over();
    note_namespace();
    Connection::all().for_each(Connection::forget_tally);
    after_fork_in_parent();
}

/// This process is about to run another program, which knows nothing of carriers.
pub fn before_exec() {
    leave_inherited();
    if !is_foreign() {
        Connection::all().for_each(Connection::given_up);
    }
}

/// Another program is about to run: what it inherits goes back to TCP, whoever else holds it. A child of vfork has descriptors of
/// its own, which our tables do not know, but rows are shared.
pub fn leave_inherited() {
    let standard: Vec<u64> = (0..=2).filter_map(cookie).collect();
    for (fd, connection) in Connection::by_descriptor() {
        let is_standard = || cookie(fd).is_some_and(|cookie| standard.contains(&cookie));
        // SAFETY: it takes numbers alone.
        let is_kept = unsafe { next::fcntl(fd, F_GETFD, 0) } & FD_CLOEXEC == 0;
        if is_kept || is_standard() {
            connection.leave_alone(fd, Reason::Shared);
        }
    }
}

/// It did not happen.
pub fn exec_failed() {
    if !is_foreign() {
        Connection::all().for_each(Connection::shared);
    }
}

/// The kernel's name for a socket, however many descriptors it has.
fn cookie(fd: c_int) -> Option<u64> {
    // SAFETY: any bytes are a number.
    unsafe { option::of_socket(fd, libc::SO_COOKIE, 0) }
}

/// No process has a larger number on Linux.
const PROCESS_BITS: u32 = 22;
const NAMESPACES: u32 = 1 << 9;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn who_has_ended_is_known_from_who_has_not() {
        // This process has not begun, as tests are no programs of ours.
        assert_ne!(tag(), 0);
        assert!(!has_died(tag()) && !has_died(0));
        let mut child = Command::new("sleep").arg("60").spawn().expect("it starts");
        assert!(!has_died(child.id()));
        child.kill().expect("it runs");
        while !has_died(child.id()) {
            std::thread::yield_now();
        }
        child.wait().expect("it was not waited for before");
        assert!(has_died(child.id()), "nobody has its number");
        let elsewhere = 7 << PROCESS_BITS | child.id();
        assert!(!has_died(elsewhere), "numbers that mean others");
    }
}
