//! Planted bugs: each must be found, or the simulation is too weak.

use anyhow::{Result, ensure};
use sim::mutants::{bugs_of, hunt, seeds_max};
use sim::scenario::Protocol;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hunts every bug of a protocol's machines.
pub fn run(protocol: Protocol) -> Result<()> {
    let (bugs, limit) = (bugs_of(protocol), seeds_max(protocol));
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match hunt(protocol, bug, 0, limit) {
                        Some(find) => {
                            let how = format!("{:?}", find.report.outcome);
                            println!("{bug:?}: found by seed {}: {how:.160}", find.report.seed);
                        }
                        None => {
                            missed.fetch_add(1, Ordering::Relaxed);
                            println!("{bug:?}: NOT found by {limit} seeds");
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("mutants: {} passed, {missed} failed", bugs.len() - missed);
    ensure!(missed == 0, "{missed} planted bugs were not found");
    Ok(())
}
