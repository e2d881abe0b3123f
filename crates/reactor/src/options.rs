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
    /// Who makes the calls on files.
    pub files: FileBackend,
    /// File operations under way at once, at most 4096. Those past it are refused.
    pub file_depth: usize,
}

/// Who makes the calls on files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileBackend {
    /// io_uring if this machine allows it, else threads.
    Auto,
    /// io_uring; opening a file fails where there is none.
    Uring,
    /// A few threads.
    Threads,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory: MemoryLimits { buffer_bytes: 320 << 20 },
            streams_max: 1 << 16,
            spin: Duration::from_micros(100),
            files: FileBackend::Auto,
            file_depth: 512,
        }
    }
}
