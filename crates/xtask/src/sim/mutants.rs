//! Planted bugs: each must be found, or the simulation is too weak.

use anyhow::{Result, ensure};
use sim::mutants::{BUGS, SEEDS_MAX, hunt};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hunts every bug.
pub fn run() -> Result<()> {
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&bug) = BUGS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match hunt(bug, 0, SEEDS_MAX) {
                        Some(find) => {
                            let how = format!("{:?}", find.report.outcome);
                            println!("{bug:?}: found by seed {}: {how:.160}", find.report.seed);
                        }
                        None => {
                            missed.fetch_add(1, Ordering::Relaxed);
                            println!("{bug:?}: NOT found by {SEEDS_MAX} seeds");
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("mutants: {} passed, {missed} failed", BUGS.len() - missed);
    ensure!(missed == 0, "{missed} planted bugs were not found");
    Ok(())
}
