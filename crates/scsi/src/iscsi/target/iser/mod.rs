//! iSER (RFC 7145): what carries connections of a [`Server`](super::Server) over RDMA, on `verbs` alone.
//!
//! A [`Transport`] has the listeners and queue pairs of one device. It hands messages to the server's connections, and does
//! what they want of the device. A server can have several, beside its streams: sessions, logins and commands are its own.
//!
//! What it is not: it looks into no message, and knows nothing of how the device moves bytes.
//!
//! Invariants: what one initiator sends can end its own session and no other; a buffer is the shard's again only when the
//! device has told that nothing of it is under way; nothing is allocated for a command in steady state.

mod limits;
mod link;
mod transport;

pub use limits::Limits;
pub use transport::Transport;
