//! What can be chosen about a reactor. The defaults are what measured best.

use core::time::Duration;
use stdx::mem::MemoryLimits;

/// What a [`Reactor`](crate::Reactor) is built with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The shard's memory.
    pub memory: MemoryLimits,
    /// Streams at once, at most. Those past it are refused with [`IoError::Limit`](stdx::env::IoError::Limit).
    pub streams_max: usize,
    /// How long after the last useful event the reactor still looks for the next one itself before it sleeps in the
    /// kernel. Waking up costs a few microseconds; zero never spins.
    pub spin: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory: MemoryLimits { buffer_bytes: 320 << 20 },
            streams_max: 1 << 16,
            spin: Duration::from_micros(100),
        }
    }
}
