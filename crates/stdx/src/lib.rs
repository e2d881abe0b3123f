//! What every room needs: time, randomness, memory, containers with limits, checksums, and the contract with the
//! outside world ([`env::Env`]).
//!
//! Nothing here knows a protocol. `unsafe` and system calls live in [`mem`] alone.

#![deny(unsafe_code)]

pub mod backoff;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod env;
pub mod gather;
pub mod listeners;
#[allow(unsafe_code, reason = "the one place for it: see the module")]
pub mod mem;
pub mod planted;
pub mod prng;
pub mod slab;
pub mod stream;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod transmit;
pub mod uuid;
