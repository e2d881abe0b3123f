//! select and its kin, by way of poll: a carrier's number may be larger than a set can hold.

use super::poll;
use libc::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, c_int, c_short, fd_set, pollfd, sigset_t};
use std::time::Duration;

/// The three sets of a call.
#[derive(Debug)]
pub struct Sets {
    count: c_int,
    sets: [*mut fd_set; 3],
}

/// What each set asks for, and what it counts as ready for, as the kernel has it.
const ASKED: [c_short; 3] = [POLLIN, POLLOUT, POLLPRI];
const READY: [c_short; 3] = [POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI];

impl Sets {
    /// # Safety
    /// Each set is there, or null, for as long as this is used.
    pub unsafe fn new(count: c_int, sets: [*mut fd_set; 3]) -> Sets {
        Sets { count, sets }
    }

    /// Entries for poll, in order of the descriptors.
    pub fn entries(&self) -> Vec<pollfd> {
        let entry = |fd| {
            let asked = (0..3).filter(|&set| self.has(set, fd)).fold(0, |events, set| events | ASKED[set]);
            (asked != 0).then_some(pollfd { fd, events: asked, revents: 0 })
        };
        (0..self.count.min(libc::FD_SETSIZE as c_int)).filter_map(entry).collect()
    }

    /// Is any descriptor a connection that may be carried? Sets can be longer than their type says; who has such keeps to TCP.
    pub fn concern_us(&self) -> bool {
        let mut all = 0..self.count;
        let is_ours = |fd: c_int| poll::concerned(fd).is_some() && (0..3).any(|set| self.has(set, fd));
        self.count <= libc::FD_SETSIZE as c_int && all.any(is_ours)
    }

    /// Waits as pselect does.
    pub fn wait(&self, entries: &mut [pollfd], timeout: Option<Duration>, mask: *const sigset_t) -> c_int {
        let answer = poll::wait(entries, timeout, mask);
        if answer < 0 {
            return answer;
        }
        if entries.iter().any(|entry| entry.revents & libc::POLLNVAL != 0) {
            crate::errno::set(libc::EBADF);
            return -1;
        }
        let mut ready = 0;
        for entry in entries {
            for (set, events) in READY.into_iter().enumerate() {
                if self.has(set, entry.fd) {
                    let is_ready = entry.revents & events != 0;
                    self.put(set, entry.fd, is_ready);
                    ready += c_int::from(is_ready);
                }
            }
        }
        ready
    }

    fn has(&self, set: usize, fd: c_int) -> bool {
        // SAFETY: the set is there, as `new` was promised, and the descriptor is less than a set holds.
        !self.sets[set].is_null() && unsafe { libc::FD_ISSET(fd, self.sets[set]) }
    }

    fn put(&self, set: usize, fd: c_int, is_ready: bool) {
        if !is_ready {
            // SAFETY: as above.
            unsafe { libc::FD_CLR(fd, self.sets[set]) };
        }
    }
}
