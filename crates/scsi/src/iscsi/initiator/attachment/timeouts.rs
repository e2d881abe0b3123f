//! Connections that are silent and commands that take too long: a silent target is asked for a sign of life, and lost without
//! one; a late command is aborted, and if that does not help the connection counts as lost.

use super::{Attachment, OTHER_TOKEN, WATCH_TOKEN};
use crate::iscsi::initiator::connection::{Connection, ConnectionEnd};
use crate::iscsi::initiator::connection::{Data, Ending};
use crate::iscsi::initiator::disk::{Answer, answer_of};
use crate::iscsi::initiator::event::Failure;
use crate::iscsi::initiator::session::Session;
use core::time::Duration;
use stdx::env::Env;
use stdx::slab::Key;
use stdx::time::Time;
use wire::scsi::{Cdb, Lun};

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
        self.ask_next_disk(env);
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
        if interval.is_zero() {
            return;
        }
        for connection in self.connections_mut() {
            let asked = connection.unanswered().any(|(_, token, _)| token == OTHER_TOKEN);
            if !asked && now >= connection.last_heard() + interval {
                // Without room for it there is plenty to be answered, and the command time-out decides.
                let _ = connection.ping(env, OTHER_TOKEN);
                connection.flush(env);
            }
        }
    }

    /// Asks the next disk whether something has changed, if it is time: TEST UNIT READY is answered with a unit attention
    /// then (SPC-4, section 6.47).
    fn ask_next_disk(&mut self, env: &mut dyn Env) {
        let (now, interval) = (env.now(), self.options.watch_interval);
        if interval.is_zero() || self.asking || now < self.ask_disks_at {
            return;
        }
        self.ask_disks_at = now + interval;
        // A target without disks may get one: then it is the place where all are told of that is asked.
        let behind = self.records.range(self.asked_last.saturating_add(1)..).next();
        let lun = behind.or_else(|| self.records.first_key_value()).map_or(0, |(lun, _)| *lun);
        let Some(session) = self.sessions.first_mut() else { return };
        if session.submit(env, Lun::from_number(lun), &Cdb([0; 16]), Data::None, WATCH_TOKEN).is_ok() {
            (self.asked_last, self.asking) = (lun, true);
            session.flush(env);
        }
    }

    /// The disk says how it is.
    pub(super) fn handle_watched(&mut self, env: &mut dyn Env, ending: &Ending) {
        self.asking = false;
        let changed = match answer_of(ending) {
            Answer::Attention(_) => true,
            Answer::Done(block::Status::Gone) => self.records.contains_key(&self.asked_last),
            Answer::Done(_) | Answer::Again(_) => false,
        };
        if changed && self.is_live() {
            self.begin_scan(env);
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
                let Some(request) = self.requests.get_mut(Key::from_u64(token)) else { continue };
                if request.aborted {
                    continue;
                }
                let Some(free) = places.next() else { break };
                request.aborted = true;
                *free = Some(place);
            }
            for place in late.into_iter().flatten() {
                // Without room for it, the second time-out decides.
                let _ = connection.abort(env, place, ABORT_TOKEN);
            }
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
