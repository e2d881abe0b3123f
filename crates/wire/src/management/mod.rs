//! Management datagrams of the general services (InfiniBand Architecture volume 1, sections 13.4 and 13.5): what goes to and from
//! queue pair 1.
//!
//! What it is: a datagram's header as [`Datagram`], whatever its class; and [`device`], the attributes of device management.
//! Communication management has its own room, [`cm`](crate::cm).
//!
//! What it is not: it knows no transaction, and joins no datagrams into longer ones (RMPP).

mod datagram;
pub mod device;

pub use datagram::{DATA_LEN, Datagram, DatagramError, Method, RESPONSE, class_of};
