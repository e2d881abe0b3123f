//! What is played in a world: nodes that are real shards, clients with a workload, faults, and the end that shows whether
//! all was right.

mod client;
mod plan;
mod play;
mod rivals;
mod run;
mod server;

pub use run::{Outcome, Report, run, run_captured};
