//! The Sockets Direct Protocol between two ends of ours, on a queue pair that loses nothing and takes its time.
//!
//! - [`plan`]: what a run is about. [`play`]: its acts. [`end`]: one of the two, with an application that writes and reads.
//! - [`memory`]: what each end lets the other read and write, and for how long.
//!
//! What is held against the ends: every byte arrives once, in its place; nobody reads memory that was given back to its
//! owner, or writes to it; no message comes that no receive is posted for; urgent bytes are told as such; and once
//! nothing is in the way, both streams end.

mod end;
mod memory;
mod plan;
mod play;

pub(super) use play::Play;

use super::run::Outcome;

/// Whether all was right so far.
type Check = Result<(), Outcome>;

/// What cannot be.
const fn wrong(what: String) -> Outcome {
    Outcome::Unsafe(what)
}
