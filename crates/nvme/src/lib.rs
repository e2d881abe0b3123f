//! The NVMe command sets over volumes, and NVMe over Fabrics as controller and host.
//!
//! - [`target`]: subsystems, namespaces and controllers that hosts connect to.

#![forbid(unsafe_code)]

pub mod target;
