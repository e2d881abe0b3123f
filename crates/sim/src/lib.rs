//! The simulator: [`stdx::env::Env`] from a seed. A [`world::World`] holds nodes, each a real shard with an environment of
//! its own; streams that cut anywhere, stall, half-close, reset, vanish and change bits; datagrams that are lost, doubled,
//! late and damaged; disks that stall, fail, and lose
//! what was not flushed; crashes, restarts, and a clock that jumps.
//!
//! Nothing here sleeps, and nothing draws from anywhere but the seed: a run is a function of its seed, and a failure
//! replays alone.
//!
//! - [`world`], [`network`], [`datagrams`], [`disk`], [`mod@env`], [`faults`]: what is outside the shards, and what goes wrong there.
//! - [`checker`]: those who know the truth. [`scenario`]: what is played, from the plan to the report.
//! - [`capture`]: what a run sends, for Wireshark. [`mutants`]: planted bugs that must be found.
//!
//! `docs/simulation.md` says how to read a failure and how to add to it.

#![forbid(unsafe_code)]

pub mod capture;
pub mod checker;
pub mod datagrams;
pub mod disk;
pub mod env;
pub mod faults;
pub mod mutants;
pub mod network;
pub mod scenario;
pub mod world;
