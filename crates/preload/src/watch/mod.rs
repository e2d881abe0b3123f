//! Waiting for connections: poll and select look at a carried one's two descriptors where the program names one, and epoll sets
//! have both in them.
//!
//! A carried connection is readable when its carrier is, or when TCP is, which is silent while the carrier runs and so tells of the
//! connection's end alone. It is writable when that is which takes what is sent. What the carrier says of its own end is
//! no news for the program: TCP says it.

pub mod epoll;
pub mod poll;
pub mod registry;
pub mod select;
