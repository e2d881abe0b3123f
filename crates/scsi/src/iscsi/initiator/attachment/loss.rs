//! The connection is lost: what becomes of requests, when to try again, when to give up.

use super::{Attachment, Phase};
use crate::iscsi::initiator::connection::{Connection, ConnectionEnd};
use crate::iscsi::initiator::event::{Failure, InitiatorEvent};
use crate::iscsi::initiator::iser::STALE_MAX;
use crate::iscsi::login::LoginError;
use core::time::Duration;
use std::net::SocketAddr;
use stdx::env::Env;

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
            if was_live {
                self.units.lose(now);
            }
            return self.follow(env, address.clone(), *permanently);
        }
        tracing::info!(target = %self.options.target, address = %self.address, %why, "connection lost");
        self.address = self.options.address;
        self.moves = 0;
        if self.is_in_the_way(&why) {
            self.phase = Phase::Waiting { until: now + self.backoff.next_wait() };
            return;
        }
        let given_up = self.options.loss_timeout == Some(Duration::ZERO);
        if !self.was_live || given_up || why.is_final() {
            return self.fail(env, why);
        }
        self.units.lose(now);
        if was_live {
            self.events.push_back(InitiatorEvent::ConnectionLost(why.clone()));
        }
        self.last_failure = why;
        self.phase = Phase::Waiting { until: now + self.backoff.next_wait().max(self.time_to_wait) };
    }

    /// Whether an earlier connection of ours keeps us from being let in for the first time, and has not for too long.
    fn is_in_the_way(&mut self, why: &Failure) -> bool {
        let is_stale =
            matches!(why, Failure::Connection(ConnectionEnd::Rdma(end)) if end.is_stale()) && !self.was_live;
        self.stale += u32::from(is_stale);
        is_stale && self.stale <= STALE_MAX
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
        self.leave_device(false);
        for (index, mut session) in self.sessions.drain(..).enumerate() {
            session.close(env);
            let memories = session.connections().iter().map(Connection::memory).enumerate();
            self.spare.extend(memories.map(|(number, memory)| ((index, number), memory)));
            self.cmd_sns.insert(index, session.cmd_sn());
        }
        self.recoveries.clear();
        self.units.forget_look();
        self.look_at = None;
    }

    /// It is over.
    pub(super) fn fail(&mut self, env: &mut dyn Env, why: Failure) {
        if self.phase == Phase::Failed {
            return;
        }
        self.drop_sessions(env);
        self.phase = Phase::Failed;
        self.events.push_back(InitiatorEvent::Failed(why.clone()));
        self.last_failure = why;
        self.units.give_up();
    }
}

/// How often the target may send us elsewhere before it lets us in.
const MOVES_MAX: u32 = 4;
