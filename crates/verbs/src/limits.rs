//! What a provider can do, in one place.

/// The most a provider allows (11.2.1.2). Each is declared when it is made, and reported here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Protection domains.
    pub pds: u32,
    /// Memory regions and windows together, at most 2^24.
    pub memory_keys: u32,
    /// Pieces that one region is made of.
    pub region_pieces: u32,
    /// Completion queues.
    pub cqs: u32,
    /// Completions that one queue holds.
    pub cq_entries: u32,
    /// Queue pairs.
    pub qps: u32,
    /// Requests that one send queue or receive queue holds.
    pub queue_entries: u32,
    /// Shared receive queues.
    pub srqs: u32,
    /// Entries of a gather or scatter list.
    pub sges: u32,
    /// Bytes of inline data.
    pub inline_bytes: u32,
    /// Bytes of one message.
    pub message_bytes: u32,
    /// Reads and atomics that one queue pair has under way, or answers, at once.
    pub read_depth: u8,
    /// Connections, and the same number of listeners.
    pub connections: u32,
    /// Requests for connections that wait for an answer, over all listeners.
    pub backlog: u32,
    /// Multicast groups.
    pub groups: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pds: 1024,
            memory_keys: 65_536,
            region_pieces: 512,
            cqs: 4096,
            cq_entries: 65_536,
            qps: 4096,
            queue_entries: 16_384,
            srqs: 1024,
            sges: 32,
            inline_bytes: 512,
            message_bytes: 1 << 30,
            read_depth: 128,
            connections: 4096,
            backlog: 1024,
            groups: 64,
        }
    }
}

impl Limits {
    /// Every limit with its name.
    pub fn all(&self) -> [(&'static str, u32); 15] {
        [
            ("pds", self.pds),
            ("memory_keys", self.memory_keys),
            ("region_pieces", self.region_pieces),
            ("cqs", self.cqs),
            ("cq_entries", self.cq_entries),
            ("qps", self.qps),
            ("queue_entries", self.queue_entries),
            ("srqs", self.srqs),
            ("sges", self.sges),
            ("inline_bytes", self.inline_bytes),
            ("message_bytes", self.message_bytes),
            ("read_depth", self.read_depth.into()),
            ("connections", self.connections),
            ("backlog", self.backlog),
            ("groups", self.groups),
        ]
    }
}
