//! The devices: where volumes keep their data, and what can be put in between.

mod file;
mod geometry;
mod null;
mod ram;
mod ready;

pub use file::{File, FileError};
pub use geometry::{Geometry, GeometryError};
pub use null::Null;
pub use ram::Ram;

/// How many requests a channel takes on at once.
pub const UNDER_WAY_MAX: usize = 1024;
