//! What is played in a world: machines that serve and use volumes by one of the protocols, clients with a workload, faults,
//! and the end that shows whether all was right. RDMA and SDP have scenarios of their own.

mod client;
mod disks;
mod every;
mod iscsi;
mod machine;
mod nvme;
mod plan;
mod play;
mod rdma;
mod remote;
mod rivals;
mod run;
mod sdp;
mod server;
mod shard;
mod srp;
mod vault;

pub use run::{Outcome, PROTOCOLS, Protocol, Report, run, run_captured};
