//! iSCSI (RFC 7143) for both ends.
//!
//! `login` is what an initiator and a target share of the way into a session: text, negotiation, CHAP.

pub mod login;
mod name;

pub use name::{IscsiName, NAME_LEN_MAX, NameError};
