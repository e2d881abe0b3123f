//! Waiting for connections.
//!
//! A carried connection is readable when there are bytes in the memory that both ends share, or when TCP is, which is silent
//! meanwhile and so tells of the connection's end alone. It is writable when there is room in that memory.
//!
//! Whoever waits looks at the memory first, then for a moment longer ([`crate::pace`]), and then sleeps in the kernel. Before that
//! the peer is told so, and the memory looked at once more; the peer wakes it by the bell, which is watched beside the socket.
//! poll and select do this for the connections that they name. Of an epoll set's only a few are *hot*: those that something
//! happened to since a thread last slept on the set. Hot ones are looked at by each call; the others have told their
//! peers to ring, so the kernel tells when they become hot again. So what a call costs goes by the connections that are
//! busy, not by those that are there.

pub mod epoll;
pub mod poll;
pub mod registry;
pub mod select;
