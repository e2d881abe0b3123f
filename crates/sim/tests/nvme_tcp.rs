//! NVMe/TCP between shards of ours, over a few seeds; `cargo xtask sim` plays thousands.

use sim::capture::Capture;
use sim::scenario::{Outcome, Protocol, run, run_captured};

#[test]
fn seeds_pass() {
    let (mut completed, mut crashes) = (0, 0);
    for seed in 0..SEEDS {
        let report = run(Protocol::Nvme, seed);
        assert_eq!(report.outcome, Outcome::Passed, "{report:?}");
        completed += report.completed;
        crashes += report.crashes;
    }
    assert!(completed > SEEDS * 100, "{completed} requests in {SEEDS} runs: the load is too light");
    assert!(crashes > 0, "nothing ever crashed");
}

#[test]
fn a_seed_replays_exactly_and_a_capture_changes_nothing() {
    for seed in 0..10 {
        let (first, second) = (Capture::new(), Capture::new());
        let report = run_captured(Protocol::Nvme, seed, &first);
        assert_eq!(report, run(Protocol::Nvme, seed));
        assert_eq!(report, run_captured(Protocol::Nvme, seed, &second));
        assert_eq!(first.borrow().file(), second.borrow().file());
    }
}

const SEEDS: u64 = 60;
