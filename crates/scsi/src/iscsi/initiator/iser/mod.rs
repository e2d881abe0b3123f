//! iSER (RFC 7145) as an initiator speaks it, on `verbs` alone.
//!
//! A [`Link`] has all connections of an initiator on one device. Sessions, logins and commands are those of every connection; what
//! becomes of them on the way is in the connection's `rdma`. Connections only note what is wanted; [`Link`] does it when its
//! owner has the device at hand.
//!
//! What it is not: it looks into no message, and knows nothing of how the device moves bytes.
//!
//! Invariants: no memory of a command is open to a target that does not have the command; what a connection lent the device is
//! its own again only when the device has told that nothing of the connection is under way.

mod end;
mod link;

pub use end::RdmaEnd;
pub(super) use end::STALE_MAX;
pub(super) use link::{Bearers, Carried, LIMITS, Link};
