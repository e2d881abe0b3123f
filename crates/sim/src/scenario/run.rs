//! One run of a seed, and how it went.

use super::plan::Storage;
use super::play::Play;
use super::{rdma, sdp};
use crate::capture::SharedCapture;
use core::any::Any;
use core::time::Duration;
use std::panic::AssertUnwindSafe;
use stdx::time::Time;

/// What is spoken in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// NVMe/TCP.
    Nvme,
    /// NVMe/RDMA.
    NvmeRdma,
    /// iSCSI.
    Iscsi,
    /// iSER: iSCSI by RDMA.
    Iser,
    /// SRP.
    Srp,
    /// RoCEv2 and its connection manager.
    Rdma,
    /// The Sockets Direct Protocol.
    Sdp,
    /// All that serve volumes at once, for one volume.
    Every,
}

/// Every protocol.
pub const PROTOCOLS: [Protocol; 8] = [
    Protocol::Nvme,
    Protocol::NvmeRdma,
    Protocol::Iscsi,
    Protocol::Iser,
    Protocol::Srp,
    Protocol::Rdma,
    Protocol::Sdp,
    Protocol::Every,
];

impl Protocol {
    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Nvme => "nvme",
            Protocol::NvmeRdma => "nvme-rdma",
            Protocol::Iscsi => "iscsi",
            Protocol::Iser => "iser",
            Protocol::Srp => "srp",
            Protocol::Rdma => "rdma",
            Protocol::Sdp => "sdp",
            Protocol::Every => "every",
        }
    }

    /// The protocol of a name.
    pub fn of(name: &str) -> Option<Self> {
        PROTOCOLS.into_iter().find(|protocol| protocol.name() == name)
    }
}

/// How a run went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was spoken.
    pub protocol: Protocol,
    /// The seed that replays it.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Requests that were answered.
    pub completed: u64,
    /// How often a machine lost its power.
    pub crashes: u32,
    /// Simulated time.
    pub elapsed: Duration,
}

impl Report {
    /// True if all was right.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All was right.
    Passed,
    /// A client was told what cannot be.
    Unsafe(String),
    /// Something did not end although nothing was in its way.
    Stuck(String),
    /// Something was left over at the end.
    Leaked(String),
    /// A law of a shard's own did not hold.
    Panicked(String),
}

/// Plays a protocol between machines of ours, as the seed says.
pub fn run(protocol: Protocol, seed: u64) -> Report {
    play(protocol, seed, None)
}

/// The same, and writes down what went over the streams: also what went before a panic.
pub fn run_captured(protocol: Protocol, seed: u64, capture: &SharedCapture) -> Report {
    play(protocol, seed, Some(SharedCapture::clone(capture)))
}

fn play(protocol: Protocol, seed: u64, capture: Option<SharedCapture>) -> Report {
    let mut report = Report {
        protocol,
        seed,
        outcome: Outcome::Passed,
        completed: 0,
        crashes: 0,
        elapsed: Duration::ZERO,
    };
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let storage = match protocol {
            Protocol::Nvme => Storage::Nvme,
            Protocol::NvmeRdma => Storage::NvmeRdma,
            Protocol::Iscsi => Storage::Iscsi,
            Protocol::Iser => Storage::Iser,
            Protocol::Srp => Storage::Srp,
            Protocol::Every => Storage::Every,
            Protocol::Rdma => return play_rdma(seed, capture, &mut report),
            Protocol::Sdp => return play_sdp(seed, &mut report),
        };
        let mut play = Play::new(storage, seed, capture);
        report.outcome = play.through().map_or_else(|outcome| outcome, |()| Outcome::Passed);
        report.elapsed = play.world.borrow().now() - Time::ZERO;
        report.completed = play.clients.iter().map(|client| client.completed).sum();
        report.crashes = play.crashes;
    }));
    if let Err(why) = played {
        report.outcome = Outcome::Panicked(words(why.as_ref()));
    }
    report
}

fn play_rdma(seed: u64, capture: Option<SharedCapture>, report: &mut Report) {
    let mut play = rdma::Play::new(seed, capture);
    report.outcome = play.through().map_or_else(|outcome| outcome, |()| Outcome::Passed);
    report.elapsed = play.world.borrow().now() - Time::ZERO;
    report.completed = play.completed();
    report.crashes = play.crashes;
}

/// It has no streams to be captured: its messages are on no network.
fn play_sdp(seed: u64, report: &mut Report) {
    let mut play = sdp::Play::new(seed);
    report.outcome = play.through().map_or_else(|outcome| outcome, |()| Outcome::Passed);
    report.elapsed = play.elapsed();
    report.completed = play.completed();
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
