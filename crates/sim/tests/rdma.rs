//! RDMA between machines of ours, over a few seeds; `cargo xtask sim` plays thousands.

use sim::capture::Capture;
use sim::scenario::{Outcome, Protocol, run, run_captured};

#[test]
fn seeds_pass() {
    let mut completed = 0;
    for seed in 0..SEEDS {
        let report = run(Protocol::Rdma, seed);
        assert_eq!(report.outcome, Outcome::Passed, "{report:?}");
        completed += report.completed;
    }
    assert!(completed > SEEDS * 100, "{completed} requests in {SEEDS} runs: the load is too light");
}

#[test]
fn a_seed_replays_exactly_and_a_capture_changes_nothing() {
    for seed in 0..10 {
        let (first, second) = (Capture::new(), Capture::new());
        let report = run_captured(Protocol::Rdma, seed, &first);
        assert_eq!(report, run(Protocol::Rdma, seed));
        assert_eq!(report, run_captured(Protocol::Rdma, seed, &second));
        assert_eq!(first.borrow().file(), second.borrow().file());
    }
}

const SEEDS: u64 = 150;
