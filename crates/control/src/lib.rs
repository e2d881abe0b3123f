//! The control plane: one method table, from which JSON-RPC, command-line calls, schema and documentation follow.
//!
//! The dialect is SPDK's, so that SPDK's own client configures Weft: JSON-RPC 2.0 objects back to back on a Unix socket or
//! a TCP port, methods and parameters by SPDK's names. What this crate is not: it holds no state of the fabric. That is a
//! shard's, on a thread of its own; a method's function travels there and comes back with a result.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod config;
pub mod dispatch;
pub mod docs;
pub mod error;
pub mod fabric;
pub mod facing;
pub mod fields;
pub mod frame;
pub mod method;
pub mod methods;

pub mod request;
pub mod server;
pub mod table;
mod values;

pub use dispatch::Dispatcher;
pub use error::{Errno, RpcError};
pub use method::{Executor, Method, NoParams, NotTaken, Reply, Target};
pub use server::{Server, ServerLimits, UnixSocket};
pub use table::Table;
