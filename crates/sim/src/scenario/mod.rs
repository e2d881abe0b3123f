//! What is played in a world: machines that serve and use volumes by one of the protocols, clients with a workload, faults,
//! and the end that shows whether all was right. RDMA has a scenario of its own.

mod client;
mod iscsi;
mod machine;
mod nvme;
mod plan;
mod play;
mod rdma;
mod rivals;
mod run;
mod server;

pub use run::{Outcome, PROTOCOLS, Protocol, Report, run, run_captured};
