//! `cargo xtask sim`: the protocols played from many seeds, on all processors.
//!
//! A seed that fails is played again with a capture of its streams, and printed with the command that replays it alone.
//! With `--mutants` bugs are planted one by one instead, and each must be found.

mod campaign;
mod mutants;

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use sim::capture::Capture;
use sim::scenario::{PROTOCOLS, Protocol, Report, run_captured};
use std::process::Command;

/// Which runs to play.
#[derive(clap::Args)]
pub struct Options {
    /// The protocol: nvme, nvme-rdma, iscsi, iser, srp, rdma, sdp or every; nvme if it is not said, but bugs are planted in all
    #[arg(long, value_parser = protocol_of)]
    protocol: Option<Protocol>,
    /// How many seeds
    #[arg(long, default_value_t = 2000, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Play this seed alone, and write a capture of its streams
    #[arg(long, requires = "protocol")]
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
        let protocols = options.protocol.map_or(PROTOCOLS.to_vec(), |protocol| vec![protocol]);
        return protocols.into_iter().try_for_each(mutants::run);
    }
    if let (Some(protocol), Some(seed)) = (options.protocol, options.seed) {
        let report = capture(protocol, seed)?;
        println!("{report:#?}");
        ensure!(report.passed(), "seed {seed} failed");
        return Ok(());
    }
    let seeds = if options.nightly {
        let count = nightly_seeds(options.protocol.unwrap_or(Protocol::Nvme));
        let from = NIGHTLY_FIRST + days_since_1970()? * count;
        from..from + count
    } else {
        options.from..options.from + options.seeds
    };
    let failures = campaign::play(options.protocol.unwrap_or(Protocol::Nvme), seeds);
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
    let (protocol, seed) = (report.protocol, report.seed);
    let name = protocol.name();
    println!("\n{name} seed {seed} of commit {}: {:?}", commit(), report.outcome);
    println!("replay it alone with: cargo xtask sim --protocol {name} --seed {seed}");
    capture(protocol, seed)?;
    Ok(())
}

/// Plays a seed with a capture of its streams, and says where that is.
fn capture(protocol: Protocol, seed: u64) -> Result<Report> {
    let capture = Capture::new();
    let report = run_captured(protocol, seed, &capture);
    let folder = workspace::root().join("target/sim");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{}-seed-{seed}.pcap", protocol.name()));
    std::fs::write(&path, capture.borrow().file())
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("its streams: {} (tshark -r, Wireshark)", path.display());
    Ok(report)
}

fn protocol_of(name: &str) -> Result<Protocol> {
    let names = PROTOCOLS.map(Protocol::name).join(", ");
    Protocol::of(name).with_context(|| format!("the protocols are {names}"))
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

/// What a night is enough for.
const fn nightly_seeds(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Nvme | Protocol::NvmeRdma | Protocol::Iscsi => 50_000,
        Protocol::Iser | Protocol::Srp | Protocol::Every => 50_000,
        Protocol::Rdma | Protocol::Sdp => 1_000_000,
    }
}

/// Nightly seeds begin here, where no other campaign is.
const NIGHTLY_FIRST: u64 = 1 << 32;
