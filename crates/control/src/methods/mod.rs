//! The methods, by SPDK's names, a module a family.

pub mod app;
pub mod log;
pub mod notify;
