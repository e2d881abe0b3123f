//! Requests that volumes work on: which request of which queue, and what is left of it.

use block::Op;
use stdx::mem::Span;
use stdx::slab::Key;

/// A request between its submission and its response, while a volume works on it. Its key is the tag of the I/O.
#[derive(Debug)]
pub(super) struct Outstanding {
    /// Where it came from; the queue may be gone by now.
    pub(super) queue: Key,
    pub(super) controller: Key,
    pub(super) connection: Key,
    pub(super) slot: u32,
    pub(super) command_id: u16,
    pub(super) namespace_id: u32,
    /// The namespace whose channel has its present I/O.
    pub(super) namespace: Key,
    pub(super) first_block: u64,
    pub(super) buffer: Span,
    pub(super) count: Count,
    pub(super) work: Work,
    /// It is to be answered with this status once the volume lets go of its memory.
    pub(super) given_up: Option<wire::nvme::Status>,
    /// The host it changes blocks for, if it does.
    pub(super) changes_for: Option<wire::nvme::fabrics::HostId>,
}

impl Outstanding {
    /// How many responses it will have.
    pub(super) const fn answers(&self) -> usize {
        match self.work {
            Work::Shutdown { .. } => 0,
            Work::Fused { .. } => 2,
            Work::Whole | Work::Pieces(_) | Work::Discard { .. } | Work::Copy { .. } => 1,
            Work::FlushAll { .. } => 1,
        }
    }
}

/// What a request counts as in the SMART / Health log (Base 5.16.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    /// Not at all.
    Other,
    /// A read of so many bytes.
    Read(u32),
    /// A write of so many bytes.
    Write(u32),
}

/// What follows when the present I/O is done. One I/O of a request is under way at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Nothing.
    Whole,
    /// More blocks of a request longer than the volume takes.
    Pieces(Pieces),
    /// More ranges of a Dataset Management, read from the request's buffer.
    Discard {
        /// The next range.
        next: u16,
        /// How many there are.
        count: u16,
    },
    /// More ranges of a Copy, read from the request's buffer.
    Copy {
        /// The next range.
        next: u16,
        /// How many there are.
        count: u16,
        /// The block the next range goes to.
        to: u64,
        /// Done when on stable storage.
        fua: bool,
    },
    /// More namespaces of a Flush of all.
    FlushAll {
        /// The highest identifier flushed.
        flushed: u32,
    },
    /// More namespaces to flush before a controller is shut down. No command asked for it: there is no response.
    Shutdown {
        /// The highest identifier flushed.
        flushed: u32,
    },
    /// A Compare and the Write fused to it; this is the Write.
    Fused {
        /// The Compare's slot.
        compare_slot: u32,
        /// The Compare's command identifier.
        compare_id: u16,
    },
}

/// What is left of a long request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pieces {
    pub(super) op: Op,
    pub(super) lba: u64,
    pub(super) blocks: u32,
    pub(super) fua: bool,
    /// Where in the buffer the rest begins, in bytes.
    pub(super) offset: u32,
}
