//! What a session keeps for connections that were lost (RFC 7143, sections 7.1.4.3 and 7.2.2): tasks wait, for as long as was
//! agreed on, until another connection takes them over.
//!
//! Invariants: what is kept is of a connection that stands in `lost`, and goes with it; a task is either the executor's or
//! stranded with its outcome, never both.

use super::super::connection::{Cuts, KeptRead, Response, residual};
use super::super::{Context, Shard};
use super::{Parked, Session, Stage, give};
use crate::target::Outcome;
use core::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::iscsi::{Serial, ServiceResponse};

/// A task that has ended, and whose initiator has not been told for sure.
#[derive(Debug)]
pub(crate) struct Stranded {
    /// The connection that was to tell.
    pub connection: Key,
    /// What it was to say.
    pub response: Response,
    /// The data before that.
    pub read: Option<KeptRead>,
}

impl Stranded {
    /// Its task's tag.
    pub(crate) const fn tag(&self) -> u32 {
        self.response.tag
    }

    /// Bytes of its buffer.
    pub(crate) fn bytes(&self) -> usize {
        self.read.as_ref().map_or(0, |read| read.buffer.len())
    }
}

impl Session {
    /// Whether this connection, which is one of its, can be recovered.
    pub(crate) fn recovers(&self, connection: Key) -> bool {
        let is_mine = self.connections.iter().any(|(_, key)| *key == connection);
        let agreed = self.parameters.error_recovery_level == 2 && self.parameters.time_to_retain_s > 0;
        is_mine && agreed && !self.ended && self.nexus.is_some()
    }

    /// Forgets what was kept for a connection, or for all. Says how many bytes that were.
    pub(crate) fn drop_stranded(&mut self, env: &mut dyn Env, of: Option<Key>) -> usize {
        let mut bytes = 0;
        self.stranded.retain(|stranded| {
            let goes = of.is_none_or(|key| stranded.connection == key);
            if goes && let Some(read) = &stranded.read {
                bytes += read.buffer.len();
                give(env, read.buffer);
            }
            !goes
        });
        bytes
    }

    /// Memory is short: outcomes with data are not kept any longer. Says how many bytes that were.
    pub(crate) fn release_stranded(&mut self, env: &mut dyn Env) -> usize {
        let bytes = self.stranded_bytes();
        self.stranded.retain(|stranded| {
            stranded.read.iter().for_each(|read| give(env, read.buffer));
            stranded.read.is_none()
        });
        bytes
    }

    /// The oldest outcomes are forgotten where there are too many. Says how many bytes that were.
    fn bound_stranded(&mut self, env: &mut dyn Env) -> usize {
        let mut bytes = 0;
        let over = self.stranded.len().saturating_sub(STRANDED_MAX);
        for stranded in self.stranded.drain(..over) {
            bytes += stranded.bytes();
            stranded.read.iter().for_each(|read| give(env, read.buffer));
        }
        bytes
    }

    /// Forgets what a lost connection brought and what the session has not taken yet: the initiator sends it again.
    fn drop_untaken(&mut self, env: &mut dyn Env, connection: Key, solicited_bytes: &mut usize) {
        let of_tasks = |slot: u32| self.tasks.get(slot).is_some_and(|task| task.connection == connection);
        for parked in self.window.unpark(|parked| match parked {
            Parked::Task(slot) => of_tasks(*slot),
            Parked::Pdu { connection: of, .. } => *of == connection,
            Parked::Gone => false,
        }) {
            if let Parked::Pdu { data, .. } = parked {
                give(env, data);
            }
        }
        let mut ready = core::mem::take(&mut self.ready);
        ready.retain(|(of, _, data)| {
            if *of == connection {
                give(env, *data);
            }
            *of != connection
        });
        self.ready = ready;
        self.postponed.retain(|(of, _)| *of != connection);
        for slot in self.tasks.slots(Some(connection)) {
            let untaken = |stage| matches!(stage, Stage::Arriving | Stage::Parked);
            if self.tasks.get(slot).is_some_and(|task| untaken(task.stage))
                && let Some(buffer) = self.remove(slot, solicited_bytes)
            {
                give(env, buffer);
            }
        }
    }
}

impl Context<'_> {
    /// A connection is gone whose tasks may go on by another.
    pub(crate) fn lose_connection(
        &mut self,
        key: Key,
        (connection_id, connection): (u16, Key),
        responses: Vec<(Response, Option<KeptRead>)>,
    ) {
        let Some(session) = self.shard.sessions.get_mut(key) else { return };
        session.connections.retain(|(_, of)| *of != connection);
        session.lost.push((connection_id, connection));
        session.drop_untaken(self.env, connection, &mut self.shard.solicited_bytes);
        for (response, read) in responses {
            let stranded = Stranded { connection, response, read };
            self.shard.kept_bytes += stranded.bytes();
            session.stranded.push(stranded);
        }
        self.shard.kept_bytes -= session.bound_stranded(self.env);
        let slots = session.tasks.slots(Some(connection));
        let parameters = &session.parameters;
        let seconds = u64::from(parameters.time_to_wait_s) + u64::from(parameters.time_to_retain_s);
        let until = self.env.now() + Duration::from_secs(seconds);
        let place = self.shard.expiries.partition_point(|(other, ..)| *other <= until);
        self.shard.expiries.insert(place, (until, key, connection));
        self.shard.counters.connections_lost += 1;
        for slot in slots {
            let Some(session) = self.shard.sessions.get_mut(key) else { return };
            let Some(task) = session.tasks.get_mut(slot) else { continue };
            task.lose_connection();
            if let Some(outcome) = task.outcome.take() {
                self.settle_outcome(key, &outcome);
            }
        }
        // Who loses one connection after the other has only so many of them kept for it.
        let lost = self.shard.sessions.get(key).map(|session| &session.lost);
        if let Some(&(_, oldest)) = lost.filter(|lost| lost.len() > LOST_MAX).and_then(|lost| lost.first()) {
            self.shard.expiries.retain(|(_, _, of)| *of != oldest);
            self.expire(key, oldest);
        }
    }

    /// A task has ended whose connection is gone: its outcome is kept, if another connection may ask for it.
    pub(crate) fn settle_outcome(&mut self, key: Key, outcome: &Outcome) {
        let kept_max = self.shard.limits.kept_bytes_max;
        let Some(session) = self.shard.sessions.get_mut(key) else { return };
        let lost = &session.lost;
        let task = session.tasks.get(outcome.slot).filter(|_| !session.ended);
        let task = task.filter(|task| lost.iter().any(|(_, of)| *of == task.connection));
        let (Some(task), Some(status)) = (task, outcome.status) else {
            return self.drop_outcome(key, outcome);
        };
        let data = outcome.data.first(outcome.data.len().min(task.request.in_len as usize));
        if self.shard.kept_bytes + data.len() > kept_max {
            return self.drop_outcome(key, outcome);
        }
        let (connection, tag, lun) = (task.connection, task.tag, task.request.lun);
        let response = Response {
            invalidate: None,
            tag,
            response: ServiceResponse::Completed,
            status,
            residual: residual(task, outcome),
            exp_data_sn: Serial(task.incoming.r2ts),
            sense: outcome.sense,
            read_bytes: data.len,
        };
        let Some(buffer) = session.remove(outcome.slot, &mut self.shard.solicited_bytes) else { return };
        let (segment, burst) = (u32::MAX, session.parameters.max_burst_len);
        let cuts = Cuts { first_sn: Serial(0), offset: 0, segment, burst };
        let own = !data.is_empty() && data.region == buffer.region;
        let read = own.then(|| KeptRead::new(tag, lun, data, buffer, cuts));
        give(self.env, if own { Span::EMPTY } else { buffer });
        let stranded = Stranded { connection, response, read };
        self.shard.kept_bytes += stranded.bytes();
        session.stranded.push(stranded);
        self.shard.kept_bytes -= session.bound_stranded(self.env);
    }

    /// Tasks that nobody took over in time are given up; a session of which no connection is left ends with the last.
    pub(crate) fn expire(&mut self, key: Key, connection: Key) {
        let Some(session) = self.shard.sessions.get_mut(key).filter(|session| !session.ended) else { return };
        session.lost.retain(|(_, of)| *of != connection);
        self.shard.kept_bytes -= session.drop_stranded(self.env, Some(connection));
        let over = session.connections.is_empty() && session.lost.is_empty();
        self.give_up_connection(connection);
        if over {
            self.end_session(key);
        }
    }
}

impl Shard {
    /// When the next tasks are given up.
    pub(crate) fn next_expiry(&self) -> Option<stdx::time::Time> {
        self.expiries.front().map(|(time, ..)| *time)
    }
}

/// Connections of a session that are lost and whose tasks are kept.
const LOST_MAX: usize = 8;

/// Outcomes that a session keeps for them.
const STRANDED_MAX: usize = 1024;
