//! RDMA between processes of one machine: queue pairs whose peers are neighbours, reached through shared memory.
//!
//! What it is: [`Neighbourhood`], the links of a device to the devices of other processes, and [`Lane`], what a queue pair
//! whose peer is there needs. They work on a provider's [`Registry`](verbs::parts::Registry), beside whatever else moves the
//! bytes of its other queue pairs: the provider asks, and a queue pair is local or is not.
//!
//! How it works: each end of a link has an area that it alone writes and the other only reads: a ring of
//! [records](record::Record), each a cache line, and a ring of bytes. A request says where its bytes are, and **who they are
//! for copies them**, having checked keys, bounds and rights as for any packet. If they lie in memory of the kind
//! [`Published`](stdx::mem::Kind::Published) the record names that memory, and there is one copy in all; else the sender puts
//! them into its ring of bytes, and there are two.
//!
//! What it is not: it makes no connections (that is the provider's communication management) and opens no socket but
//! through [`stdx::env::Env`]. Its records cross no network and are of this machine's byte order, so they are not `wire`'s.
//!
//! Invariants: nothing that a neighbour writes is looked at twice, each record being copied first; no offset, length or
//! number in it is believed before it is checked; a neighbour reads our areas and what we published and was named to it, and
//! writes nothing of ours; one that dies takes its link and its queue pairs' connections with it and nothing else; nothing is
//! allocated for a work request.

#![forbid(unsafe_code)]

mod config;
mod counters;
mod distance;
mod hello;
mod inbox;
mod lane;
mod neighbour;
mod neighbourhood;
mod outbox;
mod record;

pub use config::Config;
pub use counters::Counters;
pub use lane::{HasLane, Lane};
pub use neighbourhood::{Datagram, Neighbourhood};
