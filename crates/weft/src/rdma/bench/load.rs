//! Work posted and completed, and how long it took.

use super::SENDER_LEN;
use super::message::Plan;
use crate::error::Failure;
use crate::output::{Progress, latency};
use crate::rdma::args::{Operation, Service};
use crate::rdma::device::Local;
use core::time::Duration;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::time::Instant;
use stdx::env::Env;
use verbs::station::Buffer;
use verbs::{
    Completion, CompletionKind, Data, Destination, PostError, Provider, QpId, ReceiveQueue, Remote,
    SendRequest, Status, Work,
};

/// The load, and what it has seen.
pub struct Load {
    plan: Plan,
    qp: QpId,
    memory: Buffer,
    remote: Remote,
    to: Destination,
    /// When what is under way was posted, in order.
    started: VecDeque<Instant>,
    done: Vec<Completion>,
    /// Latencies in nanoseconds.
    pub latency: Histogram<u64>,
    pub requests: u64,
    /// Messages that were answered by nothing in time.
    pub lost: u64,
    pub elapsed: Duration,
}

impl Load {
    pub fn new(plan: Plan, qp: QpId, memory: Buffer, remote: Remote, to: Destination) -> Self {
        Self {
            plan,
            qp,
            memory,
            remote,
            to,
            started: VecDeque::new(),
            done: Vec::new(),
            latency: latency::histogram(),
            requests: 0,
            lost: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Keeps as much under way as the plan has, for a time; then lets it end.
    pub fn run(&mut self, local: &mut Local, span: Duration, bar: &Progress) -> Result<(), Failure> {
        let began = Instant::now();
        let mut turns = 0u32;
        loop {
            let now = Instant::now();
            let is_over = now.duration_since(began) >= span;
            if is_over && self.started.is_empty() {
                self.elapsed = now.duration_since(began);
                return Ok(());
            }
            while !is_over && self.started.len() < self.plan.depth as usize && self.post(local)? {
                self.started.push_back(now);
            }
            self.collect(local)?;
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(4096) {
                bar.set(now.duration_since(began).as_millis() as u64);
            }
        }
    }

    pub fn reset(&mut self) {
        self.latency.reset();
        (self.requests, self.lost) = (0, 0);
    }

    /// False if the queue is full of what was answered and is yet to be acknowledged.
    fn post(&self, local: &mut Local) -> Result<bool, Failure> {
        let at = self.remote;
        let work = match (self.plan.op, self.plan.service) {
            (Operation::Send, Service::Ud) => Work::Datagram { to: self.to, immediate: None },
            (Operation::Send, Service::Rc | Service::Uc) => Work::Send,
            (Operation::Write, _) => Work::Write(at),
            (Operation::Read, _) => Work::Read(at),
            (Operation::Atomic, _) => Work::FetchAdd { at, add: 1 },
        };
        let list = [self.memory.registered.sge(0, self.plan.size)];
        let posted = local.device.post_send(self.qp, SendRequest::new(0, work, Data::Gather(&list)));
        match posted.map_err(|rejected| rejected.why) {
            Ok(()) => {}
            Err(PostError::Full) => return Ok(false),
            Err(_) => return Err(Failure::Refused(verbs::CreateError::Limit)),
        }
        if self.plan.echoes {
            let room = self.plan.size + SENDER_LEN;
            local.receive(ReceiveQueue::Own(self.qp), 0, &self.memory, 0, room);
        }
        Ok(true)
    }

    fn collect(&mut self, local: &mut Local) -> Result<(), Failure> {
        let until = local.env.now() + PATIENCE;
        let is_woken = local.step(Some(until));
        if is_woken && crate::signals::interrupted() {
            return Err(Failure::Interrupted);
        }
        local.take_done(&mut self.done);
        let now = Instant::now();
        for done in self.done.drain(..).filter(|done| done.qp == self.qp) {
            if done.status != Status::Success {
                return Err(Failure::Work { what: "measuring", status: done.status });
            }
            let is_answer = done.kind == CompletionKind::Receive;
            if is_answer != self.plan.echoes {
                continue;
            }
            if let Some(started) = self.started.pop_front() {
                self.latency.saturating_record(now.duration_since(started).as_nanos() as u64);
                self.requests += 1;
            }
        }
        self.give_up(now);
        Ok(())
    }

    /// Services that lose messages lose answers, too.
    fn give_up(&mut self, now: Instant) {
        let may_lose = self.plan.service != Service::Rc;
        if may_lose && self.started.front().is_some_and(|started| now.duration_since(*started) >= PATIENCE) {
            self.started.pop_front();
            self.lost += 1;
        }
    }
}

/// After this long an answer will not come any more.
const PATIENCE: Duration = Duration::from_millis(200);
