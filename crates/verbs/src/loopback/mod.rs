//! A provider whose queue pairs are all on one shard: bytes go from memory to memory, and nothing is ever lost.
//!
//! What it is for: programs whose two ends meet on one shard, tests of what is built over verbs, and the plainest reading of
//! the contract.
//!
//! What it is not: fast between shards, or a model of a network. No transfer takes time, so nothing is ever under way
//! between two turns but what waits for a receive.

mod connections;
mod engine;
mod management;
mod transfer;

use crate::parts::{Agents, Receive, Registry};
use crate::{
    AttachError, Completion, CqId, CreateError, DestroyError, Event, Key, Limits, ModifyError, Notify,
    Object, PdId, Provider, QpId, QpInfo, QpInit, ReceiveQueue, ReceiveRequest, Registered, Registration,
    Rejected, SendRequest, SrqId, Transition, WindowKind,
};
use connections::Switchboard;
use core::net::IpAddr;
use engine::Engine;
use stdx::env::{Env, Owner};
use stdx::mem::Span;
use stdx::time::Time;

/// The provider.
#[derive(Debug)]
pub struct Loopback {
    registry: Registry<Engine>,
    switchboard: Switchboard,
    agents: Agents,
    address: IpAddr,
    /// Queue pairs were posted to, or changed: the next turn has something to do.
    is_stirred: bool,
    /// When a queue pair that found no receive tries again.
    retry_at: Option<Time>,
    scratch: Scratch,
}

/// Lists that are used again and again.
#[derive(Debug, Default)]
struct Scratch {
    from: Vec<Span>,
    to: Vec<Span>,
    receive: Receive,
}

impl Loopback {
    /// A provider without objects, reached under `address`.
    pub fn new(limits: Limits, address: IpAddr) -> Self {
        Self {
            registry: Registry::new(limits),
            switchboard: Switchboard::new(&limits),
            agents: Agents::new(),
            address,
            is_stirred: false,
            retry_at: None,
            scratch: Scratch::default(),
        }
    }
}

impl Provider for Loopback {
    fn limits(&self) -> &Limits {
        &self.registry.limits
    }

    fn alloc_pd(&mut self) -> Result<PdId, CreateError> {
        self.registry.alloc_pd()
    }

    fn register(
        &mut self,
        _env: &mut dyn Env,
        pd: PdId,
        registration: &Registration<'_>,
    ) -> Result<Registered, CreateError> {
        self.registry.register(pd, registration)
    }

    fn alloc_region(&mut self, pd: PdId, pieces_max: u32) -> Result<Key, CreateError> {
        self.registry.alloc_region(pd, pieces_max)
    }

    fn close_region(&mut self, pd: PdId, key: Key) -> bool {
        self.registry.regions.invalidate(pd, key).is_ok()
    }

    fn alloc_window(&mut self, pd: PdId, kind: WindowKind) -> Result<Key, CreateError> {
        self.registry.alloc_window(pd, kind)
    }

    fn create_cq(&mut self, owner: Owner, entries: u32) -> Result<CqId, CreateError> {
        self.registry.create_cq(owner, entries)
    }

    fn create_srq(&mut self, owner: Owner, pd: PdId, entries: u32, sges: u32) -> Result<SrqId, CreateError> {
        self.registry.create_srq(owner, pd, entries, sges)
    }

    fn create_qp(&mut self, owner: Owner, init: &QpInit) -> Result<QpId, CreateError> {
        self.registry.create_qp(owner, init)
    }

    fn destroy(&mut self, _env: &mut dyn Env, object: Object) -> Result<(), DestroyError> {
        self.registry.destroy(object)?;
        if let Object::Qp(qp) = object {
            while let Some(group) = self.registry.groups.group_of(qp) {
                // It is a member, as just found.
                let _ = self.registry.groups.detach(qp, group);
            }
        }
        Ok(())
    }

    fn attach(&mut self, _env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        self.registry.attach(qp, group).map(|_| ())
    }

    fn detach(&mut self, _env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        self.registry.groups.detach(qp, group).map(|_| ())
    }

    fn modify_qp(&mut self, qp: QpId, transition: &Transition) -> Result<(), ModifyError> {
        self.registry.apply(qp, transition)?;
        self.is_stirred = true;
        if let (Transition::ReadyToSend { .. }, Some(pair)) = (transition, self.registry.qps.get_mut(qp.0)) {
            pair.engine = Engine::default();
        }
        Ok(())
    }

    fn query_qp(&self, qp: QpId) -> Option<QpInfo> {
        self.registry.qps.get(qp.0).map(|pair| pair.info())
    }

    fn arm_srq(&mut self, srq: SrqId, limit: u32) {
        self.registry.arm_srq(srq, limit);
    }

    fn post_send<'a>(&mut self, qp: QpId, request: SendRequest<'a>) -> Result<(), Rejected<SendRequest<'a>>> {
        self.is_stirred = true;
        self.registry.post_send(qp, request)
    }

    fn post_receive<'a>(
        &mut self,
        queue: ReceiveQueue,
        request: ReceiveRequest<'a>,
    ) -> Result<(), Rejected<ReceiveRequest<'a>>> {
        self.is_stirred = true;
        self.registry.post_receive(queue, request)
    }

    fn poll_cq(&mut self, cq: CqId, max: usize, done: &mut Vec<Completion>) -> usize {
        self.registry.cqs.poll(cq, max, done)
    }

    fn arm_cq(&mut self, cq: CqId, notify: Notify) {
        self.registry.cqs.arm(cq, notify);
    }

    /// All queue pairs are of one process, which reads all its memory.
    fn shares_memory(&self, _: QpId) -> bool {
        true
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.registry.events.pop_front()
    }

    fn handle_event(&mut self, _env: &mut dyn Env, _event: &stdx::env::Event) {}

    fn turn(&mut self, env: &mut dyn Env) {
        self.transfer(env);
    }

    fn deadline(&self) -> Option<Time> {
        if self.is_stirred { Some(Time::ZERO) } else { self.retry_at }
    }
}
