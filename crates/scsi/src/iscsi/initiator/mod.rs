//! The initiator side of iSCSI (RFC 7143): targets of others, and their disks as volumes of ours.
//!
//! An [`Initiator`] is attached to one target by one session or several, each of one connection. It is driven like
//! everything on a shard: events of its [`Owner`](stdx::env::Owner) go to [`Initiator::handle_event`], the time of
//! [`Initiator::deadline`] to [`Initiator::handle_timeout`], and [`Initiator::poll_event`] tells what happened. Each
//! [`Disk`] is a [`block::BlockDevice`].
//!
//! It outlives its connections: when one breaks, requests wait while all are made anew, for as long as
//! [`InitiatorOptions`] says. Whether the outcome of an answerless request may be found out by asking again is decided in
//! [`block::replay`].
//!
//! What it is not: it parses no URL, it knows no multipath (two portals are two initiators), and it recovers within no
//! connection: its error recovery level is 0 (section 7.1.1), so that what is wrong with a PDU ends its connection.

mod attachment;
mod connection;
mod discovery;
mod disk;
mod event;
mod handle;
mod options;

pub use connection::ConnectionEnd;
pub use discovery::{Discovered, Discovery, DiscoveryError, Portal};
pub use disk::Disk;
pub use event::{Failure, InitiatorEvent, Stage};
pub use handle::{Initiator, InitiatorError};
pub use options::{InitiatorOptions, InitiatorOptionsError};
