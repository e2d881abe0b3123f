//! RoCEv2 in user space, on the wire what Linux's rdma_rxe and RoCEv2 cards speak.
//!
//! What it is: queue pairs of the services RC, UC and UD as state machines without sockets, the connection manager, and
//! [`SoftDevice`], which gives them datagrams and implements [`verbs::Provider`].
//!
//! What it is not: it knows no protocol above verbs, and opens no socket but through [`stdx::env::Env`].
//!
//! Invariants: a datagram that is wrong in any way changes nothing but a counter, or gets the answer that the standard has
//! for it, and harms no other queue pair; no number, length or list of a peer is believed before it is checked; nothing is
//! allocated for a work request or a packet.
//!
//! Sections cited are those of the InfiniBand Architecture, volume 1.

#![forbid(unsafe_code)]

mod capture;
mod cm;
mod config;
mod congestion;
mod counters;
mod device;
mod engine;
mod icrc;
pub mod inspect;
mod rc;
mod transmit;
mod uc;
mod ud;

pub use capture::{Recorder, Tap};
pub use config::Config;
pub use congestion::Congestion;
pub use counters::Counters;
pub use device::{OpenError, SoftDevice};
