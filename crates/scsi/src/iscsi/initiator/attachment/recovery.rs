//! A connection that is lost goes on by another stream (RFC 7143, section 7.1.4.3), without a word to those who use the disks.
//! If that does not come about in the time that was agreed on, the attachment is lost as a whole.
//!
//! Invariant: a connection that has ended is either here, or takes the attachment along.

use super::{Attachment, Place};
use crate::iscsi::initiator::connection::State;
use crate::iscsi::initiator::session::Session;
use core::time::Duration;
use stdx::env::Env;
use stdx::time::{Time, earliest};

/// A connection on its way to another stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    /// When to try; `None` while an attempt is under way.
    at: Option<Time>,
    /// When an attempt under way has taken too long.
    late: Time,
    /// When the target may have given the tasks up.
    until: Time,
}

impl Attachment {
    /// Whether the connection at a place has ended, and is to be connected anew.
    pub(super) fn waits_to_recover(&self, place: Place) -> bool {
        self.recoveries.get(&place).is_some_and(|recovery| recovery.at.is_some())
    }

    /// Sees to connections that are lost, and forgets those that are up again.
    pub(super) fn recover_ended(&mut self, env: &mut dyn Env) {
        if !self.is_live() {
            return;
        }
        let now = env.now();
        let mut recoveries = core::mem::take(&mut self.recoveries);
        for (place, connection) in self.connections() {
            match connection.state() {
                State::FullFeature => {
                    recoveries.remove(&place);
                }
                State::Ended(why) if connection.recovers(why) => {
                    let (wait, retain) = connection.times();
                    let first =
                        Recovery { at: Some(now + wait), late: Time::NEVER, until: now + wait + retain };
                    let recovery = recoveries.entry(place).or_insert(first);
                    let again = now + TRY_AGAIN;
                    if recovery.at.is_none() && again < recovery.until {
                        recovery.at = Some(again);
                    }
                }
                State::Ended(_) => {
                    recoveries.remove(&place);
                }
                State::Connecting | State::LoggingIn => {}
            }
        }
        self.recoveries = recoveries;
    }

    /// When something is to be done about them.
    pub(super) fn recovery_deadline(&self) -> Option<Time> {
        let times = self.recoveries.values().map(|recovery| Some(recovery.at.unwrap_or(recovery.late)));
        times.fold(None, earliest)
    }

    /// Connects those whose time has come, and ends attempts that take too long.
    pub(super) fn continue_recoveries(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let due: Vec<Place> =
            self.recoveries.iter().filter(|(_, one)| one.is_due(now)).map(|(at, _)| *at).collect();
        for (index, number) in due {
            let Some(window) = self.sessions.get(index).map(Session::window) else { continue };
            let settings = self.settings((index, number), window);
            let owner = self.owner;
            let Some(session) = self.sessions.get_mut(index) else { continue };
            let Some(connection) = session.connections_mut().get_mut(number) else { continue };
            let Some(recovery) = self.recoveries.get_mut(&(index, number)) else { continue };
            if recovery.at.take().is_none() {
                // The attempt ends, and the next is planned with all other ends.
                recovery.late = Time::NEVER;
                connection.close(env);
                continue;
            }
            recovery.late = recovery.until.min(now + self.options.connect_timeout);
            tracing::info!(target = %self.options.target, "an iSCSI connection goes on by another stream");
            if connection.reconnect(env, owner, &settings).is_err() {
                recovery.late = now;
            }
        }
    }
}

impl Recovery {
    fn is_due(&self, now: Time) -> bool {
        self.at.unwrap_or(self.late) <= now
    }
}

/// How long to wait after an attempt that failed.
const TRY_AGAIN: Duration = Duration::from_millis(250);
