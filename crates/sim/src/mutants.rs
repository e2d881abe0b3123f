//! The simulator's own examination: bugs are planted one by one, and each must be found. A simulator that never found a
//! bug is not known to work.

use crate::scenario::{Protocol, Report, run};
use stdx::planted::plant;
pub use stdx::planted::{
    Bug, EVERY_BUGS, ISCSI_BUGS, ISER_BUGS, NVME_BUGS, NVME_RDMA_BUGS, RDMA_BUGS, SDP_BUGS, SRP_BUGS,
};

/// How a planted bug was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Find {
    /// The bug.
    pub bug: Bug,
    /// How many seeds it took.
    pub seeds: u64,
    /// The run that found it.
    pub report: Report,
}

/// Plants the bug on this thread, and plays at most `limit` seeds from `from` on until one fails.
pub fn hunt(protocol: Protocol, bug: Bug, from: u64, limit: u64) -> Option<Find> {
    plant(Some(bug));
    let report = (from..from + limit).map(|seed| run(protocol, seed)).find(|report| !report.passed());
    plant(None);
    report.map(|report| Find { bug, seeds: report.seed - from + 1, report })
}

/// The bugs that can be planted in machines of this protocol.
pub const fn bugs_of(protocol: Protocol) -> &'static [Bug] {
    match protocol {
        Protocol::Nvme => &NVME_BUGS,
        Protocol::NvmeRdma => &NVME_RDMA_BUGS,
        Protocol::Iscsi => &ISCSI_BUGS,
        Protocol::Iser => &ISER_BUGS,
        Protocol::Srp => &SRP_BUGS,
        Protocol::Rdma => &RDMA_BUGS,
        Protocol::Sdp => &SDP_BUGS,
        Protocol::Every => &EVERY_BUGS,
    }
}

/// How many seeds a bug may take to be found.
pub const fn seeds_max(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::NvmeRdma | Protocol::Iser | Protocol::Srp => 300,
        Protocol::Rdma | Protocol::Sdp | Protocol::Every => 300,
        // More is drawn, and each of it seldom.
        Protocol::Nvme | Protocol::Iscsi => 1000,
    }
}
