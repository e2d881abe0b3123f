//! What `weft run`, `weft top` and the preload agree on.
//!
//! [`Policy`] says which connections may leave TCP, in the grammar of libsdp.conf. [`environment`] names what a program that
//! was started by `weft run` finds in its environment. [`page`] is what the preload writes down while it works and others read:
//! each connection, what carries it, and why nothing better does.
//!
//! [`claim`] is what a program says to the relay that carries its connections to other hosts.
//!
//! It is not: the preload itself, which is loaded into programs of others, and holds `unsafe`.

#![forbid(unsafe_code)]

pub mod claim;
pub mod environment;
pub mod page;
mod pattern;
mod policy;
mod reason;

pub use policy::{Policy, PolicyError, Role, Use};
pub use reason::Reason;
