//! Keys that open memory to peers: each to exactly the bytes of one write or one read, and no longer than that needs it.
//!
//! A key opens nothing until work is posted that opens it ([`Work::Register`], 10.6.5), right before the message that tells the peer
//! of it; it is closed at once when its bytes are done, before their owner has them back. Then it serves another write or read,
//! in another life, so that a peer which remembers it opens nothing.

use stdx::env::Env;
use stdx::mem::Span;
use verbs::endpoint::Endpoint;
use verbs::{Access, Data, Device, Key as MemoryKey, Object, PdId, PostError, Work};

/// Keys of all streams.
#[derive(Debug)]
pub(super) struct Keys {
    pd: PdId,
    free: Vec<MemoryKey>,
    made: u32,
    limit: u32,
}

/// Memory that a peer may be told of, under a key of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) key: MemoryKey,
    /// The work that opens it was posted.
    pub(super) is_posted: bool,
}

impl Keys {
    /// At most `limit` keys at once.
    pub(super) const fn new(pd: PdId, limit: u32) -> Self {
        Self { pd, free: Vec::new(), made: 0, limit }
    }

    /// A key that opens nothing yet; `None` if as many as may be are used.
    pub(super) fn take(&mut self, device: &mut dyn Device) -> Option<Opening> {
        let last = match self.free.pop() {
            Some(key) => key,
            None if self.made < self.limit => {
                let key = device.alloc_region(self.pd, 1).ok()?;
                self.made += 1;
                key
            }
            None => return None,
        };
        Some(Opening { key: last.with_life(last.life().wrapping_add(1)), is_posted: false })
    }

    /// Closes a key; false if it is yet to be opened by work that was posted: then it is not given back.
    #[must_use]
    pub(super) fn close(&mut self, device: &mut dyn Device, opening: Opening) -> bool {
        if opening.is_posted && !device.close_region(self.pd, opening.key) {
            return false;
        }
        self.free.push(opening.key);
        true
    }

    /// The same, when the queue pair that was to open it is gone: what it has not done it does not do any more.
    pub(super) fn end(&mut self, device: &mut dyn Device, opening: Opening) {
        device.close_region(self.pd, opening.key);
        self.free.push(opening.key);
    }

    /// Gives all keys back to the device, which has no queue pair of ours any more.
    pub(super) fn free(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        for key in self.free.drain(..) {
            let _ = device.destroy(env, Object::Memory(key));
        }
    }
}

impl Opening {
    /// Posts what opens the memory to the connection's peer.
    pub(super) fn post(
        &mut self,
        endpoint: &mut Endpoint,
        device: &mut dyn Device,
        connection: stdx::slab::Key,
        memory: Span,
        access: Access,
    ) -> Result<(), PostError> {
        let work = Work::Register { key: self.key, pieces: &[memory], address: ADDRESS, access };
        endpoint.post(device, connection, 0, work, Data::NONE, false)?;
        self.is_posted = true;
        Ok(())
    }
}

/// The address of the first byte that a key opens.
pub(super) const ADDRESS: u64 = 0;
