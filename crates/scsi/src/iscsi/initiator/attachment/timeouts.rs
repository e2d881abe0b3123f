//! Connections that are silent and commands that take too long: a silent target is asked for a sign of life, and lost without
//! one; a late command is aborted; if that does not help its logical unit is reset, and if that does not help the connection
//! counts as lost.

use super::{Attachment, OTHER_TOKEN};
use crate::iscsi::initiator::connection::{Connection, ConnectionEnd};
use crate::iscsi::initiator::event::Failure;
use crate::iscsi::initiator::session::Session;
use core::time::Duration;
use stdx::env::Env;
use stdx::time::Time;

impl Attachment {
    /// When to look next.
    pub(super) fn watch(&mut self, env: &mut dyn Env) {
        let options = &self.options;
        let silence =
            if options.nop_interval.is_zero() { options.command_timeout } else { options.nop_interval };
        let mut shortest = silence.min(options.nop_timeout).min(options.command_timeout);
        if !options.watch_interval.is_zero() {
            shortest = shortest.min(options.watch_interval);
        }
        self.look_at = Some(env.now() + (shortest / LOOKS_A_TIMEOUT).max(Duration::from_millis(1)));
    }

    /// Looks, if it is time.
    pub(super) fn look(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.watch(env);
        if !self.close_silent(env, now) {
            return self.lose(env, Failure::Silent);
        }
        let late = |session: &Session| {
            session.oldest().is_some_and(|since| now >= since + self.options.command_timeout * 2)
        };
        if self.sessions.iter().any(late) {
            return self.lose(env, Failure::CommandTimedOut);
        }
        self.ping_silent(env);
        self.abort_late(env);
        self.reset_stuck(env);
        self.units.ask_next_disk(env, &mut self.sessions);
    }

    /// Closes connections by which a sign of life was asked for, and nothing at all was heard since for as long as the options
    /// allow. False if there is one that cannot go on by another stream.
    fn close_silent(&mut self, env: &mut dyn Env, now: Time) -> bool {
        let timeout = self.options.nop_timeout;
        let silent = self.connections_mut().filter(|connection| is_silent(connection, now, timeout));
        for connection in silent {
            if !connection.recovers(&ConnectionEnd::Closed) {
                return false;
            }
            connection.close(env);
        }
        true
    }

    fn ping_silent(&mut self, env: &mut dyn Env) {
        let (now, interval) = (env.now(), self.options.nop_interval);
        for connection in self.connections_mut() {
            let asked = connection.unanswered().any(|(_, token, _)| token == OTHER_TOKEN);
            let is_silent = !interval.is_zero() && now >= connection.last_heard() + interval;
            if !asked && (is_silent || connection.owes_pongs()) {
                // Without room for it there is plenty to be answered, and the command time-out decides.
                let _ = connection.ping(env, OTHER_TOKEN);
                connection.flush(env);
            }
        }
    }

    /// Commands that are late are aborted, each once.
    fn abort_late(&mut self, env: &mut dyn Env) {
        let (now, timeout) = (env.now(), self.options.command_timeout);
        for connection in self.sessions.iter_mut().flat_map(Session::connections_mut) {
            let mut late = [None; ABORTS_A_LOOK];
            let candidates = connection.unanswered().filter(|(_, _, since)| now >= *since + timeout);
            let mut places = late.iter_mut();
            for (place, token, _) in candidates {
                if places.len() == 0 {
                    break;
                }
                if self.units.note_abort(token)
                    && let Some(free) = places.next()
                {
                    *free = Some(place);
                }
            }
            for place in late.into_iter().flatten() {
                // Without room for it, the second time-out decides.
                let _ = connection.abort(env, place, ABORT_TOKEN);
            }
            connection.flush(env);
        }
    }

    /// The logical unit of a command that is late still, half a time-out after it was aborted, is reset.
    fn reset_stuck(&mut self, env: &mut dyn Env) {
        let (now, timeout) = (env.now(), self.options.command_timeout);
        let stuck =
            self.connections_mut().find_map(|connection| connection.stuck(now, timeout + timeout / 2));
        let Some(lun) = stuck else { return };
        // Each connection for itself: what answers a reset comes behind all that its own commands were answered with.
        for connection in self.connections_mut() {
            // Without room for it, the second time-out decides.
            let _ = connection.reset_unit(env, lun, ABORT_TOKEN);
            connection.flush(env);
        }
    }
}

fn is_silent(connection: &Connection, now: Time, timeout: Duration) -> bool {
    let asked = connection.unanswered().filter(|(_, token, _)| *token == OTHER_TOKEN);
    let asked = asked.map(|(_, _, since)| since).min();
    asked.is_some_and(|asked| connection.last_heard() <= asked && now >= asked + timeout)
}

/// The token of task management.
const ABORT_TOKEN: u64 = u64::MAX - 2;
/// How often late commands are looked for within the shortest time-out.
const LOOKS_A_TIMEOUT: u32 = 4;
/// The most commands of a connection aborted at one look.
const ABORTS_A_LOOK: usize = 8;
