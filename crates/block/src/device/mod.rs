//! The devices: where volumes keep their data, and what can be put in between.

mod crypt;
mod delay;
mod error;
mod file;
mod geometry;
mod null;
mod pages;
mod partition;
mod ram;
mod ready;

pub use crypt::{Crypt, KEY_LEN_MAX, Keeping, Key, KeyError};
pub use delay::{Delay, Latencies};
pub use error::{Error, Injection, Target};
pub use file::{File, FileError};
pub use geometry::{Geometry, GeometryError, PHYSICAL_BLOCK_MAX};
pub use null::Null;
pub use partition::{Partition, PartitionError};
pub use ram::Ram;

/// How many requests a channel takes on at once.
pub const UNDER_WAY_MAX: usize = 1024;
