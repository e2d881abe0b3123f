//! Memory that devices, sockets and remote peers touch: known by id, moved by copy, never lent as a plain slice while
//! another party may write it.
//!
//! A [`Region`](region::Region) is a mapping; a [`Span`] names bytes in it and is what the cores pass around. [`Memory`]
//! is a shard's table of regions and its allocator of I/O buffers.
//!
//! Invariants: a `Span` that leaves [`Memory`] lies inside its region; a region that someone else may write (the kernel
//! completing a file read, a remote peer) is [`Kind::Shared`] and is reached by copies alone; slices come only of
//! [`Kind::Private`] regions, which only this shard's thread writes, through `&mut Memory`.
//!
//! A region that other processes may read is [`Kind::Published`]: only its owner writes it, and a [`Share`] is what they need.
//!
//! Bytes that someone moves later are [`Pinned`] until that is done: their mapping neither goes nor moves.
//!
//! This folder is the project's main unsafe proof, and runs under Miri.

mod buffers;
mod cache;
mod copies;
mod counting;
mod distance;
mod memory;
mod pinned;
mod pools;
mod region;
mod share;
mod span;

pub use counting::CountingAllocator;
pub use memory::{Kind, Memory, MemoryLimits, OutOfMemory};
pub use pinned::Pinned;
pub use share::{Share, ShareError};
pub use span::{RegionId, Span};
