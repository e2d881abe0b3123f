//! Links: what two processes of one machine need to share memory.
//!
//! A link carries short messages, whole and in order, each with a region of memory if its sender wishes; it tells who is at
//! the other end, and that the other end is gone. Bytes do not move over it but through the memory.

use crate::mem::RegionId;

/// A name that links are asked for under. The machine (its network namespace) knows each once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkName(String);

/// Someone waits for links under a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkListenerId(pub u64);

/// A link of this shard. Never used again for another within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// Who is at the other end of a link, as the system says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkPeer {
    /// The user it runs as.
    pub user: u32,
    /// The user we run as.
    pub our_user: u32,
}

/// A message that came over a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkMessage {
    /// Bytes; never none.
    pub len: usize,
    /// The memory that came with it, mapped for reading ([`Kind::Foreign`](crate::mem::Kind::Foreign)). Whoever receives it
    /// unmaps it. Memory that is not sealed, or that the system will not map, is dropped.
    pub memory: Option<RegionId>,
}

impl LinkName {
    /// A name of at most [`LinkName::LEN_MAX`] bytes; what is longer is cut.
    pub fn new(name: &str) -> Self {
        let end = name.char_indices().map(|(at, letter)| at + letter.len_utf8());
        let end = end.take_while(|end| *end <= Self::LEN_MAX).last().unwrap_or(0);
        Self(name[..end].to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes of the longest.
    pub const LEN_MAX: usize = 100;
}

/// Bytes of the longest message of a link.
pub const LINK_MESSAGE_MAX: usize = 256;
