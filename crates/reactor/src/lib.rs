//! [`Env`](stdx::env::Env) on Linux: one thread's sockets, files, clock and entropy.
//!
//! [`Reactor`] is the world of one shard. It knows no protocol and no volume; what it moves are spans of the shard's
//! [`Memory`](stdx::mem::Memory). Streams are non-blocking TCP sockets, and datagrams UDP sockets, in one edge-triggered
//! epoll set; files go through
//! io_uring where the machine allows it and through a few threads where it does not.
//!
//! Links to other processes are Unix sockets with abstract names, over which descriptors of memory go.
//!
//! [`Bell`], [`CarriedMemory`] and [`Watch`] are the relay's end of what `weft run` loads into programs.
//!
//! Invariants: nothing blocks but [`Env::poll`](stdx::env::Env::poll); nothing is allocated per receive, send or file
//! operation once tables have grown to the load; a reactor with nothing to do sleeps in the kernel.
//!
//! This is one of the few crates that hold `unsafe`: each use is one system call, and says why it is sound.

mod address;
mod bell;
mod carried;
mod clock;
mod datagram;
mod datagrams;
mod doorbell;
mod entropy;
mod errno;
mod files;
mod interfaces;
mod link;
mod links;
mod listeners;
mod options;
mod pace;
mod pin;
mod poller;
mod reactor;
mod socket;
mod streams;
mod waker;

pub use bell::{Bell, BellListener, Heard, Watch};
pub use carried::CarriedMemory;
pub use doorbell::Doorbell;
pub use interfaces::{InterfaceAddress, interface_addresses};
pub use options::{FileBackend, Options};
pub use pin::pin;
pub use reactor::{Reactor, StartError};
