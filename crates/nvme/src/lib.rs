//! The NVMe command sets over volumes, and NVMe over Fabrics as controller and host.
//!
//! - [`host`]: controllers of others, and their namespaces as volumes of ours.
//! - [`target`]: subsystems, namespaces and controllers that hosts connect to.

#![forbid(unsafe_code)]

pub mod host;
pub mod target;
mod transport;

pub use transport::Transport;
