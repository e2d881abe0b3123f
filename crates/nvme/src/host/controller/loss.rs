//! The connection is lost: what becomes of requests, when to try again, when to give up.

use super::scan::Scan;
use super::{Controller, Phase};
use crate::host::event::{Failure, HostEvent};
use crate::host::queue::Queue;
use crate::host::rdma::QueueEnd;
use block::Status;
use block::replay::Verdict;
use core::time::Duration;
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::{Time, earliest};

impl Controller {
    /// There is no connection any more, or it did not come to be.
    pub(super) fn lose(&mut self, env: &mut dyn Env, why: Failure) {
        if let Phase::Waiting { .. } | Phase::Failed(_) = self.phase
            && self.admin.is_none()
        {
            return;
        }
        let was_live = self.is_live();
        let now = env.now();
        self.lost_at.get_or_insert(now);
        self.drop_queues(env, false);
        tracing::info!(subsystem = %self.options.subsystem, address = %self.options.address, %why, "connection lost");
        // A process that went without a word, and whose queue pair had our number: its connection is ended once it is seen to be
        // stale (InfiniBand, 12.9.8.3.1), so the next attempt may go better.
        if why == Failure::Rdma(QueueEnd::Refused(STALE)) && !self.was_live && self.stale < STALE_MAX {
            self.stale += 1;
            self.last_failure = why;
            self.phase = Phase::Waiting { until: now + self.backoff.next_wait() };
            return;
        }
        let given_up = self.options.controller_loss_timeout == Some(Duration::ZERO);
        if !self.was_live || given_up || why.is_final() {
            return self.fail(env, why);
        }
        if was_live {
            self.events.push_back(HostEvent::ConnectionLost(why));
            self.hold_requests();
        }
        self.last_failure = why;
        self.phase = Phase::Waiting { until: now + self.backoff.next_wait() };
    }

    /// Closes the queues and keeps their memory; forgets what was outstanding on them. `orderly`: what was sent may still
    /// arrive.
    pub(super) fn drop_queues(&mut self, env: &mut dyn Env, orderly: bool) {
        for (id, queue) in self.admin.take().into_iter().chain(self.io.drain(..)).enumerate() {
            match queue {
                Queue::Tcp(mut queue) => {
                    queue.close(env, orderly);
                    self.spare.insert(id, queue.memory());
                }
                Queue::Rdma(queue) => {
                    // Last words are said on the admin queue.
                    let is_last = orderly && id == 0;
                    if let Some(link) = &mut self.link {
                        link.leave(queue, is_last);
                    }
                }
            }
        }
        self.scan = Scan::idle();
        self.access.forget_reading();
        self.keep_alive_at = None;
        self.overdue_at = None;
        self.drop_admin_commands();
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
        let loss = self.options.controller_loss_timeout.map(|timeout| lost_at + timeout);
        let fast = self.options.fast_io_fail_timeout.map(|timeout| lost_at + timeout);
        earliest(loss, fast.filter(|_| !self.requests.is_empty()))
    }

    /// True if requests fail at once instead of waiting for a connection.
    pub(super) fn fails_fast(&self, now: Time) -> bool {
        let lost_at = self.lost_at.filter(|_| !self.is_live());
        let timeout = self.options.fast_io_fail_timeout;
        lost_at.zip(timeout).is_some_and(|(lost_at, timeout)| now >= lost_at + timeout)
    }

    /// Gives up what the options say is to be given up by now: requests, or the controller.
    pub(super) fn handle_loss_deadline(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let Some(lost_at) = self.lost_at else { return };
        if self.options.controller_loss_timeout.is_some_and(|timeout| now >= lost_at + timeout) {
            self.fail(env, self.last_failure);
        } else if self.fails_fast(now) {
            self.finish_all(Status::TimedOut);
        }
    }

    /// It is over.
    pub(super) fn fail(&mut self, env: &mut dyn Env, why: Failure) {
        if let Phase::Failed(_) = self.phase {
            return;
        }
        self.drop_queues(env, why == Failure::Closed);
        self.lost_at = None;
        self.phase = Phase::Failed(why);
        self.events.push_back(HostEvent::Failed(why));
        self.finish_all(Status::Gone);
    }

    fn finish_all(&mut self, status: Status) {
        let keys: Vec<Key> = self.requests.iter().map(|(key, _)| key).collect();
        self.waiting.clear();
        self.access.held.clear();
        self.parked.clear();
        self.parked_until = None;
        keys.into_iter().for_each(|key| self.finish(key, status));
    }

    /// A namespace is gone: its requests are, too. Those whose commands are under way end with the controller's answer.
    pub(super) fn drop_requests_of(&mut self, namespace_id: u32) {
        let is_idle = |request: &super::Request| request.parts == 0 && request.namespace_id == namespace_id;
        let keys: Vec<Key> =
            self.requests.iter().filter(|(_, request)| is_idle(request)).map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.finish(key, Status::Gone));
    }
}

/// "Stale connection", of InfiniBand's table 110.
const STALE: u16 = 10;
/// How often that is borne before the first time that we are let in.
const STALE_MAX: u32 = 6;
