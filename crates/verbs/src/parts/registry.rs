//! All objects of a provider, and the commands that move no data.

use super::{CompletionQueues, Groups, QueuePair, Receive, ReceiveRing, Regions, Shared};
use crate::{
    Access, AttachError, Completion, CompletionKind, CqId, CreateError, DestroyError, Event, Key, Limits,
    ModifyError, Object, PdId, PostError, QpId, QpInit, QpState, ReceiveQueue, ReceiveRequest, Receives,
    Registered, Registration, Rejected, SendRequest, SrqId, Status, Transition, Transport, What, WindowKind,
};
use core::net::IpAddr;
use std::collections::VecDeque;
use stdx::env::Owner;
use stdx::planted::{Bug, planted};
use stdx::slab::{Key as SlabKey, Slab};

/// The objects of a provider.
#[derive(Debug)]
pub struct Registry<E> {
    /// What is allowed.
    pub limits: Limits,
    /// Memory.
    pub regions: Regions,
    /// Completion queues.
    pub cqs: CompletionQueues,
    /// Shared receive queues.
    pub srqs: Slab<Shared>,
    /// Queue pairs.
    pub qps: Slab<QueuePair<E>>,
    /// What is to be told.
    pub events: VecDeque<Event>,
    /// Multicast groups.
    pub groups: Groups,
    pds: Slab<()>,
    numbering: Numbering,
    /// The last byte of the next key.
    life: u8,
}

/// Where the numbers of queue pairs begin.
#[derive(Clone, Copy, Debug)]
struct Numbering {
    place: u32,
    generation: u32,
}

impl<E: Default> Registry<E> {
    /// No object.
    pub fn new(limits: Limits) -> Self {
        Self::numbered_from(limits, 0)
    }

    /// No object. The numbers of queue pairs begin at one that `start` decides: one drawn at random keeps the first queue
    /// pairs of processes that follow each other apart, which a peer that remembers the process before would take for
    /// the same (InfiniBand, 12.9.8.3.1).
    pub fn numbered_from(limits: Limits, start: u32) -> Self {
        Self {
            numbering: Numbering { place: (start & QPN_PLACE) % QPS_MAX, generation: start >> 16 & 0xff },
            limits,
            regions: Regions::new(limits.memory_keys, limits.region_pieces),
            cqs: CompletionQueues::new(limits.cqs as usize),
            srqs: Slab::new(limits.srqs as usize),
            qps: Slab::new(limits.qps.min(QPS_MAX) as usize),
            events: VecDeque::new(),
            pds: Slab::new(limits.pds as usize),
            groups: Groups::new(limits.groups),
            life: 0,
        }
    }

    /// See [`Provider::alloc_pd`](crate::Provider::alloc_pd).
    pub fn alloc_pd(&mut self) -> Result<PdId, CreateError> {
        self.pds.insert(()).map(PdId).map_err(|()| CreateError::Limit)
    }

    /// See [`Provider::register`](crate::Provider::register).
    pub fn register(&mut self, pd: PdId, registration: &Registration<'_>) -> Result<Registered, CreateError> {
        self.pds.get(pd.0).ok_or(CreateError::NotFound)?;
        let life = self.next_life();
        self.regions.register(pd, registration, life)
    }

    /// See [`Provider::alloc_region`](crate::Provider::alloc_region).
    pub fn alloc_region(&mut self, pd: PdId, pieces_max: u32) -> Result<Key, CreateError> {
        self.pds.get(pd.0).ok_or(CreateError::NotFound)?;
        let life = self.next_life();
        self.regions.alloc_region(pd, pieces_max, life)
    }

    /// See [`Provider::alloc_window`](crate::Provider::alloc_window).
    pub fn alloc_window(&mut self, pd: PdId, kind: WindowKind) -> Result<Key, CreateError> {
        self.pds.get(pd.0).ok_or(CreateError::NotFound)?;
        let life = self.next_life();
        self.regions.alloc_window(pd, kind, life)
    }

    /// See [`Provider::create_cq`](crate::Provider::create_cq).
    pub fn create_cq(&mut self, owner: Owner, entries: u32) -> Result<CqId, CreateError> {
        if entries == 0 || entries > self.limits.cq_entries {
            return Err(CreateError::TooLarge);
        }
        self.cqs.create(owner, entries).ok_or(CreateError::Limit)
    }

    /// See [`Provider::create_srq`](crate::Provider::create_srq).
    pub fn create_srq(
        &mut self,
        owner: Owner,
        pd: PdId,
        entries: u32,
        sges: u32,
    ) -> Result<SrqId, CreateError> {
        self.pds.get(pd.0).ok_or(CreateError::NotFound)?;
        if entries == 0 || entries > self.limits.queue_entries || sges > self.limits.sges {
            return Err(CreateError::TooLarge);
        }
        let ring = ReceiveRing::new(entries, sges);
        let shared = Shared { owner, pd, ring, limit: 0, users: 0 };
        self.srqs.insert(shared).map(SrqId).map_err(|_| CreateError::Limit)
    }

    /// See [`Provider::create_qp`](crate::Provider::create_qp).
    pub fn create_qp(&mut self, owner: Owner, init: &QpInit) -> Result<QpId, CreateError> {
        self.pds.get(init.pd.0).ok_or(CreateError::NotFound)?;
        let (entries, sges) = match init.receives {
            Receives::Own { entries, sges } => (entries, sges),
            Receives::Shared(srq) => {
                self.srqs.get(srq.0).ok_or(CreateError::NotFound)?;
                (0, 0)
            }
        };
        let is_fitting = init.send_entries <= self.limits.queue_entries
            && entries <= self.limits.queue_entries
            && init.send_sges.max(sges) <= self.limits.sges
            && init.inline_bytes <= self.limits.inline_bytes;
        if !is_fitting {
            return Err(CreateError::TooLarge);
        }
        let key = self.qps.next_key().ok_or(CreateError::Limit)?;
        if !self.cqs.attach(init.send_cq) {
            return Err(CreateError::NotFound);
        }
        if !self.cqs.attach(init.receive_cq) {
            self.cqs.detach(init.send_cq);
            return Err(CreateError::NotFound);
        }
        if let Receives::Shared(srq) = init.receives
            && let Some(shared) = self.srqs.get_mut(srq.0)
        {
            shared.users += 1;
        }
        let pair = QueuePair::new(QpId(key), owner, self.numbering.number(key), init, E::default());
        let inserted = self.qps.insert(pair).map_err(|_| CreateError::Limit)?;
        debug_assert_eq!(inserted, key);
        Ok(QpId(key))
    }

    /// See [`Provider::destroy`](crate::Provider::destroy).
    pub fn destroy(&mut self, object: Object) -> Result<(), DestroyError> {
        let done = match object {
            Object::Memory(key) => self.regions.remove(key),
            Object::Cq(cq) => self.cqs.destroy(cq),
            Object::Pd(pd) => self.destroy_pd(pd),
            Object::Srq(srq) => self.destroy_srq(srq),
            Object::Qp(qp) => self.destroy_qp(qp),
        };
        match done {
            Some(true) => Ok(()),
            Some(false) => Err(DestroyError::Busy),
            None => Err(DestroyError::NotFound),
        }
    }

    /// The queue pair with this number.
    pub fn by_qpn(&self, qpn: u32) -> Option<QpId> {
        let key = self.qps.key_at(self.numbering.place_of(qpn)?)?;
        (self.numbering.number(key) == qpn || planted(Bug::DeadPairReached)).then_some(QpId(key))
    }

    /// Checks a change of state and takes it down.
    pub fn apply(&mut self, qp: QpId, transition: &Transition) -> Result<(), ModifyError> {
        let depth = self.limits.read_depth;
        let pair = self.qps.get_mut(qp.0).ok_or(ModifyError::NotFound)?;
        pair.apply(transition, depth)
    }

    /// A queue pair becomes a member of a group; true if it is the first.
    pub fn attach(&mut self, qp: QpId, group: IpAddr) -> Result<bool, AttachError> {
        let pair = self.qps.get(qp.0).ok_or(AttachError::NotFound)?;
        match pair.init.transport {
            Transport::UnreliableDatagram => self.groups.attach(qp, group),
            Transport::ReliableConnection | Transport::UnreliableConnection => Err(AttachError::Unsupported),
        }
    }

    /// See [`Provider::arm_srq`](crate::Provider::arm_srq).
    pub fn arm_srq(&mut self, srq: SrqId, limit: u32) {
        if let Some(shared) = self.srqs.get_mut(srq.0) {
            shared.limit = limit;
        }
        self.check_srq_limit(srq);
    }

    /// See [`Provider::post_send`](crate::Provider::post_send).
    pub fn post_send<'a>(
        &mut self,
        qp: QpId,
        request: SendRequest<'a>,
    ) -> Result<(), Rejected<SendRequest<'a>>> {
        let pieces_max = self.limits.region_pieces;
        let posted = match self.qps.get_mut(qp.0) {
            Some(pair) => pair.post_send(&request, pieces_max),
            None => Err(PostError::NotFound),
        };
        posted.map_err(|why| Rejected { request, why })
    }

    /// See [`Provider::post_receive`](crate::Provider::post_receive).
    pub fn post_receive<'a>(
        &mut self,
        queue: ReceiveQueue,
        request: ReceiveRequest<'a>,
    ) -> Result<(), Rejected<ReceiveRequest<'a>>> {
        let posted = match queue {
            ReceiveQueue::Own(qp) => match self.qps.get_mut(qp.0) {
                Some(pair) if !pair.state.takes_receives() => Err(PostError::State),
                Some(pair) => pair.receives.post(&request),
                None => Err(PostError::NotFound),
            },
            ReceiveQueue::Shared(srq) => match self.srqs.get_mut(srq.0) {
                Some(shared) => shared.ring.post(&request),
                None => Err(PostError::NotFound),
            },
        };
        posted.map_err(|why| Rejected { request, why })
    }

    /// Takes a receive for a message that comes to `qp`.
    pub fn take_receive(&mut self, qp: QpId, into: &mut Receive) -> bool {
        let Some(pair) = self.qps.get_mut(qp.0) else { return false };
        match pair.init.receives {
            Receives::Own { .. } => pair.receives.take(into),
            Receives::Shared(srq) => {
                // Whose message comes next is chance, so that their order means nothing. What was posted last was used
                // last, and lies in the cache: few connections use little of much memory.
                let taken = self.srqs.get_mut(srq.0).is_some_and(|shared| shared.ring.take_last(into));
                self.check_srq_limit(srq);
                taken
            }
        }
    }

    /// Tells that a request of `qp` is done; `is_receive` says which queue it was of.
    pub fn complete(&mut self, completion: Completion, is_receive: bool, solicited: bool) {
        let Some(pair) = self.qps.get_mut(completion.qp.0) else { return };
        let cq = if is_receive { pair.init.receive_cq } else { pair.init.send_cq };
        if !self.cqs.push(cq, completion, solicited, &mut self.events) {
            let (owner, qp) = (pair.owner, pair.id);
            if pair.state != QpState::Error {
                pair.state = QpState::Error;
                self.events.push_back(Event { owner, what: What::QueuePairError(qp) });
            }
        }
    }

    /// Completes everything that is queued as flushed (10.3.1.7). Those of a shared queue stay.
    pub fn flush(&mut self, qp: QpId) {
        loop {
            let Some(pair) = self.qps.get_mut(qp.0) else { return };
            let Some(send) = pair.sends.pop() else { break };
            let flushed = Completion::failed(qp, send.id, send.task.kind(), Status::Flushed);
            self.complete(flushed, false, false);
        }
        if planted(Bug::ReceivesNotFlushed) {
            return;
        }
        let mut receive = Receive::default();
        while self.qps.get_mut(qp.0).is_some_and(|pair| pair.receives.take(&mut receive)) {
            let flushed = Completion::failed(qp, receive.id, CompletionKind::Receive, Status::Flushed);
            self.complete(flushed, true, false);
        }
    }

    /// Puts a queue pair into error because of what happened to it, and tells so.
    pub fn fail(&mut self, qp: QpId, what: What) {
        let Some(pair) = self.qps.get_mut(qp.0) else { return };
        if pair.state == QpState::Error || pair.state == QpState::Reset {
            return;
        }
        pair.state = QpState::Error;
        let owner = pair.owner;
        self.events.push_back(Event { owner, what });
        if matches!(pair.init.receives, Receives::Shared(_)) {
            self.events.push_back(Event { owner, what: What::LastReceiveReached(qp) });
        }
    }

    /// How many receives are posted for `qp`.
    pub fn receives_of(&self, qp: QpId) -> usize {
        let Some(pair) = self.qps.get(qp.0) else { return 0 };
        match pair.init.receives {
            Receives::Own { .. } => pair.receives.len(),
            Receives::Shared(srq) => self.srqs.get(srq.0).map_or(0, |shared| shared.ring.len()),
        }
    }

    /// What peers may do through `qp`, all of its limits taken together with `needed`.
    pub fn allows(&self, qp: QpId, needed: Access) -> bool {
        self.qps.get(qp.0).is_some_and(|pair| pair.access.contains(needed))
    }

    fn check_srq_limit(&mut self, srq: SrqId) {
        let Some(shared) = self.srqs.get_mut(srq.0) else { return };
        if shared.limit > 0 && (shared.ring.len() as u32) < shared.limit {
            shared.limit = 0;
            self.events.push_back(Event { owner: shared.owner, what: What::SrqLimitReached(srq) });
        }
    }

    fn destroy_pd(&mut self, pd: PdId) -> Option<bool> {
        self.pds.get(pd.0)?;
        let is_used = self.regions.is_used(pd)
            || self.srqs.iter().any(|(_, shared)| shared.pd == pd)
            || self.qps.iter().any(|(_, pair)| pair.init.pd == pd);
        if is_used {
            return Some(false);
        }
        self.pds.remove(pd.0);
        Some(true)
    }

    fn destroy_srq(&mut self, srq: SrqId) -> Option<bool> {
        if self.srqs.get(srq.0)?.users > 0 {
            return Some(false);
        }
        self.srqs.remove(srq.0);
        Some(true)
    }

    fn destroy_qp(&mut self, qp: QpId) -> Option<bool> {
        let pair = self.qps.remove(qp.0)?;
        self.cqs.detach(pair.init.send_cq);
        self.cqs.detach(pair.init.receive_cq);
        if let Receives::Shared(srq) = pair.init.receives
            && let Some(shared) = self.srqs.get_mut(srq.0)
        {
            shared.users -= 1;
        }
        Some(true)
    }

    fn next_life(&mut self) -> u8 {
        self.life = self.life.wrapping_add(LIFE_STEP);
        self.life
    }
}

impl Numbering {
    /// The number of the queue pair at a place: sixteen bits say where, eight which tenant of the place it is, so that packets
    /// for the one before go nowhere. 0 and 1 are the management's.
    fn number(self, key: SlabKey) -> u32 {
        let generation = ((key.as_u64() >> 32) as u32).wrapping_add(self.generation);
        let place = (key.index() as u32 + self.place) % QPS_MAX;
        (generation & 0xff) << 16 | (place + QPN_FIRST)
    }

    /// The place of the queue pair with that number, if there is such a place.
    fn place_of(self, qpn: u32) -> Option<usize> {
        let place = (qpn & QPN_PLACE).checked_sub(QPN_FIRST).filter(|place| *place < QPS_MAX)?;
        Some(((place + QPS_MAX - self.place) % QPS_MAX) as usize)
    }
}

const QPN_FIRST: u32 = 0x10;
const QPN_PLACE: u32 = 0xffff;
const QPS_MAX: u32 = QPN_PLACE - QPN_FIRST;

/// Odd, so that every life comes up.
const LIFE_STEP: u8 = 37;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_pair_is_found_by_its_number_wherever_the_numbers_begin() {
        for start in [0, 1, 0x00ff_0000, 0xffff, 0xffef, 0xff_fff0, u32::MAX] {
            let mut registry: Registry<()> = Registry::numbered_from(Limits::default(), start);
            let pd = registry.alloc_pd().unwrap();
            let cq = registry.create_cq(Owner(1), 64).unwrap();
            let receives = Receives::Own { entries: 1, sges: 1 };
            let (transport, send_entries, send_sges) = (Transport::ReliableConnection, 1, 1);
            let (send_cq, receive_cq) = (cq, cq);
            let init = QpInit {
                pd,
                transport,
                send_cq,
                receive_cq,
                receives,
                send_entries,
                send_sges,
                inline_bytes: 0,
            };
            let all: Vec<QpId> = (0..20).map(|_| registry.create_qp(Owner(1), &init).unwrap()).collect();
            for qp in all {
                let qpn = registry.qps.get(qp.0).unwrap().qpn;
                assert!(qpn > 1 && qpn < crate::MULTICAST_QPN, "{qpn:#x} is taken");
                assert_eq!(registry.by_qpn(qpn), Some(qp));
                assert_eq!(registry.by_qpn(qpn ^ 1 << 16), None, "another tenant's");
            }
        }
    }
}
