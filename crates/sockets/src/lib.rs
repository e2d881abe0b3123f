//! Sockets for programs: [`SdpStream`] and [`SdpListener`], used as those of [`std::net`] are, which go past the system's TCP.
//!
//! What it is: the waiting and the finding that [`sdp::sockets`] has not. All sockets of a process share a [`Fabric`]: one
//! device for peers on this machine, which are reached through shared memory, and one for each address of this machine that
//! peers elsewhere use, by RoCEv2. Whoever waits polls them, so that nothing is handed from thread to thread: at first again and
//! again, offering the processor to others, then asleep on a descriptor. While no thread of the program is in a call, a thread of the
//! fabric's own moves its streams (see `keeper`).
//!
//! What it is not: it has no signal handler.
//!
//! Peers on this machine find each other by names (see `directory`): a listener's address is the name of a Unix socket in the
//! abstract name space, which belongs to the network namespace as ports do.
//!
//! ```no_run
//! use sockets::{SdpListener, SdpStream};
//! use std::io::{Read, Write};
//!
//! let listener = SdpListener::bind("127.0.0.1:7000")?;
//! std::thread::spawn(move || listener.accept().and_then(|(mut stream, _)| stream.write_all(b"hello")));
//! let mut said = String::new();
//! SdpStream::connect("127.0.0.1:7000")?.read_to_string(&mut said)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Many bytes need not be copied to be written or read: [`SdpBuffer`] is memory that peers read from where it lies, and write to where
//! its owner wants it.
//!
//! With the feature `tokio` there are `AsyncSdpStream` and `AsyncSdpListener`, for tasks of tokio's.
//!
//! Invariants: a fabric is made when it is first needed, so a program may fork before; nobody sleeps holding it; a thread that
//! waits is woken for its own socket's sake.

#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod begin;
mod buffer;
mod direct;
mod directory;
mod errors;
mod fabric;
mod keeper;
mod listener;
mod options;
mod port;
mod state;
mod stream;
mod waiting;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncSdpListener, AsyncSdpStream};
pub use buffer::SdpBuffer;
pub use fabric::{Fabric, OpenError, Options};
pub use listener::SdpListener;
pub use sdp::sockets::Readiness;
pub use stream::{Interest, SdpStream};
