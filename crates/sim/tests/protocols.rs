//! Each protocol between machines of ours, over a few seeds; `cargo xtask sim` plays thousands.

use sim::capture::Capture;
use sim::scenario::{Outcome, Protocol, run, run_captured};

#[test]
fn seeds_pass_over_nvme() {
    assert!(seeds_pass(Protocol::Nvme, 60) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_nvme_by_rdma() {
    assert!(seeds_pass(Protocol::NvmeRdma, 40) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_every_protocol_at_once() {
    assert!(seeds_pass(Protocol::Every, 30) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_iscsi() {
    assert!(seeds_pass(Protocol::Iscsi, 40) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_iser() {
    assert!(seeds_pass(Protocol::Iser, 20) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_srp() {
    assert!(seeds_pass(Protocol::Srp, 40) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_rdma() {
    assert!(seeds_pass(Protocol::Rdma, 150) > 0, "nothing ever crashed");
}

#[test]
fn seeds_pass_over_sdp() {
    seeds_pass(Protocol::Sdp, 150);
}

#[test]
fn a_seed_replays_exactly_over_nvme() {
    replays_exactly(Protocol::Nvme);
}

#[test]
fn a_seed_replays_exactly_over_nvme_by_rdma() {
    replays_exactly(Protocol::NvmeRdma);
}

#[test]
fn a_seed_replays_exactly_over_every_protocol_at_once() {
    replays_exactly(Protocol::Every);
}

#[test]
fn a_seed_replays_exactly_over_iscsi() {
    replays_exactly(Protocol::Iscsi);
}

#[test]
fn a_seed_replays_exactly_over_iser() {
    replays_exactly(Protocol::Iser);
}

#[test]
fn a_seed_replays_exactly_over_srp() {
    replays_exactly(Protocol::Srp);
}

#[test]
fn a_seed_replays_exactly_over_rdma() {
    replays_exactly(Protocol::Rdma);
}

#[test]
fn a_seed_replays_exactly_over_sdp() {
    replays_exactly(Protocol::Sdp);
}

/// Says how often a machine crashed.
fn seeds_pass(protocol: Protocol, seeds: u64) -> u32 {
    let (mut completed, mut crashes) = (0, 0);
    for seed in 0..seeds {
        let report = run(protocol, seed);
        assert_eq!(report.outcome, Outcome::Passed, "{report:?}");
        completed += report.completed;
        crashes += report.crashes;
    }
    assert!(completed > seeds * 50, "{completed} requests in {seeds} runs: the load is too light");
    crashes
}

/// And to capture it changes nothing.
fn replays_exactly(protocol: Protocol) {
    for seed in 0..10 {
        let (first, second) = (Capture::new(), Capture::new());
        let report = run_captured(protocol, seed, &first);
        assert_eq!(report, run(protocol, seed));
        assert_eq!(report, run_captured(protocol, seed, &second));
        assert_eq!(first.borrow().file(), second.borrow().file());
    }
}
