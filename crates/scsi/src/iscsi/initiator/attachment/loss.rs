//! The connection is lost: what becomes of requests, when to try again, when to give up.

use super::scan::Scan;
use super::{Attachment, Phase};
use crate::iscsi::initiator::connection::{Connection, ConnectionEnd};
use crate::iscsi::initiator::event::{Failure, InitiatorEvent};
use crate::iscsi::login::LoginError;
use block::Status;
use block::replay::Verdict;
use core::time::Duration;
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::{Time, earliest};

impl Attachment {
    /// There is no connection any more, or it did not come to be. A session that breaks takes the others along: they are
    /// cheap to make, and requests then have one history.
    pub(super) fn lose(&mut self, env: &mut dyn Env, why: Failure) {
        if let Phase::Waiting { .. } | Phase::Failed = self.phase {
            return;
        }
        let was_live = self.is_live();
        let now = env.now();
        if let Some(session) = self.sessions.first() {
            self.time_to_wait = Duration::from_secs(session.parameters().time_to_wait_s.into());
        }
        self.drop_sessions(env);
        if let Failure::Connection(ConnectionEnd::Login(LoginError::Moved { address, permanently })) = &why {
            return self.follow(env, address.clone(), *permanently);
        }
        tracing::info!(target = %self.options.target, address = %self.address, %why, "connection lost");
        self.lost_at.get_or_insert(now);
        self.address = self.options.address;
        self.moves = 0;
        let given_up = self.options.loss_timeout == Some(Duration::ZERO);
        if !self.was_live || given_up || why.is_final() {
            return self.fail(env, why);
        }
        if was_live {
            self.events.push_back(InitiatorEvent::ConnectionLost(why.clone()));
            self.hold_requests();
        }
        self.last_failure = why;
        self.phase = Phase::Waiting { until: now + self.backoff.next_wait().max(self.time_to_wait) };
    }

    /// The target is elsewhere (RFC 7143, section 11.13.5): there we go, unless that never ends.
    fn follow(&mut self, env: &mut dyn Env, address: String, permanently: bool) {
        self.moves += 1;
        let (target, _group) = address.split_once(',').unwrap_or((&address, ""));
        let parsed: Option<SocketAddr> = target.parse().ok();
        let why = match parsed {
            Some(_) if self.moves > MOVES_MAX => Failure::MovedOften,
            Some(parsed) => {
                self.address = parsed;
                if permanently {
                    self.options.address = parsed;
                }
                self.phase = Phase::Waiting { until: env.now() };
                return;
            }
            None => Failure::MovedAway(address),
        };
        self.fail(env, why);
    }

    /// Closes the connections and keeps their memory, and where their commands were.
    pub(super) fn drop_sessions(&mut self, env: &mut dyn Env) {
        for (index, mut session) in self.sessions.drain(..).enumerate() {
            session.close(env);
            let memories = session.connections().iter().map(Connection::memory).enumerate();
            self.spare.extend(memories.map(|(number, memory)| ((index, number), memory)));
            self.cmd_sns.insert(index, session.cmd_sn());
        }
        self.recoveries.clear();
        self.scan = Scan::idle();
        self.look_at = None;
        self.asking = false;
    }

    /// Requests wait for the next connection, but for those that must not be sent again.
    fn hold_requests(&mut self) {
        let mut held: Vec<(u64, Key)> = Vec::new();
        let mut unknown: Vec<Key> = Vec::new();
        for (key, request) in self.requests.iter_mut() {
            let verdict = self.acknowledged.judge(&request.io.op, request.range(), request.answered_before);
            match verdict {
                Verdict::Again if planted(Bug::LostTakenForDone) && request.sent => unknown.push(key),
                Verdict::Unknown if request.sent => unknown.push(key),
                Verdict::Unknown | Verdict::Again => {
                    request.rewind();
                    held.push((request.serial, key));
                }
            }
        }
        held.sort_unstable();
        self.waiting.clear();
        if !planted(Bug::ReplayForgotten) {
            self.waiting.extend(held.into_iter().map(|(_, key)| key));
        }
        self.parked.clear();
        self.parked_until = None;
        let outcome = if planted(Bug::LostTakenForDone) { Status::Ok } else { Status::Aborted };
        unknown.into_iter().for_each(|key| self.finish(key, outcome));
    }

    /// When waiting for a connection turns into failing.
    pub(super) fn loss_deadline(&self) -> Option<Time> {
        let lost_at = self.lost_at?;
        let loss = self.options.loss_timeout.map(|timeout| lost_at + timeout);
        let fast = self.options.fast_io_fail_timeout.map(|timeout| lost_at + timeout);
        earliest(loss, fast.filter(|_| !self.requests.is_empty()))
    }

    /// True if requests fail at once instead of waiting for a connection.
    pub(super) fn fails_fast(&self, now: Time) -> bool {
        let lost_at = self.lost_at.filter(|_| !self.is_live());
        let timeout = self.options.fast_io_fail_timeout;
        lost_at.zip(timeout).is_some_and(|(lost_at, timeout)| now >= lost_at + timeout)
    }

    /// Gives up what the options say is to be given up by now: requests, or the target.
    pub(super) fn handle_loss_deadline(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let Some(lost_at) = self.lost_at else { return };
        if self.options.loss_timeout.is_some_and(|timeout| now >= lost_at + timeout) {
            self.fail(env, self.last_failure.clone());
        } else if self.fails_fast(now) {
            self.finish_all(Status::TimedOut);
        }
    }

    /// It is over.
    pub(super) fn fail(&mut self, env: &mut dyn Env, why: Failure) {
        if self.phase == Phase::Failed {
            return;
        }
        self.drop_sessions(env);
        self.lost_at = None;
        self.phase = Phase::Failed;
        self.events.push_back(InitiatorEvent::Failed(why.clone()));
        self.last_failure = why;
        self.finish_all(Status::Gone);
    }

    fn finish_all(&mut self, status: Status) {
        let keys: Vec<Key> = self.requests.iter().map(|(key, _)| key).collect();
        self.waiting.clear();
        self.parked.clear();
        self.parked_until = None;
        keys.into_iter().for_each(|key| self.finish(key, status));
    }

    /// A disk is gone: its requests are, too. Those whose commands are under way end with the target's answer.
    pub(super) fn drop_requests_of(&mut self, lun: u16) {
        let is_idle = |request: &super::Request| request.parts == 0 && request.lun == lun;
        let keys: Vec<Key> =
            self.requests.iter().filter(|(_, request)| is_idle(request)).map(|(key, _)| key).collect();
        self.waiting.retain(|key| !keys.contains(key));
        self.parked.retain(|key| !keys.contains(key));
        keys.into_iter().for_each(|key| self.finish(key, Status::Gone));
    }
}

/// How often the target may send us elsewhere before it lets us in.
const MOVES_MAX: u32 = 4;
