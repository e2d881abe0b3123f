//! iSCSI (RFC 7143) for both ends.
//!
//! `target` serves disks, `initiator` uses those of others. `login` is what an initiator and a target share of the way into a session: text, negotiation, CHAP.

pub mod initiator;
pub mod login;
mod name;
pub mod target;

pub use name::{IscsiName, NAME_LEN_MAX, NameError};
