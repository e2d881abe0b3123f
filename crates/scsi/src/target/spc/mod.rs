//! The commands that all kinds of devices have (SPC-4): each file has its commands' rows and handlers.
//!
//! They are executed at once, from what the target knows; only EXTENDED COPY and PERSISTENT RESERVE OUT may have to wait,
//! for volumes and for the owner that stores reservations.

pub(super) mod copy;
pub(super) mod diagnostic;
pub(super) mod inquiry;
pub(super) mod log;
pub(super) mod luns;
pub(super) mod maintenance;
pub(super) mod mode;
pub(super) mod persist;
pub(super) mod removal;
pub(super) mod reserve;
