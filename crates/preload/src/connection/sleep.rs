//! Sleeping until the peer has done something, in calls of the program's that may wait.
//!
//! Who sleeps has said so in the shared memory, and looked again after. The kernel watches the bell, which the peer rings, and
//! the TCP socket, which tells of an end that nobody could say.

use super::ring::GONE;
use super::{Connection, change::Receive};
use crate::{errno, next, option, rows};
use libc::{EAGAIN, EBADF, EINTR, POLLIN, POLLRDHUP, c_int, c_short, pollfd, timespec, timeval};
use std::mem::zeroed;
use std::ptr::null;
use std::time::{Duration, Instant};

/// How long one call may wait, in all: the kernel is asked when it waits for the first time.
#[derive(Debug)]
pub(super) struct Patience {
    option: c_int,
    end: Option<Option<Instant>>,
    /// The call has moved bytes, of which the program is told once a signal came.
    has_moved: bool,
}

impl Patience {
    /// As the program has said by this option of the socket.
    pub(super) fn by(option: c_int) -> Patience {
        Patience { option, end: None, has_moved: false }
    }

    /// The call has moved bytes.
    pub(super) fn moved(&mut self) {
        self.has_moved = true;
    }

    /// What is left of it; none for ever.
    pub(super) fn left(&mut self, fd: c_int) -> Option<Duration> {
        let end = *self.end.get_or_insert_with(|| {
            limit(fd, self.option).and_then(|limit| Instant::now().checked_add(limit))
        });
        end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// A thread that sleeps until its call ends, or the thread itself, by being cancelled.
struct Asleep {
    connection: Connection,
    birth: u32,
}

impl Asleep {
    fn begin(connection: Connection) -> Asleep {
        connection.sleep_begins();
        Asleep { connection, birth: connection.birth() }
    }

    /// Awake; is the connection still there? Another thread may have closed it meanwhile.
    fn end(self) -> bool {
        self.connection.is_still(self.birth)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        if self.connection.birth() == self.birth {
            self.connection.sleep_ends();
        }
    }
}

impl Connection {
    /// Waits until something may be there to read; the answer is an error, or 0.
    pub(super) fn sleep_for_bytes(self, fd: c_int, patience: &mut Patience) -> c_int {
        let asleep = Asleep::begin(self);
        let receive = self.receive();
        let is_carried = receive == Receive::Carrier;
        if is_carried {
            self.with_reader(|reader, _| reader.sleep());
            if self.has_bytes() {
                self.with_reader(|reader, _| reader.stay_awake());
                return 0;
            }
        }
        let events = if is_carried { POLLRDHUP } else { POLLIN };
        let bell = self.bell().filter(|_| matches!(receive, Receive::Either | Receive::Carrier));
        let left = patience.left(fd);
        // What a relay brings may come after TCP's end.
        let socket = if is_carried && self.is_relayed() { -1 } else { fd };
        let told = wait([(socket, events), (bell.unwrap_or(-1), POLLIN)], self.no_longer_than(left));
        if !asleep.end() {
            return EBADF;
        }
        let answer = self.slept(fd, is_carried, patience, told);
        // A bell that rings for nothing makes nobody wait longer.
        let is_over = answer == 0 && is_carried && patience.left(fd) == Some(Duration::ZERO);
        if is_over && !self.has_bytes() { EAGAIN } else { answer }
    }

    /// Waits until there may be room; the answer is an error, or 0.
    pub(super) fn sleep_for_room(self, fd: c_int, patience: &mut Patience) -> c_int {
        let asleep = Asleep::begin(self);
        self.with_writer(|writer, _| writer.sleep());
        if self.has_room() {
            self.with_writer(|writer, _| writer.stay_awake());
            return 0;
        }
        // Another thread may end our direction, of which nobody is told.
        let span = patience.left(fd).unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        let socket = if self.is_relayed() { -1 } else { fd };
        let told = wait([(socket, 0), (self.bell().unwrap_or(-1), POLLIN)], Some(span));
        if !asleep.end() {
            return EBADF;
        }
        if matches!(told, Ok([socket, 0]) if socket != 0) {
            self.set_flag(GONE, true);
        }
        let answer = self.slept(fd, false, patience, told);
        let is_over = answer == 0 && patience.left(fd) == Some(Duration::ZERO);
        if is_over && !self.has_room() { EAGAIN } else { answer }
    }

    /// One of several may be counted and not be there.
    fn no_longer_than(self, limit: Option<Duration>) -> Option<Duration> {
        if !self.do_others_sleep() {
            return limit;
        }
        Some(limit.map_or(LOOK_EVERY, |limit| limit.min(LOOK_EVERY)))
    }

    fn slept(
        self,
        fd: c_int,
        is_carried: bool,
        patience: &mut Patience,
        told: Result<[c_short; 2], c_int>,
    ) -> c_int {
        match told {
            Ok([_, bell]) if bell != 0 => {
                self.hear_bell();
                0
            }
            Ok([socket, _]) => {
                if is_carried && socket != 0 {
                    self.wait_for_end();
                }
                0
            }
            // It was a part of the time.
            Err(EAGAIN) if patience.left(fd) != Some(Duration::ZERO) => 0,
            // Calls that wait for a limited time are not gone on with (signal(7)), nor those that have moved bytes.
            Err(EINTR) if !patience.has_moved && patience.left(fd).is_none() && are_calls_restarted() => 0,
            Err(error) => error,
        }
    }

    /// TCP has ended, and the peer has not said that what it sent by the carrier has: it is about to, or is gone without a word,
    /// of which the bell tells a moment later.
    fn wait_for_end(self) {
        for _ in 0..END_LOOKS {
            self.hear_bell();
            if self.has_bytes() {
                return;
            }
            std::thread::yield_now();
        }
        self.set_flag(GONE, true);
    }
}

/// Waits for either of two descriptors; the answer is what they told, or an error.
fn wait(watched: [(c_int, c_short); 2], limit: Option<Duration>) -> Result<[c_short; 2], c_int> {
    let mut set = watched.map(|(fd, events)| pollfd { fd, events, revents: 0 });
    let limit = limit.map(|limit| timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos().cast_signed()),
    });
    let timeout = limit.as_ref().map_or(null(), std::ptr::from_ref::<timespec>);
    rows::kernel_called(1);
    // SAFETY: two descriptors and a time, or none, all on our stack.
    let answer = unsafe { next::ppoll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout, null()) };
    match answer {
        0 => Err(EAGAIN),
        1.. => Ok(set.map(|entry| entry.revents)),
        _ => Err(errno::get()),
    }
}

/// How long the program wants its calls to wait; none for ever.
fn limit(fd: c_int, name: c_int) -> Option<Duration> {
    // SAFETY: any bytes are two numbers.
    let time = unsafe { option::of_socket(fd, name, timeval { tv_sec: 0, tv_usec: 0 }) };
    time.filter(|time| (time.tv_sec, time.tv_usec) != (0, 0)).map(|time| {
        Duration::from_secs(time.tv_sec.cast_unsigned()) + Duration::from_micros(time.tv_usec.cast_unsigned())
    })
}

/// Would the kernel have gone on with a read that a signal interrupted? It would if each signal that the program catches is
/// caught in that way; which one it was cannot be known.
fn are_calls_restarted() -> bool {
    (1..=SIGNALS).all(|signal| {
        // SAFETY: a type that zeroes are a value of, written by the call if it succeeds.
        let mut action: libc::sigaction = unsafe { zeroed() };
        // SAFETY: it only asks.
        let answer = unsafe { libc::sigaction(signal, null(), &mut action) };
        let is_caught = answer == 0 && !matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
        !is_caught || action.sa_flags & libc::SA_RESTART != 0
    })
}

const SIGNALS: c_int = 64;
/// How long who sleeps does not look where nobody might wake it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the bell is listened to for an end that is about to come.
const END_LOOKS: u32 = 1000;
