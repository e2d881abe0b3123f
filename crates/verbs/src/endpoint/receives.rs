//! Receives: one queue for all connections, and the memory that messages come in.
//!
//! Where each connection brings receives of its own, as many are posted as there are connections for: those of an ended one are
//! kept back as they come in. So few connections use little memory again and again, however many there may be.

use crate::{
    Access, CreateError, Device, Key, Object, PdId, ReceiveQueue, ReceiveRequest, Registered, Registration,
    SrqId,
};
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};

/// A message that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Which receive it filled.
    pub(super) index: u32,
    /// Its bytes.
    pub len: u32,
    /// The key that its sender closed.
    pub invalidated: Option<Key>,
}

/// The shared receive queue.
#[derive(Debug)]
pub(super) struct Receives {
    srq: SrqId,
    memory: Registered,
    /// All of it.
    region: Span,
    len: u32,
    /// Receives there may be, and those that were ever posted.
    count: u32,
    made: u32,
    /// Receives that are not posted though they were once.
    spare: Vec<u32>,
    /// So many more are posted than there are connections for.
    surplus: u32,
}

impl Receives {
    /// A queue of `count` receives of `len` bytes, none of them posted.
    pub(super) fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner: Owner,
        pd: PdId,
        count: u32,
        len: u32,
    ) -> Result<Self, CreateError> {
        let bytes = u64::from(count) * u64::from(len);
        if bytes > u64::from(u32::MAX) {
            return Err(CreateError::TooLarge);
        }
        let region = env.mem().map(Kind::Shared, bytes).map_err(|_| CreateError::Memory)?;
        let span = env.mem().whole(region).first(bytes as usize);
        let registration = Registration { pieces: &[span], address: 0, access: Access::LOCAL_WRITE };
        let made = device.register(env, pd, &registration);
        let memory = made.inspect_err(|_| env.mem().unmap(region))?;
        let srq = device.create_srq(owner, pd, count, 1)?;
        let (made, spare, surplus) = (0, Vec::new(), 0);
        Ok(Self { srq, memory, region: span, len, count, made, spare, surplus })
    }

    /// Posts so many more; false, and none, if there are not as many.
    pub(super) fn add(&mut self, device: &mut dyn Device, more: u32) -> bool {
        if more > self.left() {
            return false;
        }
        for _ in 0..more {
            if self.surplus > 0 {
                self.surplus -= 1;
            } else if let Some(index) = self.spare.pop() {
                self.repost(device, index);
            } else {
                self.made += 1;
                self.repost(device, self.made - 1);
            }
        }
        true
    }

    /// How many can be added.
    pub(super) const fn left(&self) -> u32 {
        self.count - self.made + self.spare.len() as u32 + self.surplus
    }

    /// So many fewer are needed.
    pub(super) const fn remove(&mut self, fewer: u32) {
        self.surplus += fewer;
    }

    pub(super) const fn queue(&self) -> SrqId {
        self.srq
    }

    pub(super) const fn memory(&self) -> Registered {
        self.memory
    }

    /// Where a message lies.
    pub(super) fn span(&self, received: &Received) -> Span {
        self.region.slice(self.offset(received.index), received.len.min(self.len) as usize)
    }

    /// A receive is not needed for now.
    pub(super) fn keep(&mut self, index: u32) {
        self.spare.push(index);
    }

    /// Posts a receive again, if it is needed.
    pub(super) fn post(&mut self, device: &mut dyn Device, index: u32) {
        if self.surplus > 0 {
            self.surplus -= 1;
            self.spare.push(index);
        } else {
            self.repost(device, index);
        }
    }

    /// Posts a receive. There is room: the queue was made for all of them.
    fn repost(&self, device: &mut dyn Device, index: u32) {
        let scatter = [self.memory.sge(self.offset(index) as u64, self.len)];
        let request = ReceiveRequest { id: super::RECEIVE | u64::from(index), scatter: &scatter };
        let posted = device.post_receive(ReceiveQueue::Shared(self.srq), request);
        debug_assert!(posted.is_ok(), "{posted:?}");
    }

    pub(super) fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        let _ = device.destroy(env, Object::Srq(self.srq));
        let _ = device.destroy(env, Object::Memory(self.memory.key));
        env.mem().unmap(self.region.region);
    }

    fn offset(&self, index: u32) -> usize {
        index as usize * self.len as usize
    }
}
