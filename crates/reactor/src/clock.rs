//! The time of a turn, and the calendar.

use stdx::time::Time;

/// The monotonic clock, read once a turn.
#[derive(Debug)]
pub(crate) struct Clock {
    start_ns: u64,
    now: Time,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { start_ns: monotonic_ns(), now: Time::ZERO }
    }

    /// The time of this turn.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// Begins a turn: reads the clock.
    pub(crate) fn turn(&mut self) -> Time {
        self.now = Time::from_nanos(monotonic_ns().saturating_sub(self.start_ns));
        self.now
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn calendar_ms() -> u64 {
    read_ns(libc::CLOCK_REALTIME) / 1_000_000
}

/// The monotonic clock, as it is now.
pub(crate) fn monotonic_ns() -> u64 {
    read_ns(libc::CLOCK_MONOTONIC)
}

/// A clock in nanoseconds. These clocks exist on every Linux, and their time is not negative.
fn read_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which lives on this stack.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
