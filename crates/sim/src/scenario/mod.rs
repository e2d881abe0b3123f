//! What is played in a world: machines that serve and use by one of the protocols, clients with a workload, faults, and the end that shows whether
//! all was right.

mod client;
mod iscsi;
mod machine;
mod nvme;
mod plan;
mod play;
mod rivals;
mod run;
mod server;

pub use plan::{PROTOCOLS, Protocol};
pub use run::{Outcome, Report, run, run_captured};
