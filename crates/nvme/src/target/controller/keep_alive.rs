//! Keep alive: a host that is silent for too long is gone (Base 3.9).
//!
//! The controller supports traffic-based keep alive (CTRATT.TBKAS): any command within the interval counts. So a command
//! only sets a flag, and the timer is looked at when it ends.

use super::super::Target;
use std::time::Duration;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::Time;

/// The timer of one controller.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct KeepAlive {
    /// As the host gave it (KATO), in milliseconds; 0 is none.
    pub(in super::super) timeout_ms: u32,
    /// For controllers that live without keep alive: how long they may be silent.
    silence: Option<Duration>,
    /// A command came since the timer began.
    pub(in super::super) heard: bool,
    due: Option<Time>,
}

impl KeepAlive {
    pub(super) fn new(now: Time, timeout_ms: u32, silence: Option<Duration>) -> Self {
        let mut timer = Self { timeout_ms, silence, heard: false, due: None };
        timer.restart(now);
        timer
    }

    /// The host changed the time-out.
    pub(super) fn set(&mut self, now: Time, timeout_ms: u32) {
        self.timeout_ms = timeout_ms;
        self.restart(now);
    }

    pub(super) fn restart(&mut self, now: Time) {
        self.heard = false;
        self.due = self.interval().map(|interval| now + interval);
    }

    /// When the timer ends.
    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    /// The time-out, rounded up to the granularity the controller tells (Base 5.27.1.12).
    fn interval(&self) -> Option<Duration> {
        if self.timeout_ms == 0 {
            return self.silence;
        }
        let units = u64::from(self.timeout_ms).div_ceil(u64::from(GRANULARITY_MS));
        Some(Duration::from_millis(units * u64::from(GRANULARITY_MS)))
    }
}

impl Target {
    /// Looks at a controller's timer: when it ends next, after it was ended for silence if that was so.
    pub(in super::super) fn expire_keep_alive(&mut self, key: Key, now: Time) -> Option<Time> {
        let timer = &mut self.controllers.get_mut(key)?.keep_alive;
        let due = timer.due?;
        if due > now {
            return Some(due);
        }
        if timer.heard || planted(Bug::KeepAliveIgnored) {
            timer.restart(now);
            return timer.due;
        }
        tracing::warn!(controller = self.controllers.get(key)?.id, "keep alive expired");
        self.end_controller(key);
        None
    }
}

/// KAS in milliseconds: the granularity of the timer.
pub(super) const GRANULARITY_MS: u32 = 100;
