//! Many seeds, on all processors.

use sim::scenario::{Protocol, Report, run};
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What a campaign has seen so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    requests: u64,
    crashes: u64,
    failures: Vec<Report>,
}

/// Plays the seeds and says how they went; gives back the first failures.
pub fn play(protocol: Protocol, seeds: Range<u64>) -> Vec<Report> {
    let (start, count) = (Instant::now(), seeds.end - seeds.start);
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = run(protocol, seed);
                    let mut tally = tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    tally.count(report);
                    if tally.failures.len() >= FAILURES_MAX {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                    tally.show(count);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let seconds = start.elapsed().as_secs_f64();
    if std::io::stdout().is_terminal() {
        println!();
    }
    let played = tally.passed + tally.failures.len() as u64;
    println!(
        "{}: {played} seeds from {} in {seconds:.1} s ({:.0} a second), {} requests, {} crashes",
        protocol.name(),
        seeds.start,
        played as f64 / seconds,
        tally.requests,
        tally.crashes
    );
    println!("simulation: {} passed, {} failed", tally.passed, tally.failures.len());
    tally.failures.sort_by_key(|report| report.seed);
    tally.failures
}

impl Tally {
    fn count(&mut self, report: Report) {
        self.requests += report.completed;
        self.crashes += u64::from(report.crashes);
        if report.passed() {
            self.passed += 1;
        } else {
            self.failures.push(report);
        }
    }

    /// A line that is written over, for people only.
    fn show(&self, count: u64) {
        let played = self.passed + self.failures.len() as u64;
        if played.is_multiple_of(10) && std::io::stdout().is_terminal() {
            print!("\r{played} of {count} seeds, {} failed ", self.failures.len());
            // Progress that cannot be shown is not missed.
            let _ = std::io::stdout().flush();
        }
    }
}

/// A campaign that fails that often has told enough.
const FAILURES_MAX: usize = 10;
