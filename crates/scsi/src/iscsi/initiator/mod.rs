//! The initiator side of iSCSI (RFC 7143): targets of others, and their disks as volumes of ours.
//!
//! An [`Initiator`] is attached to one target by one session or several, each of one connection or several. It is driven like
//! everything on a shard: events of its [`Owner`](stdx::env::Owner) go to [`Initiator::handle_event`], the time of
//! [`Initiator::deadline`] to [`Initiator::handle_timeout`], and [`Initiator::poll_event`] tells what happened. Each
//! [`Disk`] is a [`block::BlockDevice`].
//!
//! Over RDMA (iSER, RFC 7145) it does nothing by itself: [`Initiator::drive`] lets it use its device.
//!
//! It outlives its connections: when one breaks, requests wait while all are made anew, for as long as
//! [`InitiatorOptions`] says. Whether the outcome of an answerless request may be found out by asking again is decided in
//! [`block::replay`].
//!
//! What it is not: it parses no URL, and it knows no multipath (two portals are two initiators; all connections of a session
//! go to one portal).

mod attachment;
mod connection;
mod discovery;
mod event;
mod handle;
mod iser;
mod options;
mod session;

pub use connection::{ConnectionEnd, Misbehaviour};
pub use discovery::{Discovered, Discovery, DiscoveryError, Portal};
pub use event::{Failure, InitiatorEvent, Stage};
pub use handle::{Initiator, InitiatorError};
pub use iser::RdmaEnd;
pub use options::{InitiatorOptions, InitiatorOptionsError, Transport};

pub use crate::initiator::Disk;
