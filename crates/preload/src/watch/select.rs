//! select and its kin, by way of poll: a carrier's number may be larger than a set can hold.

use super::poll;
use libc::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, c_int, c_short, fd_set, pollfd, sigset_t};
use std::time::{Duration, Instant};

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
        // Later than any time is never.
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let answer = poll::wait(entries, left, mask);
            if answer < 0 {
                return answer;
            }
            if entries.iter().any(|entry| entry.revents & libc::POLLNVAL != 0) {
                crate::errno::set(libc::EBADF);
                return -1;
            }
            if answer == 0 || entries.iter().any(|entry| self.is_any_ready(entry)) {
                return self.tell(entries);
            }
            // Poll tells of ends that no set asks for: who has such a one is left out, as numbers below 0 are.
            entries.iter_mut().filter(|entry| entry.revents != 0).for_each(|entry| entry.fd = !entry.fd);
        }
    }

    fn is_any_ready(&self, entry: &pollfd) -> bool {
        (0..3).any(|set| entry.fd >= 0 && self.has(set, entry.fd) && entry.revents & READY[set] != 0)
    }

    /// Leaves in the sets who is ready; the answer is how many there are in all.
    fn tell(&self, entries: &[pollfd]) -> c_int {
        let mut ready = 0;
        for entry in entries {
            let fd = entry.fd.max(!entry.fd);
            for (set, events) in READY.into_iter().enumerate() {
                if self.has(set, fd) {
                    let is_ready = entry.revents & events != 0;
                    self.put(set, fd, is_ready);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::zeroed;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::ptr::{null, null_mut};

    #[test]
    fn an_end_that_nobody_asks_for_makes_nobody_wait_shorter() {
        let (here, there) = UnixStream::pair().expect("two sockets");
        let fd = here.as_raw_fd();
        drop(there);
        // SAFETY: sets of nobody.
        let [mut exceptional, mut readable]: [fd_set; 2] = unsafe { zeroed() };
        // SAFETY: sets on our stack, which the descriptor is small enough for.
        unsafe { libc::FD_SET(fd, &mut exceptional) };
        // SAFETY: as above.
        let sets = unsafe { Sets::new(fd + 1, [null_mut(), null_mut(), &mut exceptional]) };
        let (begun, span) = (Instant::now(), Duration::from_millis(30));
        assert_eq!(sets.wait(&mut sets.entries(), Some(span), null()), 0);
        assert!(begun.elapsed() >= span);
        // SAFETY: as above.
        let is_left = unsafe { libc::FD_ISSET(fd, &exceptional) };
        assert!(!is_left, "nobody is ready");
        // SAFETY: as above.
        unsafe {
            libc::FD_SET(fd, &mut exceptional);
            libc::FD_SET(fd, &mut readable);
        }
        // SAFETY: as above.
        let sets = unsafe { Sets::new(fd + 1, [&mut readable, null_mut(), &mut exceptional]) };
        assert_eq!(sets.wait(&mut sets.entries(), None, null()), 1, "an end is read");
    }
}
