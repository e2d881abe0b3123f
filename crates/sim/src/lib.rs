//! The simulator: [`stdx::env::Env`] from a seed. A [`world::World`] holds nodes, each a real shard with an environment of
//! its own; streams that cut anywhere, stall, half-close and reset; disks that tear and lose what was not flushed;
//! crashes, restarts, and a clock that jumps.
//!
//! Nothing here sleeps, and nothing draws from anywhere but the seed: a run is a function of its seed, and a failure
//! replays alone.

#![forbid(unsafe_code)]

pub mod capture;
pub mod checker;
pub mod disk;
pub mod env;
pub mod faults;
pub mod mutants;
pub mod network;
pub mod scenario;
pub mod world;
