//! `cargo xtask sim`: NVMe/TCP played from many seeds, on all processors.
//!
//! A seed that fails is played again with a capture of its streams, and printed with the command that replays it alone.
//! With `--mutants` bugs are planted one by one instead, and each must be found.

mod campaign;
mod mutants;

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use sim::capture::Capture;
use sim::scenario::{Report, run_captured};
use std::process::Command;

/// Which runs to play.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 2000, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Play this seed alone, and write a capture of its streams
    #[arg(long)]
    seed: Option<u64>,
    /// Many seeds, others every day
    #[arg(long, conflicts_with_all = ["seed", "seeds", "from", "mutants"])]
    nightly: bool,
    /// Plant bugs, and see whether each is found
    #[arg(long, conflicts_with_all = ["seed", "seeds", "from"])]
    mutants: bool,
}

/// Plays the runs.
///
/// # Errors
/// When a run fails, or a planted bug is not found.
pub fn run(options: &Options) -> Result<()> {
    // A panic is an outcome like others; it is told with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    if options.mutants {
        return mutants::run();
    }
    if let Some(seed) = options.seed {
        let report = capture(seed)?;
        println!("{report:#?}");
        ensure!(report.passed(), "seed {seed} failed");
        return Ok(());
    }
    let seeds = if options.nightly {
        let from = NIGHTLY_FIRST + days_since_1970()? * NIGHTLY_SEEDS;
        from..from + NIGHTLY_SEEDS
    } else {
        options.from..options.from + options.seeds
    };
    let failures = campaign::play(seeds);
    for report in &failures {
        tell(report)?;
    }
    if !failures.is_empty() {
        bail!("{} seeds failed", failures.len());
    }
    Ok(())
}

/// Says what went wrong and how to see it again.
fn tell(report: &Report) -> Result<()> {
    let seed = report.seed;
    println!("\nseed {seed} of commit {}: {:?}", commit(), report.outcome);
    println!("replay it alone with: cargo xtask sim --seed {seed}");
    capture(seed)?;
    Ok(())
}

/// Plays a seed with a capture of its streams, and says where that is.
fn capture(seed: u64) -> Result<Report> {
    let capture = Capture::new();
    let report = run_captured(seed, &capture);
    let folder = workspace::root().join("target/sim");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("seed-{seed}.pcap"));
    std::fs::write(&path, capture.borrow().file())
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("its streams: {} (tshark -r, Wireshark)", path.display());
    Ok(report)
}

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let id = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    id.map_or_else(|| "unknown".into(), |id| String::from_utf8_lossy(&id).trim().to_owned())
}

fn days_since_1970() -> Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(since.context("the calendar of this machine is before 1970")?.as_secs() / 86_400)
}

/// Nightly seeds begin here, where no other campaign is.
const NIGHTLY_FIRST: u64 = 1 << 32;
const NIGHTLY_SEEDS: u64 = 50_000;
