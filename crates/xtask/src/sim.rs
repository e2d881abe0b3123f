//! `cargo xtask sim`: the simulator over many seeds.
//!
//! A seed is a whole world; what it finds, it finds again. The campaign shares the seeds out over the processors, and
//! names each that failed with the command that replays it.

use ::sim::scenario::{Outcome, Report, run as play};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Which worlds to run.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run this seed alone and print how it went
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
}

/// Runs the campaign.
///
/// # Errors
/// When a seed fails.
pub fn run(options: &Options) -> Result<()> {
    if let Some(seed) = options.seed {
        let report = play(seed);
        println!("{report:#?}");
        return if report.outcome == Outcome::Passed { Ok(()) } else { bail!("seed {seed} failed") };
    }
    let start = Instant::now();
    let runs = campaign(options.first..options.first.saturating_add(options.seeds));
    let mut failed = 0;
    for (seed, run) in &runs {
        let what = match run {
            Some(Report { outcome: Outcome::Passed, .. }) => continue,
            Some(report) => format!("{:?}", report.outcome),
            None => "panicked".into(),
        };
        failed += 1;
        if failed <= SHOWN_MAX {
            println!("seed {seed}: {what}\n    cargo xtask sim --seed {seed}");
        }
    }
    let reports: Vec<&Report> = runs.values().flatten().collect();
    let completed: u64 = reports.iter().map(|report| report.completed).sum();
    let crashes: u64 = reports.iter().map(|report| u64::from(report.crashes)).sum();
    let simulated: f64 = reports.iter().map(|report| report.elapsed.as_secs_f64()).sum();
    println!(
        "{} seeds in {:.1} s: {completed} requests, {crashes} power cuts, {simulated:.0} s of simulated time",
        runs.len(),
        start.elapsed().as_secs_f64(),
    );
    println!("simulation: {} passed, {failed} failed", runs.len() - failed);
    if failed > 0 {
        bail!("{failed} seeds failed");
    }
    Ok(())
}

/// The report of each seed; none for a world that panicked.
fn campaign(seeds: std::ops::Range<u64>) -> BTreeMap<u64, Option<Report>> {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return reports;
            }
            reports.push((seed, catch_unwind(|| play(seed)).ok()));
        }
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics are caught within")).collect()
    })
}

/// So many failures are printed; the first is enough to begin with.
const SHOWN_MAX: usize = 20;
