//! A connection that is lost, without a word to those who use the disks: what it had under way goes on by the connections of
//! its session that are left, and it comes up again empty; where none is left, or they have no room, it goes on by another
//! stream with all it had (RFC 7143, sections 7.1.4.3 and 7.2). If that does not come about in the time that was agreed on,
//! the attachment is lost as a whole.
//!
//! ```text
//!              +-- nobody else has room ----------------------------+
//!              |                                                    v
//!   lost --> Waiting --> HandingOver --no answer, not let go--> Connecting --> up
//!              ^              |                                     |
//!              +-- let go ----+                                     |
//!              +-------------------------- failed ------------------+
//! ```
//!
//! Invariant: a connection that has ended is either here, or takes the attachment along.

use super::{Attachment, Place};
use crate::iscsi::initiator::connection::{CONNECTIONS_MAX, State};
use crate::iscsi::initiator::session::Session;
use core::time::Duration;
use stdx::env::Env;
use stdx::time::{Time, earliest};
use wire::iscsi::LogoutResult;

/// What becomes of a connection that is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    step: Step,
    /// When the target may have given its tasks up; never, once it has none.
    until: Time,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Nothing is done before this time.
    Waiting(Time),
    /// The target was asked, by the connection at the place `by`, to let go of the lost one.
    HandingOver { by: usize, late: Time },
    /// Another stream is on its way up.
    Connecting { late: Time },
}

impl Attachment {
    /// Whether the connection at a place has ended, and is seen to.
    pub(super) fn waits_to_recover(&self, place: Place) -> bool {
        let waits = |recovery: &Recovery| !matches!(recovery.step, Step::Connecting { .. });
        self.recoveries.get(&place).is_some_and(waits)
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
                    let first = Recovery { step: Step::Waiting(now + wait), until: now + wait + retain };
                    let recovery = recoveries.entry(place).or_insert(first);
                    match recovery.step {
                        Step::Connecting { .. } if now + TRY_AGAIN < recovery.until => {
                            recovery.step = Step::Waiting(now + TRY_AGAIN);
                        }
                        Step::HandingOver { by, .. } if !self.is_up((place.0, by)) => {
                            recovery.step = Step::Waiting(now);
                        }
                        Step::Waiting(_) | Step::HandingOver { .. } | Step::Connecting { .. } => {}
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

    fn is_up(&self, (index, number): Place) -> bool {
        let connection = self.sessions.get(index).and_then(|session| session.connections().get(number));
        connection.is_some_and(|connection| *connection.state() == State::FullFeature)
    }

    /// When something is to be done about them.
    pub(super) fn recovery_deadline(&self) -> Option<Time> {
        self.recoveries.values().map(|recovery| Some(recovery.next())).fold(None, earliest)
    }

    /// Does what it is time for.
    pub(super) fn continue_recoveries(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let due: Vec<(Place, Step)> = self
            .recoveries
            .iter()
            .filter(|(_, recovery)| recovery.next() <= now)
            .map(|(place, recovery)| (*place, recovery.step))
            .collect();
        for (place, step) in due {
            match step {
                Step::Waiting(_) => {
                    if !self.ask_to_let_go(env, place) {
                        self.connect_anew(env, place);
                    }
                }
                Step::HandingOver { .. } => self.connect_anew(env, place),
                Step::Connecting { .. } => self.end_attempt(env, place),
            }
        }
    }

    /// Has the target let go of a lost connection, if others can go on with its tasks.
    fn ask_to_let_go(&mut self, env: &mut dyn Env, (index, number): Place) -> bool {
        let Some(session) = self.sessions.get_mut(index) else { return false };
        let Some(by) = session.successor(number) else { return false };
        let Some(lost) = session.connections().get(number) else { return false };
        let (connection_id, token) = (lost.connection_id(), LET_GO_TOKEN - number as u64);
        let Some(connection) = session.connections_mut().get_mut(by) else { return false };
        if connection.log_out_lost(env, connection_id, token).is_err() {
            return false;
        }
        connection.flush(env);
        let late = env.now() + self.options.connect_timeout;
        if let Some(recovery) = self.recoveries.get_mut(&(index, number)) {
            recovery.step = Step::HandingOver { by, late: late.min(recovery.until) };
        }
        true
    }

    /// The target has let go of a lost connection, or says why not.
    pub(super) fn handle_let_go(
        &mut self,
        env: &mut dyn Env,
        index: usize,
        token: u64,
        result: LogoutResult,
    ) {
        // Whoever logs out of a session as a whole waits for no answer.
        let number = (LET_GO_TOKEN - token.min(LET_GO_TOKEN)) as usize;
        if token > LET_GO_TOKEN || number >= usize::from(CONNECTIONS_MAX) {
            return;
        }
        let place = (index, number);
        let Some(recovery) = self.recoveries.get_mut(&place) else { return };
        let Step::HandingOver { .. } = recovery.step else { return };
        match result {
            LogoutResult::Closed => {
                let Some(session) = self.sessions.get_mut(index) else { return };
                if session.hand_over(number) {
                    recovery.until = Time::NEVER;
                }
                recovery.step = Step::Waiting(env.now());
                tracing::info!(target = %self.options.target, "tasks of a lost iSCSI connection go on by others");
                session.flush(env);
            }
            LogoutResult::NoSuchConnection
            | LogoutResult::RecoveryNotSupported
            | LogoutResult::CleanupFailed => self.connect_anew(env, place),
        }
    }

    /// Connects a lost connection by another stream.
    fn connect_anew(&mut self, env: &mut dyn Env, (index, number): Place) {
        let Some(window) = self.sessions.get(index).map(Session::window) else { return };
        let settings = self.settings((index, number), window);
        let (now, owner) = (env.now(), self.owner);
        let others_are_up = (0..usize::from(CONNECTIONS_MAX)).any(|other| self.is_up((index, other)));
        let Some(session) = self.sessions.get_mut(index) else { return };
        let Some(connection) = session.connections_mut().get_mut(number) else { return };
        let has_commands = connection.commands() > 0;
        let Some(recovery) = self.recoveries.get_mut(&(index, number)) else { return };
        if !has_commands && others_are_up {
            recovery.until = Time::NEVER;
        }
        tracing::info!(target = %self.options.target, "an iSCSI connection goes on by another stream");
        let begun = connection.reconnect(env, owner, &settings);
        let late = if begun.is_ok() { recovery.until.min(now + self.options.connect_timeout) } else { now };
        recovery.step = Step::Connecting { late };
    }

    /// An attempt takes too long: it ends, and the next is planned with all other ends.
    fn end_attempt(&mut self, env: &mut dyn Env, (index, number): Place) {
        if let Some(recovery) = self.recoveries.get_mut(&(index, number)) {
            recovery.step = Step::Connecting { late: Time::NEVER };
        }
        let connections = self.sessions.get_mut(index).map(Session::connections_mut);
        if let Some(connection) = connections.and_then(|connections| connections.get_mut(number)) {
            connection.close(env);
        }
    }
}

impl Recovery {
    /// When something is to be done about it.
    const fn next(&self) -> Time {
        match self.step {
            Step::Waiting(at) => at,
            Step::HandingOver { late, .. } | Step::Connecting { late } => late,
        }
    }
}

/// How long to wait after an attempt that failed.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// The token of the request to let go of the first connection of a session; those of the others count down. No command of a
/// request has one of them: places are below a limit.
const LET_GO_TOKEN: u64 = u64::MAX - 16;
