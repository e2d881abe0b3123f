//! NVMe/TCP between shards of ours, over many seeds.

use sim::scenario::{Outcome, run};

#[test]
fn seeds_pass() {
    let seeds = std::env::var("WEFT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(6);
    let (mut completed, mut crashes) = (0, 0);
    for seed in 0..seeds {
        let report = run(seed);
        assert_eq!(report.outcome, Outcome::Passed, "{report:?}");
        completed += report.completed;
        crashes += report.crashes;
    }
    assert!(completed > seeds * 100, "{completed} requests in {seeds} runs: the load is too light");
    assert!(crashes > 0, "nothing ever crashed");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
}
