//! Buffers for what peers get: of the shard, or in memory of one connection's own that its peer reads itself.
//!
//! A peer on this machine copies from published memory, and may read all of it. So each such connection has a pool of its own,
//! made with its first buffer, and nothing comes into it but what that peer asked for.

use super::Endpoint;
use crate::Device;
use stdx::env::Env;
use stdx::mem::{Kind, RegionId, Span};
use stdx::slab::Key;

impl Endpoint {
    /// Takes a buffer of `len` bytes for what the peer of a connection is to get; it is given back like any of the shard's.
    /// `None` while there is none. What is in it is left over.
    pub fn take_buffer(
        &mut self,
        env: &mut dyn Env,
        device: &dyn Device,
        connection: Key,
        len: usize,
    ) -> Option<Span> {
        let pool = self.pool(env, device, connection);
        env.mem().take_from(pool, len)
    }

    /// The pool of a connection, if its peer reads memory itself and there is memory for one. It lives as long as the
    /// connection, and as the buffers that were taken from it.
    pub fn pool(&mut self, env: &mut dyn Env, device: &dyn Device, connection: Key) -> Option<RegionId> {
        let found = self.connections.get_mut(connection).filter(|found| !found.is_over)?;
        if found.pool.is_none() && device.shares_memory(found.qp) {
            found.pool = env.mem().map_pool(Kind::Published, POOL_LEN).ok();
        }
        found.pool
    }
}

/// Bytes of address space for the buffers of one connection: as many of 4 KiB as a queue has commands, and eight of 256.
const POOL_LEN: usize = 10 << 20;
