//! The volume contract, the devices that implement it, and the suite that every device passes.
//!
//! A [`BlockDevice`] is a volume as its shard knows it; a [`Channel`] is one user's way to it. Users submit and poll: no
//! callback, no future, no cancellation. Nothing here knows a protocol; the initiators of `nvme` and `scsi` implement the
//! same contract, so that whatever can be used can be served on.
//!
//! Invariants: every submitted [`Io`] is completed exactly once, in any order; a device that fails completes with a
//! status, never with silence; acknowledged and flushed data is on stable storage; an `Io` that does not fit the volume
//! changes nothing.

#![forbid(unsafe_code)]

pub mod conformance;
mod contract;
pub mod device;
mod queued;
pub mod replay;
pub mod volume;

pub use contract::{BlockDevice, Channel, Done, Extent, Identity, Info, Io, Op, Refused, Status};
pub use queued::QueuedChannel;
pub use volume::Volume;
