//! The memory of a connection's own.

use super::{HEADER_ROOM, LOGIN_ROOM, OWN_TASKS, Settings, rdma};
use stdx::mem::{Kind, Memory, OutOfMemory, Span};

/// It is used again by the connection that follows.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct ConnectionMemory {
    pub(super) ring: Span,
    pub(super) receive: Span,
}

impl ConnectionMemory {
    /// Maps what a connection of these settings needs.
    pub fn map(memory: &mut Memory, settings: &Settings) -> Result<Self, OutOfMemory> {
        if settings.is_rdma {
            let len = rdma::memory_len(settings.commands_max + OWN_TASKS);
            let ring = memory.map(Kind::Shared, len as u64)?;
            return Ok(Self { ring: memory.whole(ring).first(len), receive: Span::EMPTY });
        }
        let ring_len = usize::from(settings.commands_max) * 2 * HEADER_ROOM + LOGIN_ROOM;
        let ring = memory.map(Kind::Private, ring_len as u64)?;
        match memory.map(Kind::Private, settings.receive_len as u64) {
            Ok(receive) => Ok(Self {
                ring: memory.whole(ring).first(ring_len),
                receive: memory.whole(receive).first(settings.receive_len),
            }),
            Err(error) => {
                memory.unmap(ring);
                Err(error)
            }
        }
    }

    /// Gives it back.
    pub fn unmap(self, memory: &mut Memory) {
        memory.unmap(self.ring.region);
        if !self.receive.is_empty() {
            memory.unmap(self.receive.region);
        }
    }
}
