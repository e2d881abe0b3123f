//! The device as a provider of verbs.

use super::SoftDevice;
use core::net::IpAddr;
use stdx::env::{Env, Owner};
use stdx::time::Time;
use verbs::{
    AttachError, Completion, CqId, CreateError, DestroyError, Event, Key, Limits, ModifyError, Notify,
    Object, PdId, Provider, QpId, QpInfo, QpInit, ReceiveQueue, ReceiveRequest, Registered, Registration,
    Rejected, SendRequest, SrqId, Transition, WindowKind,
};

impl Provider for SoftDevice {
    fn limits(&self) -> &Limits {
        &self.core.config.limits
    }

    fn alloc_pd(&mut self) -> Result<PdId, CreateError> {
        self.core.registry.alloc_pd()
    }

    fn register(
        &mut self,
        _env: &mut dyn Env,
        pd: PdId,
        registration: &Registration<'_>,
    ) -> Result<Registered, CreateError> {
        self.core.registry.register(pd, registration)
    }

    fn alloc_region(&mut self, pd: PdId, pieces_max: u32) -> Result<Key, CreateError> {
        self.core.registry.alloc_region(pd, pieces_max)
    }

    fn close_region(&mut self, pd: PdId, key: Key) -> bool {
        self.core.registry.regions.invalidate(pd, key).is_ok()
    }

    fn alloc_window(&mut self, pd: PdId, kind: WindowKind) -> Result<Key, CreateError> {
        self.core.registry.alloc_window(pd, kind)
    }

    fn create_cq(&mut self, owner: Owner, entries: u32) -> Result<CqId, CreateError> {
        self.core.registry.create_cq(owner, entries)
    }

    fn create_srq(&mut self, owner: Owner, pd: PdId, entries: u32, sges: u32) -> Result<SrqId, CreateError> {
        self.core.registry.create_srq(owner, pd, entries, sges)
    }

    fn create_qp(&mut self, owner: Owner, init: &QpInit) -> Result<QpId, CreateError> {
        self.core.registry.create_qp(owner, init)
    }

    fn destroy(&mut self, env: &mut dyn Env, object: Object) -> Result<(), DestroyError> {
        if let Object::Qp(qp) = object {
            self.leave_all(env, qp);
            self.core.neighbours.abandon(&mut self.core.registry, qp);
            self.core.forget(qp);
        }
        self.core.registry.destroy(object)
    }

    fn modify_qp(&mut self, qp: QpId, transition: &Transition) -> Result<(), ModifyError> {
        self.core.modify(qp, transition)
    }

    fn query_qp(&self, qp: QpId) -> Option<QpInfo> {
        self.core.registry.qps.get(qp.0).map(|pair| pair.info())
    }

    fn arm_srq(&mut self, srq: SrqId, limit: u32) {
        self.core.registry.arm_srq(srq, limit);
    }

    fn attach(&mut self, env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        self.join(env, qp, group)
    }

    fn detach(&mut self, env: &mut dyn Env, qp: QpId, group: IpAddr) -> Result<(), AttachError> {
        self.leave(env, qp, group)
    }

    fn post_send<'a>(&mut self, qp: QpId, request: SendRequest<'a>) -> Result<(), Rejected<SendRequest<'a>>> {
        self.core.registry.post_send(qp, request)?;
        self.core.activate(qp);
        Ok(())
    }

    fn post_receive<'a>(
        &mut self,
        queue: ReceiveQueue,
        request: ReceiveRequest<'a>,
    ) -> Result<(), Rejected<ReceiveRequest<'a>>> {
        self.core.registry.post_receive(queue, request)?;
        if let ReceiveQueue::Own(qp) = queue {
            self.core.handle_receive_posted(qp);
        }
        Ok(())
    }

    fn poll_cq(&mut self, cq: CqId, max: usize, done: &mut Vec<Completion>) -> usize {
        self.core.registry.cqs.poll(cq, max, done)
    }

    fn arm_cq(&mut self, cq: CqId, notify: Notify) {
        self.core.registry.cqs.arm(cq, notify);
    }

    fn shares_memory(&self, qp: QpId) -> bool {
        self.core.registry.qps.get(qp.0).is_some_and(|pair| pair.engine.lane.is_local())
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.core.registry.events.pop_front()
    }

    fn handle_event(&mut self, _env: &mut dyn Env, event: &stdx::env::Event) {
        match event.what {
            stdx::env::What::DatagramsReadable(socket) if socket == self.socket => self.is_readable = true,
            stdx::env::What::DatagramsWritable(socket) if socket == self.socket => self.is_writable = true,
            stdx::env::What::DatagramsReadable(socket) => self.wake_group(socket),
            _ => self.core.neighbours.handle_event(event),
        }
    }

    fn turn(&mut self, env: &mut dyn Env) {
        // What was posted goes first, with the acknowledgements of what came in the turn before.
        self.core.resume_deferred(env.now());
        self.transmit(env, false);
        self.receive(env);
        self.hear_neighbours(env);
        self.handle_timeouts(env.now());
        self.transmit(env, true);
        self.core.neighbours.finish(&mut self.core.registry, env);
    }

    fn deadline(&self) -> Option<Time> {
        self.next_deadline()
    }
}
