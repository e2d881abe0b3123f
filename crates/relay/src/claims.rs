//! Servers' ends of connections that nobody has asked for yet, and hosts that are not asked.

use crate::greeting::Ends;
use reactor::Bell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Programs that accepted a connection, and wait for the relay of who connected.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    waiting: BTreeMap<Ends, (Bell, Instant)>,
    /// When they were last looked through.
    swept: Option<Instant>,
}

/// Hosts whose relay did not answer, and until when they are let alone.
#[derive(Debug, Default)]
pub(crate) struct Silent(BTreeMap<IpAddr, Instant>);

impl Claims {
    /// One more, if there is room. The same end claimed twice is the later one's.
    pub(crate) fn add(&mut self, ends: Ends, bell: Bell, now: Instant) {
        if self.waiting.len() < CLAIMS_MAX {
            self.waiting.insert(ends, (bell, now + PATIENCE));
        }
    }

    /// Takes it out.
    pub(crate) fn take(&mut self, ends: Ends) -> Option<Bell> {
        self.waiting.remove(&ends).map(|(bell, _)| bell)
    }

    /// Lets go of those that waited long enough, or whose program is gone, now and then.
    pub(crate) fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.waiting.retain(|_, (bell, until)| *until > now && bell.hear(&mut [0; 8]) != reactor::Heard::End);
    }

    /// When the next one has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.waiting.values().map(|(_, until)| *until).min()?;
        // No sooner than they are looked through.
        Some(self.swept.map_or(first, |at| first.max(at + SWEEP_EVERY)))
    }
}

impl Silent {
    /// A host did not answer.
    pub(crate) fn add(&mut self, host: IpAddr, now: Instant) {
        self.0.retain(|_, until| *until > now);
        if self.0.len() < HOSTS_MAX {
            self.0.insert(host, now + SILENCE);
        }
    }

    /// Is it let alone?
    pub(crate) fn has(&self, host: IpAddr, now: Instant) -> bool {
        self.0.get(&host).is_some_and(|until| *until > now)
    }
}

/// How long a claim waits. Both ends claim at the same question; only the way between their relays lies between.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often claims are looked through.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// How long a host is let alone.
const SILENCE: Duration = Duration::from_secs(60);
const CLAIMS_MAX: usize = 1024;
const HOSTS_MAX: usize = 4096;
